import { type Readable, Transform } from 'node:stream';
import { LifeguardError } from '../errors.ts';
import type { QueryResult } from '../pg/statement.ts';
import type { Lender } from './hook.ts';
import { type ErrorClasses, type SlonikQuery, slonikError } from './slonik-errors.ts';

/** Where slonik says that it takes and gives back a client, and hears what befalls it. */
export interface ClientEvents {
  on(event: string, listener: () => void): unknown;
  emit(event: string, told: unknown): unknown;
}

/** A client of the façade. */
export interface Client {
  on(event: string, listener: (told: { readonly message?: string }) => void): unknown;
  query(given: object): unknown;
  release(): void;
}

/** Of pg-query-stream. https://node-postgres.com/apis/cursor */
export type QueryStreamClass = new (text: string, values?: unknown[]) => object;

interface Imports {
  readonly classes: ErrorClasses;
  readonly QueryStream: QueryStreamClass | undefined;
}

type Field = { readonly dataTypeId: number; readonly name: string };
type PgFields = readonly { readonly dataTypeID: number; readonly name: string }[];

type State =
  | { readonly kind: 'away' }
  | { readonly kind: 'asked'; readonly coming: Promise<Client> }
  | { readonly kind: 'held'; readonly client: Client };

/**
 * One of slonik's connections, which is none: between slonik's acquire and its release it has a client of ours, and takes it
 * with the first statement, in the async context of whoever asks. At slonik's acquire that may be the one of whoever
 * released it.
 */
export class SlonikClient {
  readonly #lender: Lender<Client>;
  readonly #events: ClientEvents;
  readonly #imports: Imports;
  #state: State = AWAY;

  constructor(lender: Lender<Client>, events: ClientEvents, imports: Imports) {
    this.#lender = lender;
    this.#events = events;
    this.#imports = imports;
    events.on('release', () => this.#giveBack());
    events.on('destroy', () => this.#giveBack());
  }

  /** What slonik asks for, by its names. */
  asPoolClient(): object {
    return {
      connect: async () => undefined,
      end: async () => this.#giveBack(),
      query: (sql: string, values?: unknown[], options?: { readonly name?: string }) =>
        this.#query({ sql, values }, options?.name),
      stream: (sql: string, values?: unknown[]) => this.#stream(sql, values),
    };
  }

  async #query({ sql, values }: SlonikQuery, name: string | undefined): Promise<object> {
    const client = await this.#take();
    const { classes } = this.#imports;
    const question = { text: sql, values, queryMode: 'extended', ...(name === undefined ? {} : { name }) };
    let result: QueryResult | QueryResult[];
    try {
      result = (await client.query(question)) as QueryResult | QueryResult[];
    } catch (error) {
      throw slonikError(error, classes, { sql, values });
    }
    if (Array.isArray(result))
      throw new classes.InvalidInputError('Must not use multiple statements in a single query.');
    const { command, rowCount, rows, fields } = result;
    return { command, rowCount, rows, fields: fieldsOf(fields) };
  }

  /** Slonik has its stream at once, and the rows when there is a connection for them. */
  #stream(sql: string, values: unknown[] | undefined): Transform {
    const { QueryStream, classes } = this.#imports;
    if (QueryStream === undefined) throw noStreams();
    const rows = new QueryStream(sql, values) as Readable & { readonly _result?: { readonly fields: PgFields } };
    const out = new Transform({
      objectMode: true,
      transform: (row: unknown, _encoding, done) => done(null, { row, fields: fieldsOf(rows._result?.fields ?? []) }),
      // Whoever stops reading closes the cursor: at once, for slonik releases the client next.
      destroy: (error, done) => {
        rows.destroy();
        done(error);
      },
    });
    const fail = (error: unknown): void => void out.destroy(slonikError(error, classes, { sql, values }) as Error);
    rows.on('error', fail);
    const start = async (): Promise<void> => {
      const client = await this.#take();
      if (out.destroyed) return;
      client.query(rows);
      rows.pipe(out);
    };
    start().catch(fail);
    return out;
  }

  async #take(): Promise<Client> {
    if (this.#state.kind === 'held') return this.#state.client;
    if (this.#state.kind === 'asked') return this.#state.coming;
    const coming = this.#lender.connect();
    const asked: State = { kind: 'asked', coming };
    this.#state = asked;
    try {
      const client = await coming;
      this.#listen(client);
      // Slonik may have given it up meanwhile; then it is on its way back.
      if (this.#state === asked) this.#state = { kind: 'held', client };
      return client;
    } catch (error) {
      if (this.#state === asked) this.#state = AWAY;
      throw error;
    }
  }

  #giveBack(): void {
    const state = this.#state;
    this.#state = AWAY;
    if (state.kind === 'held') state.client.release();
    if (state.kind !== 'asked') return;
    state.coming.then(
      (client) => client.release(),
      () => undefined,
    );
  }

  #listen(client: Client): void {
    const { classes } = this.#imports;
    client.on('error', (error) => this.#events.emit('error', slonikError(error, classes, undefined)));
    client.on('notice', ({ message }) => {
      if (message) this.#events.emit('notice', { message });
    });
  }
}

const AWAY: State = Object.freeze({ kind: 'away' });

function fieldsOf(fields: PgFields): Field[] {
  return fields.map(({ dataTypeID, name }) => ({ dataTypeId: dataTypeID, name }));
}

function noStreams(): LifeguardError {
  const message =
    'Nothing was sent: slonikOptions() was given no QueryStream. Install pg-query-stream, and pass it on.';
  return new LifeguardError('ERR_LIFEGUARD_OPTION', message, { consequence: 'nothing-sent' });
}
