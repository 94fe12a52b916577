import { prepareValue, queryOf } from './driver.ts';
import type { PgClient, PgQuery, PgWire } from './pg-subset.ts';
import { QuietText } from './quiet-text.ts';
import { forPg, type QueryResult, type Statement } from './statement.ts';

/** A statement of the house's own; a bare text answers with nothing but its tag. */
export type HouseStatement = Statement | string;

/** What travels together. Around the user's own statements are the house's, which leave nothing behind. */
export interface Group {
  readonly before: readonly HouseStatement[];
  readonly statements: readonly Statement[];
  readonly after: readonly HouseStatement[];
}

/** What became of a group: the results of those that ran, and which one failed, or could not be read. */
export interface GroupAnswer {
  readonly results: readonly QueryResult<never>[];
  /** Those after it did not run, unless there are results of them. */
  readonly failure: { readonly index: number; readonly error: unknown } | undefined;
}

/**
 * Several statements in one packet under one Sync, and so in one round trip: when one fails, the server skips all that
 * follow it. Without a BEGIN among them they are one transaction, all or nothing.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
 *
 * It is a submittable of pg: the messages are written and read by one of pg's own queries for each statement, in turn.
 */
export class SyncGroup {
  readonly #steps: readonly PgQuery[];
  #at = 0;
  /** A row that could not be read: the server has done its part, so the others go on. */
  #unread: { readonly index: number; readonly error: unknown } | undefined;
  callback: ((error: unknown, results?: unknown) => void) | undefined = undefined;
  /** An own one, so that pg takes no other from a prototype. */
  readonly query_timeout = 0;

  /** Throws where a value cannot be converted, or a name means another text: nothing is written then. */
  constructor(client: PgClient, statements: readonly HouseStatement[]) {
    refuseTwoTexts(statements);
    this.#steps = statements.map((one) => (typeof one === 'string' ? new QuietText(one) : stepOf(client, one)));
  }

  /** Of the statement that is being answered, for pg's account of prepared statements. */
  get name(): string | undefined {
    return this.#steps[this.#at]?.name;
  }

  get text(): string | undefined {
    return this.#steps[this.#at]?.text;
  }

  answer(error: unknown): GroupAnswer {
    const failure = error === undefined ? this.#unread : { index: this.#at, error };
    const results = this.#steps.slice(0, this.#at).map(({ _result }) => _result as unknown);
    return { results: results as QueryResult<never>[], failure };
  }

  submit(connection: PgWire): null {
    // pg ends each statement with a Sync, and writes each message by itself. Here there is one of both for all.
    const packet = new Packet(connection);
    for (const step of this.#steps) step.prepare(packet.wire);
    packet.send();
    return null;
  }

  handleRowDescription(message: unknown): void {
    this.#steps[this.#at]?.handleRowDescription(message);
  }

  handleDataRow(message: unknown): void {
    this.#steps[this.#at]?.handleDataRow(message);
  }

  handleCommandComplete(message: unknown, connection: PgWire): void {
    const step = this.#steps[this.#at];
    step?.handleCommandComplete(message, connection);
    const error = step?._canceledDueToError;
    if (error) this.#unread ??= { index: this.#at, error };
    this.#at += 1;
  }

  handleEmptyQuery(): void {
    this.#at += 1;
  }

  handleError(error: unknown, connection: PgWire): void {
    // What was skipped was never prepared, and pg would wait for its confirmation for ever.
    for (const { name } of this.#steps.slice(this.#at)) {
      if (name !== undefined) delete connection.submittedNamedStatements[name];
    }
    this.callback?.(error);
  }

  handleReadyForQuery(): void {
    this.callback?.(undefined, undefined);
  }

  /** The server takes no Sync for the end of a COPY, so the one behind it is spent. */
  handleCopyInResponse(connection: PgWire): void {
    connection.sendCopyFail('No source stream defined');
    connection.sync();
  }

  handleCopyData(): void {
    // COPY … TO STDOUT without a reader: as pg does.
  }
}

/** Messages that are kept back until all are there: one write is one system call, and one packet. */
class Packet {
  readonly wire: PgWire;
  readonly #connection: PgWire;
  readonly #messages: Buffer[] = [];

  constructor(connection: PgWire) {
    this.#connection = connection;
    const stream = { writable: true, write: (message: Buffer) => this.#messages.push(message) };
    this.wire = Object.create(connection, { stream: { value: stream }, sync: { value: () => undefined } }) as PgWire;
  }

  send(): void {
    this.#messages.push(SYNC);
    const bytes = this.#messages.reduce((sum, { length }) => sum + length, 0);
    if (bytes <= COPIED_BYTES) this.#connection.stream.write(Buffer.concat(this.#messages, bytes));
    else this.#sendCorked();
  }

  /** What is large is not copied. */
  #sendCorked(): void {
    const { stream } = this.#connection;
    stream.cork();
    for (const message of this.#messages) stream.write(message);
    stream.uncork();
  }
}

const COPIED_BYTES = 65_536;
const SYNC: Buffer = Buffer.from([0x53, 0, 0, 0, 4]);

/** Converted before anything is written: a half-written group cannot be taken back. */
function stepOf(client: PgClient, statement: Statement): PgQuery {
  const { name, text } = statement;
  if (name !== undefined && isTaken(client.connection, name, text)) {
    throw new Error(`Prepared statements must be unique: "${name}" has another text`);
  }
  const step = queryOf(forPg({ ...statement, values: statement.values?.map(prepareValue) }));
  step._result._types ??= client._types;
  return step;
}

/** Also among themselves: the second one would run the text of the first. */
function refuseTwoTexts(statements: readonly HouseStatement[]): void {
  const named = statements.filter((one) => typeof one !== 'string' && one.name !== undefined) as readonly Statement[];
  const texts = new Map(named.map(({ name, text }) => [name, text]));
  const other = named.find(({ name, text }) => texts.get(name) !== text);
  if (other !== undefined) throw new Error(`Prepared statements must be unique: "${other.name}" has another text`);
}

function isTaken({ parsedStatements, submittedNamedStatements }: PgWire, name: string, text: string): boolean {
  const before = parsedStatements[name] ?? submittedNamedStatements[name];
  return before !== undefined && before !== text;
}
