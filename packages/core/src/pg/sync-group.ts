import { prepareValue, queryOf } from './driver.ts';
import type { PgClient, PgQuery, PgWire } from './pg-subset.ts';
import { forPg, type QueryResult, type Statement } from './statement.ts';

/** What travels together. Around the user's own statements are the house's, which leave nothing behind. */
export interface Group {
  readonly before: readonly Statement[];
  readonly statements: readonly Statement[];
  readonly after: readonly Statement[];
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
  constructor(client: PgClient, statements: readonly Statement[]) {
    const taken = statements.find(({ name, text }) => name !== undefined && isTaken(client.connection, name, text));
    if (taken !== undefined) throw new Error(`Prepared statements must be unique: "${taken.name}" has another text`);
    this.#steps = statements.map((statement) => stepOf(client, statement));
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
    // pg ends each statement with a Sync. Here there is one for all.
    const withoutSync = Object.create(connection, { sync: { value: () => undefined } }) as PgWire;
    connection.stream.cork();
    try {
      for (const step of this.#steps) step.prepare(withoutSync);
      connection.sync();
    } finally {
      connection.stream.uncork();
    }
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

/** Converted before anything is written: a half-written group cannot be taken back. */
function stepOf(client: PgClient, statement: Statement): PgQuery {
  const step = queryOf(forPg({ ...statement, values: statement.values?.map(prepareValue) }));
  step._result._types ??= client._types;
  return step;
}

function isTaken({ parsedStatements, submittedNamedStatements }: PgWire, name: string, text: string): boolean {
  const before = parsedStatements[name] ?? submittedNamedStatements[name];
  return before !== undefined && before !== text;
}
