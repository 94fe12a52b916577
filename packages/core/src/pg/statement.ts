import { guarded } from './type-parsers.ts';

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

/** Without a prototype: pg reads more keys than these, and none shall come from a polluted `Object.prototype`. */
export function forPg(statement: Statement): Statement {
  const query = { __proto__: null, ...statement } as { -readonly [Part in keyof Statement]: Statement[Part] };
  if (query.types !== undefined) query.types = guarded(query.types);
  return query;
}
