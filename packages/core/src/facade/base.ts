import type { Modes } from '../pg/sql-script.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Opened } from '../scope/opened.ts';
import type { Seat } from './seat.ts';

/** The unit of work that a library works in without knowing it. */
export interface Base extends Pick<Seat, 'submit' | 'client'> {
  /** A statement that stands for itself, as on a pool. */
  run(statement: Statement, timeoutMillis: number | undefined): Promise<QueryResult>;
  /** Whether a cursor that is declared here is still there for the next statement. */
  readonly keepsCursors: boolean;
  /** What the library takes for a transaction of its own. */
  begin(modes: Modes): Promise<Opened>;
  /** What the library says of it afterwards, and which one it has then. Refused where that cannot be honoured. */
  agree(modes: Modes, opened: Opened): Promise<Opened>;
}
