import type { PoolOptions } from '../pool-options.ts';

export type PoolerName = Exclude<NonNullable<PoolOptions['pooler']>, 'auto' | 'none'>;

/** What is different behind a pooler, as data. docs/9 says where each fact is from, and which were tried out. */
export interface PoolerProfile {
  /** For messages: "behind …". */
  readonly label: string;
  /**
   * For how long a session of the server is ours: for the life of the connection; for a transaction; for one
   * statement; or for a transaction until we change something in it, and for the rest of the connection's life from
   * then on. `unproven`: there is a pooler, and nothing has shown yet which of these it is.
   */
  readonly session: 'connection' | 'transaction' | 'statement' | 'until-changed' | 'unproven';
  /** Which of our limits it takes at login: those that have a field of their own, or also those on the command line. */
  readonly atLogin: 'all' | 'fields' | 'none';
  /** Whether a CancelRequest reaches the server. */
  readonly cancels: 'passed-on' | 'dropped';
  /** Whose the process number and the key are that the login tells. */
  readonly processes: 'server' | 'pooler';
  /** What lets named statements work where sessions change under them. */
  readonly names?: string;
}

/** Also until the first connection has been asked. */
export const DIRECT: PoolerProfile = {
  label: 'nothing',
  session: 'connection',
  atLogin: 'all',
  cancels: 'passed-on',
  processes: 'server',
};

export const UNPROVEN: PoolerProfile = { ...DIRECT, label: 'a pooler', session: 'unproven', processes: 'pooler' };

/** Two connections of ours were answered by one session: what it is called matters less than that it is shared. */
export const SHARED: PoolerProfile = {
  ...UNPROVEN,
  label: 'a pooler in transaction mode',
  session: 'transaction',
  names: 'the pooler has to carry them: PgBouncer 1.21 and newer do where max_prepared_statements is above 0',
};

const PGBOUNCER = {
  ...UNPROVEN,
  atLogin: 'none',
  names: 'PgBouncer 1.21 and newer carry them where max_prepared_statements is above 0',
} as const satisfies PoolerProfile;

const ODYSSEY = {
  ...UNPROVEN,
  // It knows these three by name and gives them to each session that it lends us (maintain_params).
  atLogin: 'fields',
  names: 'Odyssey carries them where pool_reserve_prepared_statement is on',
} as const satisfies PoolerProfile;

const PGCAT = {
  ...UNPROVEN,
  atLogin: 'none',
  names: 'PgCat carries them where prepared_statements_cache_size is above 0',
} as const satisfies PoolerProfile;

const SUPAVISOR = {
  ...UNPROVEN,
  atLogin: 'none',
  names: 'Supavisor carries them where its feature named_prepared_statements is on',
} as const satisfies PoolerProfile;

export const PROFILES: Readonly<Record<PoolerName, PoolerProfile>> = {
  'pgbouncer-session': { ...PGBOUNCER, label: 'PgBouncer in session mode', session: 'connection' },
  'pgbouncer-transaction': { ...PGBOUNCER, label: 'PgBouncer in transaction mode', session: 'transaction' },
  'pgbouncer-statement': { ...PGBOUNCER, label: 'PgBouncer in statement mode', session: 'statement' },
  'odyssey-session': { ...ODYSSEY, label: 'Odyssey in session mode', session: 'connection' },
  'odyssey-transaction': { ...ODYSSEY, label: 'Odyssey in transaction mode', session: 'transaction' },
  'pgcat-session': { ...PGCAT, label: 'PgCat in session mode', session: 'connection' },
  'pgcat-transaction': { ...PGCAT, label: 'PgCat in transaction mode', session: 'transaction' },
  'supavisor-session': { ...SUPAVISOR, label: 'Supavisor in session mode', session: 'connection' },
  'supavisor-transaction': { ...SUPAVISOR, label: 'Supavisor in transaction mode', session: 'transaction' },
  'rds-proxy': { ...UNPROVEN, label: 'RDS Proxy', session: 'until-changed', atLogin: 'none', cancels: 'dropped' },
};

/** What is believed before anything was seen. */
export function profileOf(option: NonNullable<PoolOptions['pooler']>): PoolerProfile {
  return option === 'auto' || option === 'none' ? DIRECT : PROFILES[option];
}
