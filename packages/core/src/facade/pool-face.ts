import { LifeguardError } from '../errors.ts';
import type { PgConnection } from '../pg/pg-connection.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import type { PoolSnapshot } from '../pool/snapshot.ts';
import type { Base } from './base.ts';
import { FacadeClient } from './client.ts';
import { Conversation } from './conversation.ts';
import { Greeting } from './greeting.ts';
import { LeaseSeat } from './lease-seat.ts';
import { NOTHING } from './nothing.ts';
import { type Callback, call, deliver, readRequest } from './request.ts';
import type { Seat } from './seat.ts';
import type { Voice } from './voice.ts';
import type { Greeter, Manner, Whereabouts } from './whereabouts.ts';

/** As pg calls back: the error, or the client and what gives it back. */
export type Connected = (error: unknown, client: FacadeClient | undefined, release: (error?: unknown) => void) => void;

type State = { readonly kind: 'open' } | { readonly kind: 'ending'; readonly ended: PromiseWithResolvers<void> };

/** What stands behind one `asPgPool()`: pg.Pool's methods, for whoever asks here and now. */
export class PoolFace {
  readonly #whereabouts: Whereabouts;
  readonly #manner: Manner;
  readonly #voice: Voice;
  readonly #greeter: Greeter;
  /** The connections of clients that are out: each tells of its own loss. */
  readonly #lent = new WeakSet<object>();
  /** Statements that run, and clients that have a connection of their own. */
  #busy = 0;
  #state: State = { kind: 'open' };

  constructor(whereabouts: Whereabouts, manner: Manner, voice: Voice) {
    this.#whereabouts = whereabouts;
    this.#manner = manner;
    this.#voice = voice;
    const occasion = { types: manner, voice, watched: new WeakSet<PgConnection>() };
    this.#greeter = {
      greet: (connection) => new Greeting(connection, { ...occasion, clock: whereabouts.ground.clock }).run(),
      mourn: (connection, error) => this.#mourn(connection, error),
    };
    whereabouts.open(this.#greeter);
  }

  query(given: unknown, values: unknown, callback: unknown): unknown {
    if (typeof given === 'function') return deliver(Promise.reject(functionForText()), given as Callback);
    const request = readRequest({ given, values, callback }, this.#manner.types);
    if (request.kind === 'submittable') return this.#submit(request.submittable);
    if (request.kind === 'mistake') return deliver(Promise.reject(request.error), request.callback);
    return deliver(this.#ask(request.statement, request.timeoutMillis), request.callback);
  }

  /** In a transaction around it that is a part of that; else a connection, which is waited for. */
  connect(callback: Connected | undefined): Promise<FacadeClient> | undefined {
    const client = this.#client();
    if (callback === undefined) return client;
    client.then(
      (one) => call(callback, undefined, one, one.release),
      (error: unknown) => call(callback, error, undefined, NOTHING),
    );
    return undefined;
  }

  /** Ends this façade, and not the pool, which is not the library's: whoever made that closes it. */
  end(callback: Callback | undefined, over: () => void): Promise<void> | undefined {
    if (this.#state.kind === 'ending') return deliver(Promise.reject(endedTwice()), callback);
    const ended = Promise.withResolvers<void>();
    void ended.promise.then(over);
    this.#state = { kind: 'ending', ended };
    this.#whereabouts.close(this.#greeter);
    if (this.#busy === 0) ended.resolve();
    return deliver(ended.promise, callback);
  }

  snapshot(): PoolSnapshot {
    return this.#whereabouts.snapshot();
  }

  async #ask(statement: Statement, timeoutMillis: number | undefined): Promise<QueryResult | QueryResult[]> {
    this.#refuseEnded();
    const base = this.#whereabouts.base(this.#manner);
    if (base !== undefined) return this.#inside(base, statement, timeoutMillis);
    const options = timeoutMillis === undefined ? undefined : { timeoutMillis };
    const done = this.#began();
    return this.#whereabouts.elsewhere(this.#manner, () => this.#whereabouts.query(statement, options)).finally(done);
  }

  /** Not through a client: nobody could end what it begins. */
  #inside(base: Base, statement: Statement, timeoutMillis: number | undefined): Promise<QueryResult | QueryResult[]> {
    if (!this.#whereabouts.ground.server.read(statement.text).hasControl) return base.run(statement, timeoutMillis);
    const conversation = new Conversation(this.#whereabouts.ground, base);
    return conversation.say(statement, timeoutMillis).finally(() => conversation.end());
  }

  async #client(): Promise<FacadeClient> {
    this.#refuseEnded();
    const base = this.#whereabouts.base(this.#manner);
    const seat = base === undefined ? await this.#lease() : new Conversation(this.#whereabouts.ground, base);
    const client = new FacadeClient(seat, this.#manner, (error, one) => this.#voice.emit('release', error, one));
    this.#voice.emit('acquire', client);
    return client;
  }

  async #lease(): Promise<Seat> {
    const done = this.#began();
    try {
      const lease = await this.#whereabouts.elsewhere(this.#manner, () => this.#whereabouts.lease());
      const { connection } = lease.client ?? {};
      if (connection !== undefined) this.#lent.add(connection);
      const ended = (): void => {
        if (connection !== undefined) this.#lent.delete(connection);
        done();
      };
      // Whoever waited may have been overtaken by an end().
      if (this.#state.kind === 'ending') await lease.release();
      this.#refuseEnded();
      return new LeaseSeat(lease, { clock: this.#whereabouts.ground.clock, ended });
    } catch (error) {
      done();
      throw error;
    }
  }

  /** `end()` waits for it, until the answer is called. */
  #began(): () => void {
    this.#busy += 1;
    return () => {
      this.#busy -= 1;
      if (this.#busy === 0 && this.#state.kind === 'ending') this.#state.ended.resolve();
    };
  }

  /** Of one that a client has, that client tells. */
  #mourn({ client }: PgConnection, error: unknown): void {
    if (!this.#lent.has(client.connection)) this.#voice.emit('error', error, client);
  }

  /** The cursor at once, as on a client; the connection goes back when it is through. */
  #submit(submittable: Submittable): Submittable {
    const submit = async (): Promise<void> => {
      const client = await this.#client();
      try {
        await client.lend(submittable);
      } finally {
        client.release();
      }
    };
    submit().catch((error: unknown) => (submittable as { handleError?(error: unknown): void }).handleError?.(error));
    return submittable;
  }

  #refuseEnded(): void {
    if (this.#state.kind === 'ending') throw endedBefore();
  }
}

/** In the words of pg's pool, which are matched on. */
function functionForText(): Error {
  return new Error('Passing a function as the first parameter to pool.query is not supported');
}

function endedTwice(): LifeguardError {
  return new LifeguardError('ERR_LIFEGUARD_POOL_CLOSED', 'end() was called on this pg.Pool before, and it has ended.');
}

function endedBefore(): LifeguardError {
  const message =
    'This pg.Pool has ended: somebody called end() on it, perhaps a library that was shut down. Nothing was sent. The pool behind it goes on: give each library one of its own with asPgPool().';
  return new LifeguardError('ERR_LIFEGUARD_POOL_CLOSED', message, { consequence: 'nothing-sent' });
}
