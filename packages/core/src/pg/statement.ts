/** A statement, in the shape that pg takes. */
export interface Statement {
  readonly text: string;
  readonly values?: readonly unknown[] | undefined;
  /** Makes it a prepared statement of this connection. */
  readonly name?: string | undefined;
  readonly rowMode?: 'array' | undefined;
  readonly types?: object | undefined;
  readonly queryMode?: 'extended' | undefined;
}

/** What pg answers. A text of several statements answers with an array of these, as in pg. */
export interface QueryResult<Row = Record<string, unknown>> {
  readonly rows: Row[];
  readonly rowCount: number | null;
  readonly command: string;
  readonly oid: number | null;
  readonly fields: readonly { readonly name: string; readonly dataTypeID: number; readonly format: string }[];
}

/** With all its parts its own, so that a polluted prototype adds none. Whoever makes one with all parts has it taken as it is. */
export function withOwnParts(statement: Statement): Statement {
  if (Object.hasOwn(statement, 'queryMode')) return statement;
  const { text, values, name, rowMode, types } = Object.assign(Object.create(null), statement) as Statement;
  return { text, values, name, rowMode, types, queryMode: undefined };
}
