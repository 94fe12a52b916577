import { EventEmitter } from 'node:events';
import type { PgClient } from '../pg/pg-subset.ts';
import type { Submittable } from '../pg/submittable.ts';
import { Echo } from './echo.ts';
import { type Callback, deliver, type Request, readRequest } from './request.ts';
import { givenBack, type Seat } from './seat.ts';
import { submitHere } from './submitting.ts';
import { type TypeChoice, TypeOverrides } from './type-overrides.ts';

/** Told when the client is given back, once. */
export type Release = (error: unknown, client: FacadeClient) => void;

/**
 * What a library takes for a client of pg's pool: each `connect()` makes one, so that what it writes on it, or does
 * to it twice, concerns nobody else.
 */
export class FacadeClient extends EventEmitter {
  /** By these, some tell a client from a pool, and one that is open from one that is not. */
  readonly _connected = true;
  readonly _ending = false;
  readonly _queryable = true;
  readonly #seat: Seat;
  readonly #types: TypeOverrides;
  readonly #echo: Echo;
  #state: 'open' | 'released' = 'open';
  /** May be called without its client, and more than once. */
  readonly release: (error?: unknown) => void;

  constructor(seat: Seat, types: TypeChoice, released: Release) {
    super();
    this.#seat = seat;
    this.#types = new TypeOverrides(types);
    this.#echo = new Echo(this, () => this.#client);
    this.release = (error) => {
      if (this.#state === 'released') return;
      this.#state = 'released';
      this.#echo.stop();
      seat.end(error);
      released(error, this);
    };
  }

  query(given: unknown, values?: unknown, callback?: unknown): unknown {
    if (given === null || given === undefined) throw new TypeError('Client was passed a null or undefined query');
    const request = readRequest({ given, values, callback: callbackIn(given, callback) }, this.#types.inForce);
    this.#echo.listen();
    if (request.kind === 'submittable') {
      void this.lend(request.submittable);
      return given;
    }
    return deliver(request.kind === 'mistake' ? Promise.reject(request.error) : this.#say(request), request.callback);
  }

  #say({ statement, timeoutMillis }: Request & { kind: 'statement' }): Promise<unknown> {
    return this.#state === 'open' ? this.#seat.say(statement, timeoutMillis) : Promise.reject(givenBack());
  }

  /** A cursor, a stream or a COPY. Resolves when nothing of it needs this client any more. */
  lend(submittable: Submittable): Promise<void> {
    const submit = async (): Promise<unknown> => {
      if (this.#state !== 'open') throw givenBack();
      return this.#seat.submit(submittable);
    };
    return submitHere(submittable, { types: this.#types.inForce, connection: this.connection, submit });
  }

  /** It is connected. */
  connect(callback?: Callback): Promise<this> | undefined {
    return deliver(Promise.resolve(this), callback);
  }

  /** The connection is not the library's to close. */
  end(callback?: Callback): Promise<void> | undefined {
    this.release();
    return deliver(Promise.resolve(), callback);
  }

  get connection(): object {
    return this.#client?.connection ?? this.#echo.stub;
  }

  get processID(): number | null {
    return this.#client?.processID ?? null;
  }

  getTransactionStatus(): 'I' | 'T' | 'E' | null {
    return this.#client?.getTransactionStatus() ?? null;
  }

  getTypeParser(oid: number, format?: string): unknown {
    return this.#types.getTypeParser(oid, format);
  }

  setTypeParser(oid: number, format: unknown, parser?: unknown): void {
    this.#types.setTypeParser(oid, format, parser);
  }

  /** https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS */
  escapeIdentifier(name: string): string {
    return `"${String(name).replaceAll('"', '""')}"`;
  }

  /** https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-STRINGS-ESCAPE */
  escapeLiteral(text: string): string {
    const quoted = String(text).replaceAll("'", "''").replaceAll('\\', '\\\\');
    return quoted.includes('\\') ? ` E'${quoted}'` : `'${quoted}'`;
  }

  ref(): void {
    this.#client?.ref();
  }

  unref(): void {
    this.#client?.unref();
  }

  get #client(): PgClient | undefined {
    return this.#state === 'open' ? this.#seat.client : undefined;
  }
}

/** A client, other than a pool, looks for one in the object as well. */
function callbackIn(given: unknown, beside: unknown): unknown {
  const callback = beside ?? (given as { readonly callback?: unknown }).callback ?? undefined;
  const isSubmittable = typeof (given as { readonly submit?: unknown }).submit === 'function';
  if (isSubmittable || callback === undefined || typeof callback === 'function')
    return isSubmittable ? beside : callback;
  throw new TypeError('callback is not a function');
}
