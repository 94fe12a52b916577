import { LifeguardError } from '../errors.ts';
import type { PgConnection } from '../pg/pg-connection.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import type { PoolSnapshot } from '../pool/snapshot.ts';
import type { Base } from './base.ts';
import { FacadeClient } from './client.ts';
import { Conversation } from './conversation.ts';
import type { Facade, Greeter, Manner } from './facade.ts';
import { Greeting } from './greeting.ts';
import { LeaseSeat } from './lease-seat.ts';
import { type Callback, call, deliver, readRequest } from './request.ts';
import type { Seat } from './seat.ts';
import type { Voice } from './voice.ts';

/** As pg calls back: the error, or the client and what gives it back. */
export type Connected = (error: unknown, client: FacadeClient | undefined, release: (error?: unknown) => void) => void;

type State = { readonly kind: 'open' } | { readonly kind: 'ending'; readonly ended: PromiseWithResolvers<void> };

/** What stands behind one `asPgPool()`: pg.Pool's methods, for whoever asks here and now. */
export class PoolFace {
  readonly #facade: Facade;
  readonly #manner: Manner;
  readonly #voice: Voice;
  readonly #greeter: Greeter;
  readonly #out = new Set<FacadeClient>();
  #state: State = { kind: 'open' };

  constructor(facade: Facade, manner: Manner, voice: Voice) {
    this.#facade = facade;
    this.#manner = manner;
    this.#voice = voice;
    this.#greeter = {
      greet: (connection) => new Greeting(connection, { types: manner, voice, clock: facade.ground.clock }).run(),
      mourn: (connection, error) => this.#mourn(connection, error),
    };
    facade.open(this.#greeter);
  }

  query(given: unknown, values: unknown, callback: unknown): unknown {
    if (typeof given === 'function') return deliver(Promise.reject(noFunction()), given as Callback);
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
    this.#facade.close(this.#greeter);
    if (this.#out.size === 0) ended.resolve();
    return deliver(ended.promise, callback);
  }

  snapshot(): PoolSnapshot {
    return this.#facade.snapshot();
  }

  async #ask(statement: Statement, timeoutMillis: number | undefined): Promise<QueryResult | QueryResult[]> {
    this.#refuseEnded();
    const base = this.#facade.base(this.#manner);
    if (base !== undefined) return this.#inside(base, statement, timeoutMillis);
    const options = timeoutMillis === undefined ? undefined : { timeoutMillis };
    return this.#facade.elsewhere(this.#manner, () => this.#facade.query(statement, options));
  }

  /** Not through a client: nobody could end what it begins. */
  #inside(base: Base, statement: Statement, timeoutMillis: number | undefined): Promise<QueryResult | QueryResult[]> {
    const conversation = new Conversation(this.#facade.ground, base);
    return conversation.say(statement, timeoutMillis).finally(() => conversation.end());
  }

  async #client(): Promise<FacadeClient> {
    this.#refuseEnded();
    const client = new FacadeClient(await this.#seat(), this.#manner, (error, one) => this.#released(error, one));
    this.#out.add(client);
    this.#voice.emit('acquire', client);
    return client;
  }

  async #seat(): Promise<Seat> {
    const base = this.#facade.base(this.#manner);
    if (base !== undefined) return new Conversation(this.#facade.ground, base);
    const lease = await this.#facade.elsewhere(this.#manner, () => this.#facade.lease());
    return new LeaseSeat(lease, this.#facade.ground.clock);
  }

  /** Of one that a client has, that client tells. */
  #mourn({ client }: PgConnection, error: unknown): void {
    for (const one of this.#out) if (one.connection === client.connection) return;
    this.#voice.emit('error', error, client);
  }

  #released(error: unknown, client: FacadeClient): void {
    this.#out.delete(client);
    this.#voice.emit('release', error, client);
    if (this.#state.kind === 'ending' && this.#out.size === 0) this.#state.ended.resolve();
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
    if (this.#state.kind === 'ending') throw hasEnded();
  }
}

const NOTHING = (): void => undefined;

function noFunction(): Error {
  return new Error('Passing a function as the first parameter to pool.query is not supported');
}

function endedTwice(): LifeguardError {
  return new LifeguardError('ERR_LIFEGUARD_POOL_CLOSED', 'end() was called on this pg.Pool before, and it has ended.');
}

function hasEnded(): LifeguardError {
  const message =
    'This pg.Pool has ended: somebody called end() on it, perhaps a library that was shut down. Nothing was sent. The pool behind it goes on: give each library one of its own with asPgPool().';
  return new LifeguardError('ERR_LIFEGUARD_POOL_CLOSED', message, { consequence: 'nothing-sent' });
}
