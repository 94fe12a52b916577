import { type Clock, systemClock } from './clock.ts';
import { DeadlineWheel } from './deadline-wheel.ts';
import { describeFigures, isLifeguardError, LifeguardError, nameOf, type PoolFigures } from './errors.ts';
import { Warnings } from './events.ts';
import { readOptions, type Settings } from './options.ts';
import { clientClass } from './pg/driver.ts';
import { asOwnLimit } from './pg/own-limit.ts';
import type { PgConnection } from './pg/pg-connection.ts';
import { PostgresSeam } from './pg/postgres-seam.ts';
import type { QueryResult, Statement } from './pg/statement.ts';
import { verdictOn } from './pg/verdict.ts';
import { Pool } from './pool/pool.ts';
import { closedMeanwhile } from './pool/refusal.ts';
import type { PoolSnapshot } from './pool/snapshot.ts';
import type { PoolOptions } from './pool-options.ts';
import {
  type CallOptions,
  checkCall,
  checkLimits,
  type LimitOptions,
  NO_OPTIONS,
  ownOptions,
  UNLIMITED,
} from './scope/call-options.ts';
import { Hold, type House } from './scope/hold.ts';
import { LeakWatch } from './scope/leak-watch.ts';
import { Lease, type LeaseTime } from './scope/lease.ts';
import { type Limits, withPatience } from './scope/patience.ts';
import { toStatement } from './scope/statement.ts';

export { Owner } from './pool/waiters.ts';

/**
 * A pool of PostgreSQL connections; `createPool` makes one. One per process and database is enough: share it.
 *
 * All rings of the house meet here and nowhere else.
 */
export class LifeguardPool implements AsyncDisposable {
  readonly #settings: Settings;
  readonly #clock: Clock;
  readonly #wheel: DeadlineWheel;
  readonly #pool: Pool<PgConnection>;
  readonly #house: House;
  readonly #leaks: LeakWatch;
  readonly #leaseTime: LeaseTime;
  /** Statements that `query` sent on another connection. */
  #retries = 0;

  /** Use `createPool`. */
  constructor(options: PoolOptions = {}) {
    const settings = readOptions(options);
    const clock = systemClock;
    const warnings = new Warnings(settings.name, settings.logger);
    const leaks = new LeakWatch({ pool: settings.name, ...settings }, warnings);
    const seam = new PostgresSeam(settings, clientClass(), { clock, warnings });
    const pool: Pool<PgConnection> = new Pool({ settings, seam, clock }, (now) => leaks.check(pool.leased(), now));
    this.#settings = settings;
    this.#clock = clock;
    this.#wheel = new DeadlineWheel(clock);
    this.#leaks = leaks;
    this.#pool = pool;
    this.#house = {
      name: settings.name,
      clock,
      pool,
      explain: (error, ranMillis) => asOwnLimit(error, ranMillis, seam.limits),
      verdictOn: (connection) => verdictOn(connection, settings.resetOnRelease),
      leaks,
    };
    this.#leaseTime = {
      limits: (given) => this.#limits(given),
      patience: (awaited, limits) => withPatience(awaited, limits, { wheel: this.#wheel, clock }),
    };
  }

  /** As given to `createPool`: what errors, events and snapshots call this pool. */
  get name(): string {
    return this.#settings.name;
  }

  /**
   * Runs one statement on a connection that is borrowed for it alone and goes back by itself.
   *
   * Where the connection was lost before anything was sent, the statement is sent on another one, three in all; what may
   * have run is never sent again. `timeoutMillis` and `signal` end all of it together: the line, a dial, the
   * statement, which is then cancelled on the server.
   *
   * Rejects with PostgreSQL's own error as pg made it, or with a `LifeguardError`: of the line (`…_ACQUIRE_TIMEOUT`,
   * `…_LINE_FULL`, `…_OVERLOADED`, `…_UNAVAILABLE`, `…_REJECTED`, `…_POOL_CLOSED`), of a limit (`…_DEADLINE`, `…_ABORTED`),
   * of a loss (`…_CONNECTION_LOST`), or of the call itself (`…_ARGUMENT`). `consequence` says whether it may have run.
   *
   * A `BEGIN` sent this way makes no transaction: take a lease.
   */
  async query<Row = Record<string, unknown>>(
    text: string | Statement,
    values?: readonly unknown[],
    options: CallOptions = NO_OPTIONS,
  ): Promise<QueryResult<Row>> {
    const statement = toStatement(text, values);
    const call = options === NO_OPTIONS ? NO_OPTIONS : checkCall(options);
    const limits = options === NO_OPTIONS ? NO_LIMITS : this.#limits(call);
    for (let attempt = 1; ; attempt += 1) {
      const hold = new Hold(this.#house, call, { kind: 'statement', deadline: limits.deadline });
      const begun = hold.begin();
      if (begun !== undefined) await begun;
      try {
        if (limits === NO_LIMITS) return await hold.run<Row>(statement);
        return await this.#leaseTime.patience({ begin: () => hold.run<Row>(statement), wasSent: () => true }, limits);
      } catch (error) {
        if (hold.isOver) throw closedMeanwhile(this.name, error);
        if (attempt === MAX_ATTEMPTS || !wasNeverSent(error)) throw error;
        this.#retries += 1;
      } finally {
        hold.end();
      }
    }
  }

  /**
   * A connection for the caller alone, until the lease ends: `await using lease = await pool.lease()`, or `release()` in
   * a `finally`. The limits bound the wait for it; each statement on it takes limits of its own. Rejects as `query` does.
   */
  async lease(options: CallOptions = NO_OPTIONS): Promise<Lease> {
    const call = options === NO_OPTIONS ? NO_OPTIONS : checkCall(options);
    const { deadline } = options === NO_OPTIONS ? NO_LIMITS : this.#limits(call);
    const hold = new Hold(this.#house, call, { kind: 'lease', deadline });
    this.#leaks.began(hold);
    const begun = hold.begin();
    if (begun !== undefined) await begun;
    return new Lease(hold, this.#leaseTime);
  }

  /** A frozen reading of the pool. It uses no connection. */
  snapshot(): PoolSnapshot {
    const reading = {
      ...this.#pool.snapshot(),
      retries: this.#retries,
      commits: Object.freeze({ committed: 0, notCommitted: 0, unknown: 0 }),
    };
    return Object.freeze(reading);
  }

  /**
   * Resolves when `min` connections, and at least one, are open. It outlasts a server that is down, until
   * `timeoutMillis` (30 s), and then rejects with `ERR_LIFEGUARD_UNAVAILABLE`, with the last failure of a dial as its
   * `cause`. A refusal for good (a wrong password) rejects it at once, and so does any failure with `startup: 'fail'`.
   */
  async ready(options: LimitOptions = UNLIMITED): Promise<void> {
    const { timeoutMillis = READY_MILLIS, signal } = checkLimits(options);
    const late = new AbortController();
    const timer = this.#clock.after(timeoutMillis, () =>
      late.abort(notReady(this.#pool.figures(), timeoutMillis, this.#pool.failure)),
    );
    try {
      await this.#pool.ready(signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]));
    } catch (error) {
      // To the pool it was a caller who left; here it is known that it was the time.
      throw late.signal.aborted && signal?.aborted !== true ? late.signal.reason : error;
    } finally {
      timer.cancel();
    }
  }

  /** Replaces every connection: idle ones now, leased ones when they come back. For a failover or new credentials. */
  invalidate(reason: string): void {
    this.#pool.invalidate(String(reason));
  }

  /** Changes the size while the pool runs. What is too many goes when it is idle. */
  resize(size: { readonly min?: number | undefined; readonly max?: number | undefined }): void {
    const { min = this.#pool.size.min, max = this.#pool.size.max } = ownOptions(size, SAME_SIZE, refuseSize);
    readOptions({ min, max });
    this.#pool.resize(min, max);
  }

  /** Callers wait, up to their limits, until `resume()`. What is leased goes on. */
  pause(): void {
    this.#pool.pause();
  }

  /** Serves the line again. Harmless when the pool is not paused. */
  resume(): void {
    this.#pool.resume();
  }

  /**
   * Refuses new work, lets leases end for up to `graceMillis` (10 s), then closes them. Resolves when the server has closed
   * every connection, or had `closeTimeoutMillis` to do so. A second call awaits the first one.
   */
  async close(options: { readonly graceMillis?: number | undefined } = NO_GRACE): Promise<void> {
    const { graceMillis = GRACE_MILLIS } = ownOptions(options, NO_GRACE, refuseClose);
    if (!Number.isFinite(graceMillis) || graceMillis < 0) {
      refuseClose(`graceMillis must be a number of at least 0, not ${String(graceMillis)}`);
    }
    await this.#pool.close(graceMillis);
  }

  /** `await using pool = createPool()`: closes with a grace of 10 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #limits({ signal, timeoutMillis }: CallOptions): Limits {
    return { signal, deadline: timeoutMillis === undefined ? undefined : this.#clock.now() + timeoutMillis };
  }
}

/**
 * Makes a pool. Opens nothing yet, unless `min` or `startup` say so; PG* variables fill what is absent, as in pg. Throws
 * `ERR_LIFEGUARD_OPTION` when an option is unknown, of the wrong kind, or against another one.
 */
export function createPool(options?: PoolOptions): LifeguardPool {
  return new LifeguardPool(options);
}

const NO_LIMITS: Limits = Object.freeze({ signal: undefined, deadline: undefined });

/** A connection that ends in the moment it is lent is bad luck; three in a row are a server that goes down. */
const MAX_ATTEMPTS = 3;

function wasNeverSent(error: unknown): boolean {
  return isLifeguardError(error, 'ERR_LIFEGUARD_CONNECTION_LOST') && error.consequence === 'nothing-sent';
}

const READY_MILLIS = 30_000;
const GRACE_MILLIS = 10_000;
const NO_GRACE: { readonly graceMillis?: number | undefined } = Object.freeze({ graceMillis: undefined });
const SAME_SIZE: Readonly<Record<'min' | 'max', number | undefined>> = Object.freeze({
  min: undefined,
  max: undefined,
});

function refuseClose(complaint: string): never {
  throw new LifeguardError('ERR_LIFEGUARD_ARGUMENT', `close() was not begun: ${complaint}.`);
}

function refuseSize(complaint: string): never {
  throw new LifeguardError('ERR_LIFEGUARD_OPTION', `resize() changed nothing: ${complaint}`);
}

function notReady(figures: PoolFigures, millis: number, cause: unknown): LifeguardError {
  const why =
    cause === undefined
      ? 'Is the server up, and does it accept this user?'
      : `Dials fail (${nameOf(cause)}): see the cause.`;
  const message = `Pool "${figures.pool}" was not ready within ${millis} ms; ${describeFigures(figures)}. ${why}`;
  const details = { figures, cause, consequence: 'nothing-sent', retryAfterSeconds: 1 } as const;
  return new LifeguardError('ERR_LIFEGUARD_UNAVAILABLE', message, details);
}
