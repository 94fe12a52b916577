import type { Logger } from './events.ts';

/**
 * What `createPool` takes. `docs/3-options.md` is made from the comments below by `tools/options-page.ts`: prose, then
 * one line of tags. `@pg` is the default of pg and pg-pool.
 */
export interface PoolOptions {
  // --- Where to connect ---

  /**
   * `postgres://user:password@host:port/database?…`. Refused together with `host`, `port`, `user` or `database`;
   * a `password` beside it wins. @default none @pg none
   */
  readonly connectionString?: string | undefined;
  /** Host name, address, or folder of a unix socket. Resolved anew for every connection. @default from PGHOST, else localhost @pg the same */
  readonly host?: string | undefined;
  /** @limits 1 to 65535 @default from PGPORT, else 5432 @pg the same */
  readonly port?: number | undefined;
  /** @default from PGUSER, else the name of the operating system's user @pg the same */
  readonly user?: string | undefined;
  /** @default from PGDATABASE, else the name of the user @pg the same */
  readonly database?: string | undefined;
  /** A function is asked again for every new connection, so that credentials can rotate. @default from PGPASSWORD or the password file @pg the same */
  readonly password?: string | (() => string | Promise<string>) | undefined;
  /** `true`, or options of `tls.connect`. @default from PGSSLMODE, else none @pg the same */
  readonly ssl?: boolean | object | undefined;
  /** `direct` starts TLS without asking first (PostgreSQL 17); it needs `ssl`, PGSSLMODE, or a connection string that asks for TLS. @limits "postgres" or "direct" @default from PGSSLNEGOTIATION, else postgres @pg the same */
  readonly sslnegotiation?: 'postgres' | 'direct' | undefined;
  /** Uses SCRAM-SHA-256-PLUS where the server offers it. @default false @pg false */
  readonly enableChannelBinding?: boolean | undefined;
  /** Switches for the server's command line: `-c work_mem=64MB`. @default from PGOPTIONS @pg the same */
  readonly options?: string | undefined;
  /** What `pg_stat_activity` shows. The server keeps 63 bytes of it. @default from PGAPPNAME, else name@hostname @pg from PGAPPNAME */
  readonly application_name?: string | undefined;
  /** Type parsers, as in pg: an object with `getTypeParser`. @default none @pg none */
  readonly types?: object | undefined;
  /** TCP keepalive. @default true @pg false */
  readonly keepAlive?: boolean | undefined;
  /** First keepalive probe after this much silence. @unit milliseconds @limits 0 or more @default 10000 @pg 0 */
  readonly keepAliveInitialDelayMillis?: number | undefined;
  /** Makes the socket, for tunnels and cloud connectors. @default a plain TCP or unix socket @pg the same */
  readonly stream?: (() => unknown) | undefined;
  /**
   * What stands before the server, and in which mode; the page "Behind a pooler" has a table of them. `auto` notices that
   * there is one, and what it shares as soon as something shows it; to name it is safer. Behind one that shares sessions,
   * what would change a session is refused with `ERR_LIFEGUARD_POOLER`.
   * @limits "auto", "none", "pgbouncer-" with "session", "transaction" or "statement", "odyssey-", "pgcat-" or "supavisor-" with "session" or "transaction", or "rds-proxy" @default 'auto' @pg none
   */
  readonly pooler?: PoolerOption | undefined;

  // --- Size and line ---

  /** Says which pool it is, in errors, events, snapshots and `application_name`. @limits 1 to 63 printable ASCII characters @default 'main' @pg none */
  readonly name?: string | undefined;
  /** Connections at most. With `overflow` and `reserve` it makes the ceiling. @unit connections @limits 1 or more @default 10 @pg 10 */
  readonly max?: number | undefined;
  /** Connections kept open: opened when the pool is made, and opened again when they end. @unit connections @limits 0 to `max` @default 0 @pg 0, and never opened ahead */
  readonly min?: number | undefined;
  /** Connections beyond `max` while there is a line; closed when they come back to an empty one. @unit connections @limits 0 or more @default 0 @pg none */
  readonly overflow?: number | undefined;
  /** Connections beyond `max` and `overflow`, opened only while the oldest waiter is older than `reserveAfterMillis`. @unit connections @limits 0 or more @default 0 @pg none */
  readonly reserve?: number | undefined;
  /** Age of the oldest waiter that opens the `reserve`. Useful below `acquireTimeoutMillis`. @unit milliseconds @limits 0 or more @default 1000 @pg none */
  readonly reserveAfterMillis?: number | undefined;
  /** Waiters in the line at most, and in the line of each group for itself; one more is refused at once with `ERR_LIFEGUARD_LINE_FULL`. @unit waiters @limits 0 or more; 0: unbounded @default 1000 @pg unbounded */
  readonly maxWaiting?: number | undefined;
  /**
   * Bulkheads, by name: `{ reports: { maxConcurrent: 3 } }`. A call that names the group holds one of that many places;
   * one that names a group not listed here is refused. @limits `maxConcurrent`: 1 or more @default none @pg none
   */
  readonly groups?: Readonly<Record<string, { readonly maxConcurrent: number }>> | undefined;
  /**
   * Refuses newcomers with `ERR_LIFEGUARD_OVERLOADED` once the line has stood above `targetWaitMillis` for
   * `intervalMillis`. `false`: never. Keep the target well below `acquireTimeoutMillis`.
   * @unit milliseconds @limits 1 or more @default { targetWaitMillis: 100, intervalMillis: 500 } @pg none
   */
  readonly overload?: false | OverloadOptions | undefined;
  /**
   * `lazy` dials at the first use, or at once for `min`. `wait` dials at once, and callers wait for the server up to
   * their limits. `fail` dials at once, and a first failure fails those who wait. @limits "lazy", "wait" or "fail" @default 'lazy' @pg lazy
   */
  readonly startup?: 'lazy' | 'wait' | 'fail' | undefined;
  /**
   * `ambient`: inside a scope or a transaction, `pool.query` and its kin are part of that, wherever they are called.
   * `explicit`: only what is called on a handle is. @limits "ambient" or "explicit" @default 'ambient' @pg explicit
   */
  readonly mode?: 'ambient' | 'explicit' | undefined;
  /**
   * What is done when a scope or transaction that holds a connection waits for another one while all are leased: if all do
   * that, they wait for each other. @limits "allow", "warn" or "throw" @default 'warn' @pg allow
   */
  readonly selfDeadlock?: 'allow' | 'warn' | 'throw' | undefined;
  /**
   * Plain reads that stand for themselves and are known to be quick share a few of the connections, several on each at a
   * time. Not where `resetOnRelease` is `always`. `false`: each statement has a connection to itself. @default true @pg false
   */
  readonly lane?: boolean | undefined;
  /**
   * `auto`: a text is prepared on a connection from its fifth use in the pool on, and parsed no more. `false`: only
   * statements that have a `name`. @limits "auto" or false @default 'auto' @pg false
   */
  readonly prepare?: 'auto' | false | undefined;
  /** Idle connections do not keep the process alive. @default false @pg false */
  readonly allowExitOnIdle?: boolean | undefined;

  // --- Waiting and dialling ---

  /**
   * Wait in the line at most; a call's own `timeoutMillis` may be shorter. Where only `connectionTimeoutMillis` is
   * given, that is taken for both, because in pg it bounds line and dial together.
   * @unit milliseconds @limits 0 or more; 0: no limit @default 5000 @pg none
   */
  readonly acquireTimeoutMillis?: number | undefined;
  /** Dial, TLS, login and `onConnect` of one connection together. @unit milliseconds @limits 0 or more; 0: no limit @default 5000 @pg 0 */
  readonly connectionTimeoutMillis?: number | undefined;

  // --- Life of a connection ---

  /** Idle for this long, a connection beyond `min` is closed. @unit milliseconds @limits 0 or more; 0: never @default 30000 @pg 10000 */
  readonly idleTimeoutMillis?: number | undefined;
  /** Age at which a connection is replaced, less up to a quarter by chance, so that they do not end together; never in use. @unit seconds @limits 0 or more; 0: never @default 1800 @pg 0 */
  readonly maxLifetimeSeconds?: number | undefined;
  /** Leases after which a connection is replaced; for as long as it is a lane it counts as one. @unit leases @limits 0 or more; 0: never @default 0 @pg Infinity */
  readonly maxUses?: number | undefined;
  /** Idle for longer than this, a connection is checked before it is lent. @unit milliseconds @limits 0 or more; 0: never checked @default 1000 @pg none */
  readonly validateAfterIdleMillis?: number | undefined;
  /** Idle for longer than this, a connection is checked where it lies. Useful above `validateAfterIdleMillis`. @unit milliseconds @limits 0 or more; 0: never @default 60000 @pg none */
  readonly keepaliveMillis?: number | undefined;
  /** Time limit of such a check. Then the connection is closed, and all idle ones are checked. @unit milliseconds @limits 1 or more @default 1000 @pg none */
  readonly checkTimeoutMillis?: number | undefined;
  /** Time limit of cancelling what still runs, and of cleaning a session. Then the connection is closed. @unit milliseconds @limits 1 or more @default 2000 @pg none */
  readonly cleanTimeoutMillis?: number | undefined;
  /** A connection that has been closing for this long is cut off, called overdue, and still counted. @unit milliseconds @limits 1 or more @default 5000 @pg none */
  readonly closeTimeoutMillis?: number | undefined;

  // --- Limits that the server enforces ---

  /** `statement_timeout`, sent at login. pg's spelling is taken too, but not both. @unit milliseconds @limits 0 or more; 0: none @default 30000 @pg 0 */
  readonly statementTimeoutMillis?: number | undefined;
  /** `lock_timeout`, sent at login. pg's spelling is taken too, but not both. @unit milliseconds @limits 0 or more; 0: none @default 0 @pg 0 */
  readonly lockTimeoutMillis?: number | undefined;
  /** `idle_in_transaction_session_timeout`, sent at login. pg's spelling is taken too, but not both. @unit milliseconds @limits 0 or more; 0: none @default 60000 @pg 0 */
  readonly idleInTransactionTimeoutMillis?: number | undefined;
  /** `transaction_timeout`, sent at login to servers that know it (PostgreSQL 17). @unit milliseconds @limits 0 or more; 0: none @default 0 @pg none */
  readonly transactionTimeoutMillis?: number | undefined;
  /** `client_connection_check_interval`, sent at login: how soon the server notices in the middle of a statement that we are gone. @unit milliseconds @limits 0 or more; 0: off @default 5000 @pg none */
  readonly clientCheckMillis?: number | undefined;
  /** pg's spelling of `statementTimeoutMillis`: one of them, not both. @unit milliseconds */
  readonly statement_timeout?: number | undefined;
  /** pg's spelling of `lockTimeoutMillis`: one of them, not both. @unit milliseconds */
  readonly lock_timeout?: number | undefined;
  /** pg's spelling of `idleInTransactionTimeoutMillis`: one of them, not both. @unit milliseconds */
  readonly idle_in_transaction_session_timeout?: number | undefined;

  // --- Leases ---

  /** A lease out for longer than this is reported once, within about a second. @unit milliseconds @limits 0 or more; 0: never @default 30000 @pg none */
  readonly leakAfterMillis?: number | undefined;
  /** A lease out for longer than this is taken back and its connection closed. @unit milliseconds @limits 0, or `leakAfterMillis` or more; 0: never @default 0 @pg none */
  readonly reclaimAfterMillis?: number | undefined;
  /**
   * When a session is put back as it was: `dirty`, after statements that visibly change it (`SET`, `LISTEN`, …);
   * `always`, after every lease, at one round trip each; `never`, which trusts all code that uses the pool.
   * @limits "dirty", "always" or "never" @default 'dirty' @pg never
   */
  readonly resetOnRelease?: 'dirty' | 'always' | 'never' | undefined;
  /** Runs on every new connection, within `connectionTimeoutMillis`, and again after its session was reset. A throw or a hang discards the connection. @default none @pg none */
  readonly onConnect?: ((connection: HookConnection) => void | Promise<void>) | undefined;
  /** Where warnings go: pino, or anything shaped like the console. Without one, a warning that nobody hears goes once to `process.emitWarning`. @default none @pg none */
  readonly logger?: Logger | undefined;
}

/** What stands before the server. */
export type PoolerOption =
  | 'auto'
  | 'none'
  | `pgbouncer-${'session' | 'transaction' | 'statement'}`
  | `${'odyssey' | 'pgcat' | 'supavisor'}-${'session' | 'transaction'}`
  | 'rds-proxy';

/** What `onConnect` may do with the new connection. */
export interface HookConnection {
  /** Runs a statement, after those that were asked for before. Refused once the hook has returned: await every one. */
  query(text: string, values?: readonly unknown[]): Promise<{ readonly rows: readonly Record<string, unknown>[] }>;
}

/** When newcomers are turned away: see `overload`. */
export interface OverloadOptions {
  /** A line that stands above this is too long. @default 100 */
  readonly targetWaitMillis?: number | undefined;
  /** For how long it must stand there. @default 500 */
  readonly intervalMillis?: number | undefined;
}
