import type { Logger } from './events.ts';

/** What `createPool` takes. Durations end in `Millis` or `Seconds`; sizes are whole numbers; 0 switches a limit off. */
export interface PoolOptions {
  // --- where to connect: pg's names; absent ones are filled from PGHOST, PGPORT, PGUSER, PGDATABASE, PGPASSWORD, … ---

  /** `postgres://user:password@host:port/database?…`. Refused together with `host`, `port`, `user` or `database`. */
  readonly connectionString?: string;
  /** Host name, address, or folder of a unix socket. Resolved anew for every connection. @default localhost @pg localhost */
  readonly host?: string;
  /** @default 5432 @pg 5432 */
  readonly port?: number;
  /** @default the name of the operating system's user @pg the same */
  readonly user?: string;
  /** @default the name of the user @pg the same */
  readonly database?: string;
  /** A function is asked again for every new connection, so that credentials can rotate. */
  readonly password?: string | (() => string | Promise<string>);
  /** `true`, or options of `tls.connect`. @default false @pg false */
  readonly ssl?: boolean | object;
  /** `direct` starts TLS without asking first (PostgreSQL 17). @default postgres @pg postgres */
  readonly sslnegotiation?: 'postgres' | 'direct';
  /** SCRAM-SHA-256-PLUS where the server offers it. @default false @pg false */
  readonly enableChannelBinding?: boolean;
  /** Settings for the server's command line, as in `-c work_mem=64MB`. */
  readonly options?: string;
  /** What pg_stat_activity shows. @default name@hostname @pg none */
  readonly application_name?: string;
  /** Type parsers, as in pg. */
  readonly types?: object;
  /** TCP keepalive. @default true @pg false */
  readonly keepAlive?: boolean;
  /** First keepalive probe after this much silence, in milliseconds. @default 10000 @pg 0 */
  readonly keepAliveInitialDelayMillis?: number;
  /** Makes the socket, for tunnels and cloud connectors. @default a plain TCP or unix socket @pg the same */
  readonly stream?: () => unknown;

  // --- the pool ---

  /** In errors, events, snapshots and `application_name`. Printable ASCII. @default main @pg none */
  readonly name?: string;
  /** Connections at most. @default 10 @pg 10 */
  readonly max?: number;
  /** Connections kept open: really opened, and opened again when they end. At most `max`. @default 0 @pg 0 (never opened ahead) */
  readonly min?: number;
  /** Connections beyond `max` while there is a line; closed when they come back to an empty one. @default 0 @pg none */
  readonly overflow?: number;
  /** Connections beyond `max` and `overflow`, only for a waiter older than `reserveAfterMillis`. @default 0 @pg none */
  readonly reserve?: number;
  /** Age of a waiter that opens the reserve, in milliseconds. @default 1000 @pg none */
  readonly reserveAfterMillis?: number;
  /** Callers in the line at most; one more is refused at once. 0: unbounded. @default 1000 @pg unbounded */
  readonly maxWaiting?: number;
  /** Bulkheads: leases that callers of a group may hold at the same time. */
  readonly groups?: Readonly<Record<string, { readonly maxConcurrent: number }>>;
  /** Refuses newcomers while the line stood above `targetWaitMillis` for `intervalMillis`. `false`: never. @default 100 ms for 500 ms @pg none */
  readonly overload?: false | { readonly targetWaitMillis?: number; readonly intervalMillis?: number };
  /** `lazy` dials at the first use; `wait` at once, and callers wait for the server; `fail` at once, and the first failure fails them. @default lazy @pg lazy */
  readonly startup?: 'lazy' | 'wait' | 'fail';
  /** Idle connections do not keep the process alive. @default false @pg false */
  readonly allowExitOnIdle?: boolean;

  // --- limits ---

  /** Waiting in the line, in milliseconds. 0: no limit. @default connectionTimeoutMillis where given, else 5000 @pg none (connectionTimeoutMillis) */
  readonly acquireTimeoutMillis?: number;
  /** Dial, TLS, login and `onConnect` of one connection, in milliseconds. 0: no limit. @default 5000 @pg 0 */
  readonly connectionTimeoutMillis?: number;
  /** Idle for this long in milliseconds, a connection beyond `min` is closed. 0: never. @default 30000 @pg 10000 */
  readonly idleTimeoutMillis?: number;
  /** Age in seconds at which a connection is replaced, less up to a quarter by chance; never in use. 0: never. @default 1800 @pg 0 */
  readonly maxLifetimeSeconds?: number;
  /** Leases after which a connection is replaced. 0: never. @default 0 @pg Infinity */
  readonly maxUses?: number;
  /** Idle for longer than this in milliseconds, a connection is checked before it is lent. 0: never. @default 1000 @pg none */
  readonly validateAfterIdleMillis?: number;
  /** Idle for longer than this in milliseconds, a connection is checked where it lies. 0: never. @default 60000 @pg none */
  readonly keepaliveMillis?: number;
  /** Time limit of such a check, in milliseconds. @default 1000 @pg none */
  readonly checkTimeoutMillis?: number;
  /** Time limit of cancelling what still runs and of cleaning a session, in milliseconds. @default 2000 @pg none */
  readonly cleanTimeoutMillis?: number;
  /** After this many milliseconds a closing connection is cut off and called overdue. @default 5000 @pg none */
  readonly closeTimeoutMillis?: number;
  /** The server's `statement_timeout`, in milliseconds. 0: none. pg's spelling: `statement_timeout`. @default 30000 @pg 0 */
  readonly statementTimeoutMillis?: number;
  /** The server's `lock_timeout`, in milliseconds. 0: none. pg's spelling: `lock_timeout`. @default 0 @pg 0 */
  readonly lockTimeoutMillis?: number;
  /** The server's `idle_in_transaction_session_timeout`, in milliseconds. 0: none. pg's spelling: the same name. @default 60000 @pg 0 */
  readonly idleInTransactionTimeoutMillis?: number;
  /** The server's `transaction_timeout` (PostgreSQL 17), in milliseconds. 0: none. @default 0 @pg none */
  readonly transactionTimeoutMillis?: number;
  /** The server's `client_connection_check_interval`, in milliseconds: how soon it notices that we are gone. 0: off. @default 5000 @pg none */
  readonly clientCheckMillis?: number;
  readonly statement_timeout?: number;
  readonly lock_timeout?: number;
  readonly idle_in_transaction_session_timeout?: number;

  // --- leases ---

  /** A lease out for longer than this, in milliseconds, is reported once. 0: never. @default 30000 @pg none */
  readonly leakAfterMillis?: number;
  /** A lease out for longer than this, in milliseconds, is taken back and its connection closed. 0: never. @default 0 @pg none */
  readonly reclaimAfterMillis?: number;
  /** When a session is put back as it was: after visible dirt (`SET`, `LISTEN`, …), after every lease, or never. @default dirty @pg none */
  readonly resetOnRelease?: 'dirty' | 'always' | 'never';
  /** Runs on every new connection, and again after its session was reset. A throw or a hang discards it. */
  readonly onConnect?: (connection: HookConnection) => void | Promise<void>;
  /** Where warnings go: pino, or anything shaped like the console. @default process.emitWarning, once per code @pg none */
  readonly logger?: Logger;
}

/** What `onConnect` may do with the new connection. */
export interface HookConnection {
  query(text: string, values?: readonly unknown[]): Promise<{ readonly rows: readonly Record<string, unknown>[] }>;
}
