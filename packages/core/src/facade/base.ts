import type { PgClient } from '../pg/pg-subset.ts';
import type { Modes } from '../pg/sql-script.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import type { Opened } from '../scope/opened.ts';

/** The unit of work that a library works in without knowing it. */
export interface Base {
  /** A statement that stands for itself, as on a pool. */
  run(statement: Statement, timeoutMillis: number | undefined): Promise<QueryResult>;
  /** Resolves when it has the connection. */
  submit(submittable: Submittable): Promise<unknown>;
  /** What the library takes for a transaction of its own. */
  begin(modes: Modes): Promise<Opened>;
  /** What the library says of it afterwards, and which one it has then. Refused where that cannot be honoured. */
  agree(modes: Modes, opened: Opened): Promise<Opened>;
  /** The driver's client, where there is a connection at the moment. */
  readonly client: PgClient | undefined;
}
