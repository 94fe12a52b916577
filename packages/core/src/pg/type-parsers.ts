/** Where pg gets its type parsers from. https://node-postgres.com/features/types */
export interface TypeParsers {
  getTypeParser(oid: number, format?: string): (value: string) => unknown;
}

/**
 * The user's type parsers, made safe: pg asks for them while it reads a row description from the socket, where a throw
 * would end the process. What is thrown then becomes an error of the statement, as soon as there is a row to parse.
 */
export function guarded(types: object | undefined): TypeParsers | undefined {
  if (types === undefined) return undefined;
  const { getTypeParser } = types as TypeParsers;
  return {
    getTypeParser(oid, format) {
      try {
        return getTypeParser.call(types, oid, format);
      } catch (error) {
        return () => {
          throw error;
        };
      }
    },
  };
}
