import { type Clock, systemClock } from './clock.ts';
import { DeadlineWheel } from './deadline-wheel.ts';
import { isLifeguardError, LifeguardError } from './errors.ts';
import { Warnings } from './events.ts';
import { readOptions, type Settings } from './options.ts';
import type { QueryResult, Statement } from './pg/connection.ts';
import { clientClass } from './pg/driver.ts';
import type { PgConnection } from './pg/pg-connection.ts';
import { PostgresSeam } from './pg/postgres-seam.ts';
import { verdictOn } from './pg/verdict.ts';
import { Pool } from './pool/pool.ts';
import { closedMeanwhile } from './pool/refusal.ts';
import type { PoolSnapshot } from './pool/snapshot.ts';
import type { PoolOptions } from './pool-options.ts';
import { type CallOptions, checkCall } from './scope/call-options.ts';
import { Hold, type House } from './scope/hold.ts';
import { LeakWatch } from './scope/leak-watch.ts';
import { Lease, type LeaseTime } from './scope/lease.ts';
import { type Limits, withPatience } from './scope/patience.ts';
import { toStatement } from './scope/statement.ts';

export { Owner } from './pool/waiters.ts';

/** A pool of PostgreSQL connections: what users hold. All rings meet here and nowhere else. */
export class LifeguardPool implements AsyncDisposable {
  readonly #settings: Settings;
  readonly #clock: Clock;
  readonly #wheel: DeadlineWheel;
  readonly #pool: Pool<PgConnection>;
  readonly #house: House;
  readonly #leaks: LeakWatch;
  readonly #leaseTime: LeaseTime;

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
      verdictOn: (connection) => verdictOn(connection, settings.resetOnRelease),
      returned: (...account) => leaks.returned(...account),
    };
    this.#leaseTime = {
      limits: (given) => this.#limits(given),
      patience: (awaited, limits) => withPatience(awaited, limits, { wheel: this.#wheel, clock }),
    };
  }

  get name(): string {
    return this.#settings.name;
  }

  /** Runs one statement on a connection that is borrowed for it alone. */
  async query<Row = Record<string, unknown>>(
    text: string | Statement,
    values?: readonly unknown[],
    options: CallOptions = NO_OPTIONS,
  ): Promise<QueryResult<Row>> {
    const statement = toStatement(text, values);
    const limits = options === NO_OPTIONS ? NO_LIMITS : this.#limits(checkCall(options));
    for (let attempt = 1; ; attempt += 1) {
      const hold = new Hold(this.#house, options, { kind: 'statement', deadline: limits.deadline });
      const begun = hold.begin();
      if (begun !== undefined) await begun;
      try {
        if (limits === NO_LIMITS) return await hold.run<Row>(statement);
        return await this.#leaseTime.patience({ begin: () => hold.run<Row>(statement), wasSent: () => true }, limits);
      } catch (error) {
        if (hold.isOver) throw closedMeanwhile(this.name, error);
        if (attempt === MAX_ATTEMPTS || !wasNeverSent(error)) throw error;
      } finally {
        hold.end();
      }
    }
  }

  /** A connection for the caller alone, until the lease ends: `await using lease = await pool.lease()`. */
  async lease(options: CallOptions = NO_OPTIONS): Promise<Lease> {
    const { deadline } = options === NO_OPTIONS ? NO_LIMITS : this.#limits(checkCall(options));
    const hold = new Hold(this.#house, options, { kind: 'lease', deadline });
    this.#leaks.began(hold);
    const begun = hold.begin();
    if (begun !== undefined) await begun;
    return new Lease(hold, this.#leaseTime);
  }

  /** A frozen reading of the pool. It uses no connection. */
  snapshot(): PoolSnapshot {
    const reading = {
      ...this.#pool.snapshot(),
      retries: 0,
      commits: Object.freeze({ committed: 0, notCommitted: 0, unknown: 0 }),
    };
    return Object.freeze(reading);
  }

  /**
   * Resolves when `min` connections, and at least one, are open. With `startup: 'wait'` it outlasts a server that is
   * down, until `timeoutMillis`; otherwise the first failure rejects it.
   */
  async ready({
    timeoutMillis = 30_000,
    signal,
  }: {
    timeoutMillis?: number;
    signal?: AbortSignal;
  } = {}): Promise<void> {
    checkCall({ timeoutMillis, signal });
    const late = new AbortController();
    const timer = this.#clock.after(timeoutMillis, () => late.abort(notReady(this.name, timeoutMillis)));
    try {
      await this.#pool.ready(signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]));
    } finally {
      timer.cancel();
    }
  }

  /** Replaces every connection: idle ones now, leased ones when they come back. For a failover or new credentials. */
  invalidate(reason: string): void {
    this.#pool.invalidate(String(reason));
  }

  /** Changes the size while the pool runs. What is too many goes when it is idle. */
  resize({ min = this.#pool.size.min, max = this.#pool.size.max }: { min?: number; max?: number }): void {
    readOptions({ min, max });
    this.#pool.resize(min, max);
  }

  /** Callers wait, up to their limits, until `resume()`. What is leased goes on. */
  pause(): void {
    this.#pool.pause();
  }

  resume(): void {
    this.#pool.resume();
  }

  /**
   * Refuses new work, lets leases end for up to `graceMillis`, then closes them. Resolves when the server has closed
   * every connection, or had `closeTimeoutMillis` to do so. A second call awaits the first one.
   */
  async close({ graceMillis = 10_000 }: { graceMillis?: number } = {}): Promise<void> {
    if (!Number.isFinite(graceMillis) || graceMillis < 0) {
      throw new LifeguardError(
        'ERR_LIFEGUARD_ARGUMENT',
        `graceMillis must be a number of at least 0, not ${graceMillis}.`,
      );
    }
    await this.#pool.close(graceMillis);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #limits({ signal, timeoutMillis }: CallOptions): Limits {
    return { signal, deadline: timeoutMillis === undefined ? undefined : this.#clock.now() + timeoutMillis };
  }
}

/** Opens nothing yet, unless `min` or `startup` say so. Throws when an option is not right. */
export function createPool(options?: PoolOptions): LifeguardPool {
  return new LifeguardPool(options);
}

const NO_OPTIONS: CallOptions = Object.freeze({});
const NO_LIMITS: Limits = Object.freeze({ signal: undefined, deadline: undefined });

/** A connection that ends in the moment it is lent is bad luck; three in a row are a server that goes down. */
const MAX_ATTEMPTS = 3;

function wasNeverSent(error: unknown): boolean {
  return isLifeguardError(error, 'ERR_LIFEGUARD_CONNECTION_LOST') && error.consequence === 'nothing-sent';
}

function notReady(pool: string, millis: number): LifeguardError {
  const message = `Pool "${pool}" was not ready within ${millis} ms. Is the server up, and does it accept this user?`;
  return new LifeguardError('ERR_LIFEGUARD_UNAVAILABLE', message, { retryAfterSeconds: 1 });
}
