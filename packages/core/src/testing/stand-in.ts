import type { LifeguardError } from '../errors.ts';
import type { PgConnection } from '../pg/pg-connection.ts';
import type { PgClient, ServerMessage } from '../pg/pg-subset.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import type { Group, GroupAnswer } from '../pg/sync-group.ts';
import type { Verdict } from '../pool/seam.ts';
import type { Enclosing } from './enclosing.ts';
import { InnerSession } from './inner-session.ts';
import type { Wire } from './wire.ts';

type State =
  | { readonly kind: 'ready' }
  | { readonly kind: 'waiting'; readonly over: Promise<void>; readonly abort: AbortController }
  | { readonly kind: 'running'; readonly over: Promise<void> };

/** What units of work do with a connection. */
type Likeness = Pick<
  PgConnection,
  'kind' | 'query' | 'group' | 'submit' | 'transactionStatus' | 'lastFailure' | 'lastNotice' | 'loss'
> & {
  readonly session: Pick<PgConnection['session'], 'writes'>;
  readonly client: PgClient | undefined;
};

/**
 * Stands in for a connection inside a sandbox: to the pool and to units of work it is one. It has the wire for the time
 * of a statement, and from a BEGIN on until the transaction ends.
 */
export class StandIn implements Likeness {
  readonly #wire: Wire;
  readonly #inner: InnerSession;
  #state: State = READY;
  #leave: (() => void) | undefined = undefined;
  #lastFailure: unknown = undefined;
  #client: PgClient | undefined = undefined;
  /** What its statements mean for the pool is for the pool's own connection to say. */
  readonly session: Likeness['session'] = Object.freeze({ writes: (): void => undefined });

  constructor(around: Enclosing) {
    this.#wire = around.wire;
    this.#inner = new InnerSession(around);
  }

  get kind(): 'ready' | 'running' | 'ended' {
    if (this.#state.kind !== 'ready') return 'running';
    return this.#wire.refusal === undefined ? 'ready' : 'ended';
  }

  get transactionStatus(): 'I' | 'T' | 'E' | null {
    return this.kind === 'ready' ? this.#inner.transactionStatus : null;
  }

  /** Always the same one, until there is none. */
  get client(): PgClient | undefined {
    if (this.#wire.connection === undefined) return undefined;
    this.#client ??= this.#wire.clientFor({
      transactionStatus: () => this.transactionStatus,
      isAtWork: () => this.#state.kind === 'running',
    });
    return this.#client;
  }

  get lastFailure(): unknown {
    return this.#lastFailure;
  }

  get lastNotice(): ServerMessage | undefined {
    return this.#wire.connection?.lastNotice;
  }

  get loss(): LifeguardError {
    return this.#wire.refusal ?? (this.#wire.connection as PgConnection).loss;
  }

  get verdict(): Verdict {
    if (this.#state.kind !== 'ready') return { kind: 'interrupt' };
    if (this.kind === 'ended') return { kind: 'discard', reason: 'lost' };
    return this.#inner.isTidy ? { kind: 'keep' } : { kind: 'clean' };
  }

  query<Row>(statement: Statement): Promise<QueryResult<Row>> {
    return this.#inTurn(() => this.#inner.query<Row>(statement));
  }

  async group(group: Group): Promise<GroupAnswer> {
    const answer = await this.#inTurn(() => this.#inner.group(group));
    this.#lastFailure = answer.failure?.error;
    return answer;
  }

  async submit(submittable: Submittable): Promise<void> {
    await this.#inTurn(() => this.#inner.submit(submittable));
    this.#lastFailure = this.#wire.lastFailure;
  }

  clean(): Promise<void> {
    return this.#inTurn(() => this.#inner.clean());
  }

  /** Ends what runs, or does not run yet. */
  async stop(): Promise<void> {
    const state = this.#state;
    if (state.kind === 'ready') return;
    if (state.kind === 'waiting') state.abort.abort(new Error('given up before its turn'));
    else await this.#wire.stop();
    await state.over;
  }

  async #inTurn<T>(job: () => Promise<T>): Promise<T> {
    if (this.#state.kind !== 'ready') throw new Error('bug: a statement was sent before the last one was answered');
    const { promise: over, resolve } = Promise.withResolvers<void>();
    this.#lastFailure = undefined;
    try {
      if (this.#leave === undefined) {
        const abort = new AbortController();
        this.#state = { kind: 'waiting', over, abort };
        this.#leave = await this.#wire.enter(abort.signal);
      }
      this.#state = { kind: 'running', over };
      return await job();
    } catch (error) {
      this.#lastFailure = error;
      throw error;
    } finally {
      this.#state = READY;
      if (this.#inner.transactionStatus === 'I' || this.#wire.refusal !== undefined) this.#handOn();
      resolve();
    }
  }

  #handOn(): void {
    this.#leave?.();
    this.#leave = undefined;
  }
}

const READY: State = Object.freeze({ kind: 'ready' });
