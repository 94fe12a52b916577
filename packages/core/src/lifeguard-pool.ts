import { type Clock, systemClock } from './clock.ts';
import { DeadlineWheel } from './deadline-wheel.ts';
import { LifeguardError } from './errors.ts';
import { Warnings } from './events.ts';
import { type Likeness, likenessOf } from './facade/likeness.ts';
import { pgPool } from './facade/pg-pool.ts';
import type { PgModule, PgPoolOptions } from './facade/pg-pool-options.ts';
import { Whereabouts } from './facade/whereabouts.ts';
import { readOptions, type Settings } from './options.ts';
import { CREATE_TOKENS, forgetTokens } from './pg/commit-outcome.ts';
import { clientClass, driverTypes } from './pg/driver.ts';
import { asOwnLimit } from './pg/own-limit.ts';
import type { PgConnection } from './pg/pg-connection.ts';
import { PostgresSeam } from './pg/postgres-seam.ts';
import { ServerFacts } from './pg/server-facts.ts';
import type { QueryResult, Statement } from './pg/statement.ts';
import { verdictOn } from './pg/verdict.ts';
import { Pool } from './pool/pool.ts';
import type { PoolSnapshot } from './pool/snapshot.ts';
import type { PoolOptions } from './pool-options.ts';
import { Ambient, bindToHere } from './scope/ambient.ts';
import type { BatchResults } from './scope/batch-results.ts';
import { type CallOptions, type LimitOptions, NO_OPTIONS, ownOptions, UNLIMITED } from './scope/call-options.ts';
import { Desk } from './scope/desk.ts';
import { Counts, type Ground } from './scope/ground.ts';
import type { House } from './scope/house.ts';
import { endSilentLanes } from './scope/lane.ts';
import { endTheSilent, LeakWatch } from './scope/leak-watch.ts';
import type { Lease } from './scope/lease.ts';
import { withPatience } from './scope/patience.ts';
import { awaitReady } from './scope/ready.ts';
import { RetryBudget } from './scope/retry.ts';
import type { Scope } from './scope/scope.ts';
import type { ScopeOptions } from './scope/scope-options.ts';
import { SpentTokens } from './scope/spent-tokens.ts';
import type { Transaction } from './scope/transaction.ts';
import type { TransactionOptions } from './scope/transaction-options.ts';

export { Owner } from './pool/waiters.ts';

/**
 * A pool of PostgreSQL connections; `createPool` makes one. One per process and database is enough: share it.
 *
 * All rings of the house meet here and nowhere else.
 */
export class LifeguardPool implements AsyncDisposable {
  readonly #clock: Clock = systemClock;
  readonly #pool: Pool<PgConnection>;
  readonly #ground: Ground;
  readonly #desk: Desk;
  readonly #tokens: SpentTokens;
  /** @internal Where libraries come in. */
  readonly whereabouts: Whereabouts;
  readonly #likeness: Likeness;

  /** Use `createPool`. */
  constructor(options: PoolOptions = {}) {
    const settings = readOptions(options);
    const clock = this.#clock;
    const warnings = new Warnings(settings.name, settings.logger);
    const leaks = new LeakWatch({ pool: settings.name, ...settings }, warnings);
    const seam = new PostgresSeam(settings, clientClass(), { clock, warnings });
    const tick = (now: number): void => {
      leaks.check(this.#pool.leased(), now);
      const limitMillis = seam.inForce.get('statement_timeout');
      endTheSilent(this.#pool.leased(), now, limitMillis);
      endSilentLanes(this.#pool, now, limitMillis);
    };
    // Nobody would put the session back between those who share it.
    const lane = settings.lane && settings.resetOnRelease !== 'always';
    this.#pool = new Pool({ settings: { ...settings, lanes: lane }, seam, clock }, tick);
    const wheel = new DeadlineWheel(clock);
    const patience: Ground['patience'] = (awaited, limits) => withPatience(awaited, limits, { wheel, clock });
    this.#tokens = new SpentTokens((tokens, timeoutMillis) =>
      this.outside(() => this.query(forgetTokens(tokens), undefined, { timeoutMillis })),
    );
    this.#ground = {
      house: houseOf(settings, seam, { clock, pool: this.#pool, leaks }),
      clock,
      server: new ServerFacts(seam),
      ambient: new Ambient(this, settings.mode),
      warnings,
      budget: new RetryBudget(),
      counts: new Counts(),
      acquireTimeoutMillis: settings.acquireTimeoutMillis,
      lane,
      facade: { inUse: false },
      selfDeadlock: settings.selfDeadlock,
      wheel,
      patience,
      forget: (token) => this.#tokens.add(token),
    };
    this.#desk = new Desk(this.#ground);
    const { mode } = settings;
    const snapshot = (): PoolSnapshot => this.snapshot();
    this.whereabouts = new Whereabouts({ desk: this.#desk, greeters: seam.greeters, mode, snapshot });
    this.#likeness = likenessOf(settings, driverTypes());
  }

  /** As given to `createPool`: what errors, events and snapshots call this pool. */
  get name(): string {
    return this.#ground.house.name;
  }

  /**
   * Runs one statement on a connection that is borrowed for it and goes back by itself; inside a scope or a transaction, as
   * part of that. Plain reads that are quick may share one (`lane`).
   *
   * Where the connection was lost before anything was sent, the statement is sent on another one, three in all; what may
   * have run is never sent again. `timeoutMillis` and `signal` end all of it together: the line, a dial, the
   * statement, which the server ends itself, or which is then cancelled there.
   *
   * Rejects with PostgreSQL's own error as pg made it, or with a `LifeguardError`: of the line (`…_ACQUIRE_TIMEOUT`,
   * `…_LINE_FULL`, `…_OVERLOADED`, `…_UNAVAILABLE`, `…_REJECTED`, `…_POOL_CLOSED`), of a limit (`…_DEADLINE`, `…_ABORTED`),
   * of a loss (`…_CONNECTION_LOST`), or of the call itself (`…_ARGUMENT`). `consequence` says whether it may have run.
   *
   * A `BEGIN` sent this way makes no transaction: use `transaction()`.
   */
  query<Row = Record<string, unknown>>(
    text: string | Statement,
    values?: readonly unknown[],
    options: CallOptions = NO_OPTIONS,
  ): Promise<QueryResult<Row>> {
    return this.#desk.query<Row>(text, values, options);
  }

  /**
   * Runs several statements in one round trip and one transaction: all or nothing. Their results come in their order; an
   * error is `ERR_LIFEGUARD_BATCH`, with the `index` of the statement and the server's own error as its `cause`. A
   * serialization failure or a deadlock is tried again.
   */
  batch<Rows extends readonly unknown[] = Record<string, unknown>[]>(
    statements: readonly (string | Statement)[],
    options: CallOptions = NO_OPTIONS,
  ): Promise<BatchResults<Rows>> {
    return this.#desk.batch<Rows>(statements, options);
  }

  /**
   * Runs `fn` in a transaction: it commits when `fn` returns, and rolls back when it throws. BEGIN and all that the options
   * ask for travel with the first statement; without a statement nothing is sent at all. After a serialization failure or
   * a deadlock `fn` is called again, ten times in all: what it does outside of the database should stand that.
   *
   * Inside a transaction it joins that, unless `propagation` says otherwise.
   */
  transaction<T>(fn: (tx: Transaction) => T | Promise<T>, options: TransactionOptions = {}): Promise<T> {
    return this.#desk.transaction(fn, options);
  }

  /** Runs `fn` in a scope of its own: what its options say holds for all that is done with `db` inside. */
  scope<T>(options: ScopeOptions, fn: (db: Scope) => T | Promise<T>): Promise<T>;
  scope<T>(fn: (db: Scope) => T | Promise<T>): Promise<T>;
  async scope<T>(
    options: ScopeOptions | ((db: Scope) => T | Promise<T>),
    fn?: (db: Scope) => T | Promise<T>,
  ): Promise<T> {
    return this.#desk.scope(options, fn);
  }

  /** The innermost scope or transaction of this pool that the running code belongs to; undefined outside of all. */
  current(): Scope | Transaction | undefined {
    return this.#ground.ambient.current();
  }

  /** `fn` for later, as if it were called here: for listeners and queues that call from elsewhere. */
  bind<Args extends unknown[], R>(fn: (...args: Args) => R): (...args: Args) => R {
    return bindToHere(fn);
  }

  /** Runs `fn` outside of the scope and the transaction around it: for work that is meant to go on without them. */
  outside<R>(fn: () => R): R {
    return this.#ground.ambient.run(undefined, fn);
  }

  /**
   * This pool as a `pg.Pool` of the class that is given, for libraries that take one: ORMs, query builders, queues. What they
   * ask for inside a transaction or a scope is part of that, and transactions of their own are savepoints in it.
   * Each library may have one of its own; `end()` on it ends that one, and not the pool.
   */
  asPgPool<Pg extends PgModule>(options: PgPoolOptions<Pg>): InstanceType<Pg['Pool']> {
    return pgPool(this.whereabouts, options, this.#likeness);
  }

  /** Makes the table that `commitOutcome: 'token'` needs, and removes what is left in it of processes that died. */
  async createCommitTokens(): Promise<void> {
    await this.outside(() => this.query(CREATE_TOKENS));
  }

  /**
   * A connection for the caller alone, until the lease ends: `await using lease = await pool.lease()`, or `release()` in
   * a `finally`. The limits bound the wait for it; each statement on it takes limits of its own. Inside a scope it ends
   * with that at the latest. Rejects as `query` does.
   */
  lease(options: CallOptions = NO_OPTIONS): Promise<Lease> {
    return this.#desk.lease(options);
  }

  /** A frozen reading of the pool. It uses no connection. */
  snapshot(): PoolSnapshot {
    const { retries, committed, notCommitted, unknown } = this.#ground.counts;
    const commits = Object.freeze({ committed, notCommitted, unknown });
    return Object.freeze({ ...this.#pool.snapshot(), retries, commits });
  }

  /**
   * Resolves when `min` connections, and at least one, are open. It outlasts a server that is down, until
   * `timeoutMillis` (30 s), and then rejects with `ERR_LIFEGUARD_UNAVAILABLE`, with the last failure of a dial as its
   * `cause`. A refusal for good (a wrong password) rejects it at once, and so does any failure with `startup: 'fail'`.
   */
  async ready(options: LimitOptions = UNLIMITED): Promise<void> {
    return awaitReady(this.#pool, options, this.#clock);
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
    // What is not removed in time is harmless.
    if (this.#tokens.size > 0 && graceMillis > 0) await this.#tokens.flush(Math.min(graceMillis, TOKENS_MILLIS));
    await this.#pool.close(graceMillis);
  }

  /** `await using pool = createPool()`: closes with a grace of 10 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Makes a pool. Opens nothing yet, unless `min` or `startup` say so; PG* variables fill what is absent, as in pg. Throws
 * `ERR_LIFEGUARD_OPTION` when an option is unknown, of the wrong kind, or against another one.
 */
export function createPool(options?: PoolOptions): LifeguardPool {
  return new LifeguardPool(options);
}

function houseOf(settings: Settings, seam: PostgresSeam, rest: Pick<House, 'clock' | 'pool' | 'leaks'>): House {
  return {
    ...rest,
    name: settings.name,
    explain: (error, ran) => seam.explain(asOwnLimit(error, ran, seam.inForce)),
    refusalOf: (text) => seam.refusalOfText(text),
    verdictOn: (connection) => verdictOn(connection, seam.reset),
    stop: (connection) => seam.stop(connection),
  };
}

const GRACE_MILLIS = 10_000;
const TOKENS_MILLIS = 1_000;
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
