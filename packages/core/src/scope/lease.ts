import { LifeguardError } from '../errors.ts';
import type { PgClient } from '../pg/pg-subset.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import { type CallOptions, checkLimits, type LimitOptions, UNLIMITED } from './call-options.ts';
import type { Hold } from './hold.ts';
import type { Awaited, Limits } from './patience.ts';
import { toStatement } from './statement.ts';

/** What a lease needs of its pool. */
export interface LeaseTime {
  limits(options: CallOptions): Limits;
  patience<T>(awaited: Awaited<T>, limits: Limits): Promise<T>;
}

type State =
  | { readonly kind: 'held'; readonly hold: Hold; last: Promise<unknown> | undefined }
  | { readonly kind: 'ended'; readonly how: string };

/**
 * A connection on loan, for work that needs one session: a transaction written by hand, `LISTEN`, a temporary table. It
 * ends once, by `release()` or `discard()`, or by itself at the end of an `await using`; statements on it take turns.
 * What it leaves behind in the session is put back before the next borrower; an open transaction costs the connection.
 */
export class Lease implements AsyncDisposable {
  readonly #time: LeaseTime;
  #state: State;

  /** @internal */
  constructor(hold: Hold, time: LeaseTime) {
    this.#state = { kind: 'held', hold, last: undefined };
    this.#time = time;
    FORGOTTEN.register(this, hold, hold);
  }

  /** Whether it has ended: by its holder, or because the connection was taken away. */
  get ended(): boolean {
    return this.#state.kind === 'ended' || this.#state.hold.isOver;
  }

  /**
   * Runs a statement on this connection, after those that were asked for before. One that is given up while it runs
   * ends the lease: what is left of it must not meet the next statement. After the lease has ended, and where it ends
   * while the statement runs, it rejects with `ERR_LIFEGUARD_LEASE_ENDED`.
   */
  async query<Row = Record<string, unknown>>(
    text: string | Statement,
    values?: readonly unknown[],
    options: LimitOptions = UNLIMITED,
  ): Promise<QueryResult<Row>> {
    const statement = toStatement(text, values);
    const limits = this.#time.limits(checkLimits(options));
    const turn: Turn = { phase: 'queued' };
    try {
      const held = this.#held();
      const begin = (): Promise<QueryResult<Row>> => this.#inTurn(held, () => this.#run<Row>(statement, turn));
      return await this.#time.patience({ begin, wasSent: () => turn.phase !== 'queued' }, limits);
    } catch (error) {
      if (turn.phase === 'sent') this.#end('abandoned when a statement was given up');
      turn.phase = 'over';
      throw error;
    }
  }

  /** @internal A cursor, a stream or a COPY, after what was asked for before. Resolves when it is through. */
  async submit(submittable: Submittable, begun: () => void): Promise<void> {
    return this.#inTurn(this.#held(), () => {
      const { hold } = this.#held();
      begun();
      return hold.submit(submittable);
    });
  }

  /** @internal The driver's client, for as long as the lease lasts. */
  get client(): PgClient | undefined {
    return this.#state.kind === 'held' ? this.#state.hold.client : undefined;
  }

  /** @internal Gives the connection back when all is through that was asked for. */
  async releaseAfterAll(): Promise<void> {
    while (this.#state.kind === 'held' && this.#state.last !== undefined) await this.#state.last.catch(() => undefined);
    this.#end('released');
  }

  /** Gives the connection back. Resolves when it has been given back; a second call does nothing. */
  async release(): Promise<void> {
    this.#end('released');
  }

  /** Ends the lease; the connection is closed and replaced. For a session that is known to be unfit; `reason` is told to those who still use the lease. */
  async discard(reason: string): Promise<void> {
    this.#end(`discarded (${reason})`, 'discarded');
  }

  /** Releases it, also when its block throws. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.release();
  }

  #end(how: string, discard?: 'discarded'): void {
    const state = this.#state;
    if (state.kind === 'ended') return;
    this.#state = { kind: 'ended', how };
    // Or every lease would outlive the young generation, and be called for once more after its end.
    FORGOTTEN.unregister(state.hold);
    state.hold.end(discard);
  }

  #held(): State & { kind: 'held' } {
    if (this.#state.kind === 'ended') throw leaseEnded(this.#state.how);
    if (this.#state.hold.isOver) throw leaseEnded('taken away by the pool');
    return this.#state;
  }

  #inTurn<T>(state: State & { kind: 'held' }, run: () => Promise<T>): Promise<T> {
    const answer = state.last === undefined ? run() : state.last.then(run, run);
    state.last = answer;
    const forget = (): void => {
      if (state.last === answer) state.last = undefined;
    };
    answer.then(forget, forget);
    return answer;
  }

  async #run<Row>(statement: Statement, turn: Turn): Promise<QueryResult<Row>> {
    const { hold } = this.#held();
    if (turn.phase === 'over') throw leaseEnded('not needed any more by the time it was the turn of this statement');
    turn.phase = 'sent';
    try {
      return await hold.run<Row>(statement);
    } catch (cause) {
      if (this.#state.kind === 'ended') throw leaseEnded(this.#state.how, cause);
      if (hold.isOver) throw leaseEnded('taken away by the pool', cause);
      throw cause;
    } finally {
      turn.phase = 'over';
    }
  }
}

/** Where a statement stands. Only one that is given up between being sent and being answered endangers the next one. */
interface Turn {
  phase: 'queued' | 'sent' | 'over';
}

function leaseEnded(how: string, cause?: unknown): LifeguardError {
  const sent =
    cause === undefined
      ? 'Nothing was sent.'
      : 'The statement was running then and was cancelled; it may have run to its end.';
  const consequence = cause === undefined ? 'nothing-sent' : 'may-have-run';
  return new LifeguardError(
    'ERR_LIFEGUARD_LEASE_ENDED',
    `The lease was ${how}. ${sent} Await every statement before its lease ends.`,
    {
      cause,
      consequence,
    },
  );
}

/**
 * The last resort for a lease that its holder has forgotten and that nothing can reach any more.
 * https://developer.mozilla.org/docs/Web/JavaScript/Reference/Global_Objects/FinalizationRegistry
 */
const FORGOTTEN = new FinalizationRegistry<Hold>((hold) => hold.end('collected'));
