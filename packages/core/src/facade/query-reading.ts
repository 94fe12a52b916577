import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import { call } from './request.ts';

/** Values as they came over the wire: whoever parses them is somebody else. */
export const AS_THEY_CAME: object = Object.freeze({ getTypeParser: () => (text: string) => text });

/** What pg's own Query, and what is like it, is told of its answer. https://node-postgres.com/apis/client */
interface Reader extends Submittable {
  readonly text: string;
  readonly values?: readonly unknown[];
  readonly name?: string;
  readonly queryMode?: 'extended';
  handleRowDescription(message: object): void;
  handleDataRow(message: object): void;
  handleCommandComplete(message: object, connection: object): void;
  handleReadyForQuery(connection: object): void;
  handleError(error: unknown, connection: object): void;
}

/** One that takes its whole answer at once. Cursors and streams are asked for theirs bit by bit. */
export function isReader(submittable: Submittable): submittable is Reader {
  const {
    text,
    handleDataRow,
    handleReadyForQuery,
    read: reads,
    pipe,
  } = submittable as Partial<Reader> & {
    read?: unknown;
    pipe?: unknown;
  };
  const isAnswered = typeof handleDataRow === 'function' && typeof handleReadyForQuery === 'function';
  return typeof text === 'string' && isAnswered && reads === undefined && pipe === undefined;
}

/** Asks for it, and tells it the answer as the server would have. */
export async function read(
  reader: Reader,
  ask: (statement: Statement) => Promise<QueryResult | QueryResult[]>,
): Promise<void> {
  const { text, values, name, queryMode } = reader;
  try {
    const answer = await ask({ text, values, name, queryMode, rowMode: 'array', types: AS_THEY_CAME });
    for (const result of Array.isArray(answer) ? answer : [answer]) tell(reader, result);
  } catch (error) {
    return reader.handleError(error, NO_CONNECTION);
  }
  call(() => reader.handleReadyForQuery(NO_CONNECTION));
}

function tell(reader: Reader, { rows, fields, ...rest }: QueryResult): void {
  if (fields.length > 0) reader.handleRowDescription({ fields, fieldCount: fields.length });
  for (const row of rows) reader.handleDataRow({ fields: row, fieldCount: fields.length });
  reader.handleCommandComplete({ text: tagOf(rest) }, NO_CONNECTION);
}

/** https://www.postgresql.org/docs/current/protocol-message-formats.html: CommandComplete */
function tagOf({ command, oid, rowCount }: Pick<QueryResult, 'command' | 'oid' | 'rowCount'>): string {
  return [command, oid, rowCount].filter((part) => part !== null && part !== undefined).join(' ');
}

/** Where an answer needs nothing more of the server. */
const NO_CONNECTION = Object.freeze({ sync: () => undefined });
