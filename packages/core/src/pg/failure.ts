import { type Ending, type Phase, type Sender, type Symptoms, symptomsOf } from './symptoms.ts';

export type { Phase } from './symptoms.ts';

export interface Circumstances {
  readonly phase: Phase;
}

/** What a failure means for the unit of work that met it. */
export interface Failure {
  /** `fit`: what follows on it will be read. `dead` too where there never was one. */
  readonly connection: 'fit' | 'dead';
  /** What the failed unit has done to the database. */
  readonly effect: Effect;
  readonly retry: Retry;
  readonly kind: FailureKind;
}

export type Effect = 'none' | 'rolled-back' | 'unknown';

/**
 * Who may try again. `conflict`: the whole transaction, at once with jitter, bounded by attempts. `connection`: the same,
 * but the connection was lost or could not be had, so the pool's budget for such retries governs it. `stale-plan`: a
 * single statement once more, and inside a transaction the whole of it. `asked`: only where the user listed the code.
 */
export type Retry = 'conflict' | 'connection' | 'stale-plan' | 'asked' | 'never';

export type FailureKind =
  | ('conflict' | 'lock' | 'constraint' | 'data' | 'syntax' | 'privilege' | 'unsupported' | 'raised' | 'other')
  | ('state' | 'aborted' | 'stale-plan' | 'read-only' | 'capacity' | 'system' | 'cancelled' | 'deadline')
  | ('shutdown' | 'lost' | 'unreachable' | 'refused' | 'protocol' | 'pooler')
  | ('overload' | 'misuse' | 'foreign' | 'unknown-commit');

/**
 * The phase decides more than the code. An ERROR that answers COMMIT is a definite abort: once the commit record is
 * written the server only warns or panics. After a loss nobody knows, unless COMMIT cannot have been read.
 * https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/access/transam/xact.c
 */
const EFFECTS: Readonly<Record<Phase, Readonly<Record<Ending, Effect>>>> = {
  dial: { answered: 'none', 'nothing-sent': 'none', 'may-have-run': 'none' },
  statement: { answered: 'rolled-back', 'nothing-sent': 'none', 'may-have-run': 'unknown' },
  'in-transaction': { answered: 'rolled-back', 'nothing-sent': 'rolled-back', 'may-have-run': 'rolled-back' },
  commit: { answered: 'rolled-back', 'nothing-sent': 'rolled-back', 'may-have-run': 'unknown' },
};

interface Row {
  /** SQLSTATEs or their classes, codes of Node's or of our own, with spaces between. Absent: any. */
  readonly codes?: string;
  /** Absent: anybody. */
  readonly from?: Sender;
  readonly message?: RegExp;
  readonly routine?: string;
  readonly kind: FailureKind;
  readonly retry: Retry;
  /** The failure itself tells where it happened, whatever the caller believes. */
  readonly at?: Phase;
  /** The failure itself tells how far the statement came, whatever was written. */
  readonly proves?: Ending;
  /** Why a user may list the codes in `retry.on`. Absent: he may not. */
  readonly askable?: string;
  readonly source: string;
}

export interface FailureRow extends Row {
  /** `lost` is every end of a connection, whoever made it. `dial` is the phase. */
  readonly on: 'dial' | 'answered' | 'lost' | 'any';
}

const DOCS = 'https://www.postgresql.org/docs/current';
const SQLSTATES = `${DOCS}/errcodes-appendix.html`;
const SERIALIZATION = `${DOCS}/mvcc-serialization-failure-handling.html`;
const LIMITS = `${DOCS}/runtime-config-client.html`;
const STARTING = `${DOCS}/server-start.html#CLIENT-CONNECTION-PROBLEMS`;
const STOPPING = `${DOCS}/server-shutdown.html`;
const RAISING = `${DOCS}/plpgsql-errors-and-messages.html`;
const PLAN_CACHE = 'https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/utils/cache/plancache.c';
const COPYING = 'https://github.com/postgres/postgres/blob/REL_18_STABLE/src/backend/commands/copyfromparse.c';
const BOUNCER = 'https://www.pgbouncer.org/config.html';
const BOUNCER_LOGIN = 'https://github.com/pgbouncer/pgbouncer/blob/master/src/client.c';
const PGCAT = 'https://github.com/postgresml/pgcat/blob/main/src/client.rs';
const SUPAVISOR = 'https://supabase.github.io/supavisor/monitoring/logs';
const COCKROACH = 'https://www.cockroachlabs.com/docs/stable/common-errors#result-is-ambiguous';
const NODE = 'https://nodejs.org/api/errors.html#common-system-errors';
const NODE_TLS = 'https://nodejs.org/api/tls.html#x509-certificate-error-codes';
const DRIVER = 'https://github.com/brianc/node-postgres/tree/master/packages/pg/lib';
const OURS = 'docs/4-errors.md';

const ANYHOW = 'It is retried anyhow: to list it changes nothing.';
const APPLICATION = "The user's own function knows what it means by it.";

/** Fails until somebody changes something. */
const REFUSED = { kind: 'refused', retry: 'never' } as const;
/** The statement was not run; it would be with a new plan. */
const STALE_PLAN = { kind: 'stale-plan', retry: 'stale-plan', proves: 'nothing-sent' } as const;
/** A pooler has not assigned a server yet. */
const UNASSIGNED = { retry: 'connection', at: 'dial' } as const;

/** Also what the server told PgBouncer, which passes on the text of a refused login and not always its code. */
const NOT_LET_IN =
  /no such (database|user)|(database|role) ".*" does not exist|authentication failed|unsupported startup parameter|^SSL required/;
const NO_PLACE = /query_wait_timeout|no more connections allowed|connections exceeded/;
const SUPAVISOR_FULL = /max clients|unable to check out connection|circuit breaker open/i;
const NOT_SUBMITTED =
  /^(Prepared statements must be unique|The prepared statement ".*" has another text|Query values must)/;

/** Whoever cancelled is known from our own errors: a 57014 that comes as far as its rows was not ours. */
const ANY: readonly Row[] = [
  { codes: 'ERR_LIFEGUARD_ACQUIRE_TIMEOUT', kind: 'overload', retry: 'never', at: 'dial', source: OURS },
  { codes: 'ERR_LIFEGUARD_OVERLOADED', kind: 'overload', retry: 'never', at: 'dial', source: OURS },
  { codes: 'ERR_LIFEGUARD_LINE_FULL', kind: 'overload', retry: 'never', at: 'dial', source: OURS },
  { codes: 'ERR_LIFEGUARD_UNAVAILABLE', kind: 'unreachable', retry: 'never', at: 'dial', source: OURS },
  { codes: 'ERR_LIFEGUARD_REJECTED', ...REFUSED, at: 'dial', source: OURS },
  { codes: 'ERR_LIFEGUARD_CONNECT_TIMEOUT', kind: 'unreachable', ...UNASSIGNED, source: OURS },
  { codes: 'ERR_LIFEGUARD_HOOK_FAILED', kind: 'foreign', ...UNASSIGNED, source: OURS },
  { codes: 'ERR_LIFEGUARD_DEADLINE', kind: 'deadline', retry: 'never', source: OURS },
  { codes: 'ERR_LIFEGUARD_ABORTED ERR_LIFEGUARD_POOL_CLOSED', kind: 'cancelled', retry: 'never', source: OURS },
  {
    ...{ codes: 'ERR_LIFEGUARD_COMMIT_UNKNOWN', kind: 'unknown-commit', retry: 'never' },
    ...{ at: 'commit', proves: 'may-have-run', source: OURS },
  },
  { from: 'us', kind: 'misuse', retry: 'never', source: OURS },
  // PgBouncer says FATAL 08P01 of nearly everything.
  { from: 'pooler', message: NOT_LET_IN, ...REFUSED, at: 'dial', source: BOUNCER_LOGIN },
  { from: 'pooler', message: NO_PLACE, kind: 'capacity', ...UNASSIGNED, source: `${BOUNCER}#query_wait_timeout` },
  { from: 'pooler', message: /_login_|server login/, kind: 'unreachable', ...UNASSIGNED, source: BOUNCER },
  { codes: '58000', message: /^could not get connection from/, kind: 'pooler', ...UNASSIGNED, source: PGCAT },
  { codes: 'XX000', message: SUPAVISOR_FULL, kind: 'pooler', ...UNASSIGNED, source: SUPAVISOR },
  // AWS's drivers say 08007 of a failover, and they are believed.
  { codes: '40003 08007', kind: 'other', retry: 'never', proves: 'may-have-run', source: COCKROACH },
];

const DIAL: readonly Row[] = [
  { codes: '28000 28P01 3D000 42501', ...REFUSED, source: `${DOCS}/client-authentication-problems.html` },
  // A setting in the startup packet: unknown, not of that value, or not known to the pooler.
  { codes: '42704 22023 0A000', ...REFUSED, source: `${DOCS}/protocol-flow.html#PROTOCOL-FLOW-START-UP` },
  { message: NOT_LET_IN, ...REFUSED, source: BOUNCER_LOGIN },
  { message: /^The server does not support SSL|^SASL:|^Password must be a string/, ...REFUSED, source: DRIVER },
  { codes: 'SELF_SIGNED_CERT_IN_CHAIN DEPTH_ZERO_SELF_SIGNED_CERT', ...REFUSED, source: NODE_TLS },
  { codes: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE CERT_HAS_EXPIRED', ...REFUSED, source: NODE_TLS },
  { codes: 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY ERR_TLS_CERT_ALTNAME_INVALID', ...REFUSED, source: NODE_TLS },
  { codes: 'EACCES', ...REFUSED, source: NODE },
  { codes: '53300', kind: 'capacity', retry: 'connection', source: STARTING },
  { kind: 'unreachable', retry: 'connection', source: STARTING }, // 57P03, ECONNREFUSED and all the others.
];

/** An ERROR has undone all of its transaction, whatever its code. */
const ANSWERED: readonly Row[] = [
  { codes: '40001 40P01', kind: 'conflict', retry: 'conflict', askable: ANYHOW, source: SERIALIZATION },
  {
    ...{ codes: '23505 23P01', kind: 'constraint', retry: 'asked', source: SERIALIZATION },
    askable: 'Another transaction has taken a key that was free when this one looked.',
  },
  // By the routine: messages are translated, and 0A000 means much else.
  { codes: '0A000', routine: 'RevalidateCachedQuery', ...STALE_PLAN, source: PLAN_CACHE },
  { codes: '0A000', message: /^cached plan must not change/, ...STALE_PLAN, source: PLAN_CACHE },
  { codes: '26000', ...STALE_PLAN, source: `${DOCS}/sql-deallocate.html` },
  // A COPY that its client has broken off has the code of a cancel.
  { codes: '57014', routine: 'CopyGetData', kind: 'data', retry: 'never', source: COPYING },
  { codes: '57014', message: /^COPY from stdin failed/, kind: 'data', retry: 'never', source: COPYING },
  { codes: '57014', kind: 'cancelled', retry: 'asked', askable: 'It may have been meant for another.', source: LIMITS },
  { codes: '55P03', kind: 'lock', retry: 'asked', askable: 'The lock may be free by then.', source: LIMITS },
  { codes: '55006', kind: 'lock', retry: 'asked', askable: 'Its user may have gone by then.', source: SQLSTATES },
  { codes: '25006', kind: 'read-only', retry: 'asked', askable: 'A new primary may be found by then.', source: LIMITS },
  { codes: '53', kind: 'capacity', retry: 'asked', askable: 'Places become free again.', source: SQLSTATES },
  { codes: '58000 58030', kind: 'system', retry: 'asked', askable: 'A disk may come back.', source: SQLSTATES },
  { codes: '40000', kind: 'conflict', retry: 'asked', askable: 'Nothing more is said.', source: SQLSTATES },
  { codes: 'P0001', kind: 'raised', retry: 'asked', askable: APPLICATION, source: RAISING },
  { codes: '25P02', kind: 'aborted', retry: 'never', source: SQLSTATES }, // The failure before it is the one to judge.
  { codes: '22', kind: 'data', retry: 'never', source: SQLSTATES },
  { codes: '23 27 40 44', kind: 'constraint', retry: 'never', source: SQLSTATES },
  { codes: '28 42501 0L 0P', kind: 'privilege', retry: 'never', source: SQLSTATES },
  { codes: '42 26 34 3D 3F', kind: 'syntax', retry: 'never', source: SQLSTATES },
  { codes: '0A', kind: 'unsupported', retry: 'never', source: SQLSTATES },
  { codes: '08', kind: 'protocol', retry: 'never', source: SQLSTATES },
  { codes: '24 25 2B 2D 3B 55 0B', kind: 'state', retry: 'never', source: SQLSTATES },
  { codes: '54', kind: 'capacity', retry: 'never', source: SQLSTATES }, // Of the statement itself: too large, too deep.
  { codes: '57 58 F0 XX', kind: 'system', retry: 'never', source: SQLSTATES },
  { codes: 'P0 03 09 0F 0Z 10 20 21 2F 38 39 HV', kind: 'other', retry: 'never', source: SQLSTATES },
  { from: 'server', kind: 'raised', retry: 'asked', askable: APPLICATION, source: RAISING },
  { from: 'driver', message: NOT_SUBMITTED, kind: 'misuse', retry: 'never', proves: 'nothing-sent', source: DRIVER },
  // What users throw; and a value that could not be read, though its statement has run.
  { kind: 'foreign', retry: 'never', proves: 'may-have-run', source: DRIVER },
];

const LOST: readonly Row[] = [
  { codes: '57P01 57P02', kind: 'shutdown', retry: 'connection', askable: ANYHOW, source: STOPPING },
  { codes: '57P04', kind: 'shutdown', retry: 'never', source: SQLSTATES }, // The database was dropped.
  // Limits of somebody else: ours are a DEADLINE by now.
  { codes: '25P03 25P04', kind: 'deadline', retry: 'never', source: LIMITS },
  { codes: '57P05', kind: 'deadline', retry: 'connection', source: LIMITS },
  { codes: '40001', kind: 'conflict', retry: 'connection', source: `${DOCS}/hot-standby.html#HOT-STANDBY-CONFLICT` },
  // Said at login only: PgBouncer passes on what its own login was told, when a client's first statement needs it.
  { codes: '28000 28P01 3D000', ...REFUSED, at: 'dial', source: `${BOUNCER}#server_login_retry` },
  { codes: '53300', kind: 'capacity', ...UNASSIGNED, source: `${BOUNCER}#server_login_retry` },
  { codes: '57P03', kind: 'unreachable', ...UNASSIGNED, source: `${BOUNCER}#server_login_retry` },
  {
    ...{ from: 'pooler', message: /prepared statement did not exist/, source: `${BOUNCER}#max_prepared_statements` },
    ...{ kind: 'stale-plan', retry: 'connection', proves: 'nothing-sent' }, // A new connection has no names.
  },
  {
    from: 'pooler',
    message: /statement pooling mode/,
    kind: 'unsupported',
    retry: 'never',
    source: `${BOUNCER}#pool_mode`,
  },
  { from: 'pooler', message: /query.timeout|transaction.timeout/, kind: 'deadline', retry: 'never', source: BOUNCER },
  { from: 'pooler', message: /client_idle_timeout/, kind: 'deadline', retry: 'connection', source: BOUNCER },
  { from: 'pooler', kind: 'pooler', retry: 'connection', source: BOUNCER }, // "server conn crashed?" and all the others.
  // We did not understand each other, and would not the next time.
  { codes: '08P01', kind: 'protocol', retry: 'never', source: `${DOCS}/protocol-flow.html` },
  { from: 'driver', message: /^Received unexpected/, kind: 'protocol', retry: 'never', source: DRIVER },
  { kind: 'lost', retry: 'connection', source: NODE },
];

/** One row for each known failure. The first that fits decides, so the special stand before the general. */
export const FAILURES: readonly FailureRow[] = [
  ...ANY.map((row) => ({ on: 'any', ...row }) as const),
  ...DIAL.map((row) => ({ on: 'dial', ...row }) as const),
  ...ANSWERED.map((row) => ({ on: 'answered', ...row }) as const),
  ...LOST.map((row) => ({ on: 'lost', ...row }) as const),
];

/**
 * Of a statement that ends its own transaction on its way (a CALL that commits, CREATE INDEX CONCURRENTLY) an ERROR has
 * undone only the rest: whoever sends one knows that, and this table does not.
 */
export function failureOf(error: unknown, { phase }: Circumstances): Failure {
  const symptoms = symptomsOf(error, phase);
  const row = FAILURES.find((one) => fits(one, symptoms));
  if (row === undefined) throw new Error('bug: a failure that no row describes');
  const at = row.at ?? symptoms.phase;
  const effect = EFFECTS[at][row.proves ?? symptoms.ending];
  const connection = at === 'dial' ? 'dead' : symptoms.connection;
  if (effect !== 'unknown') return { connection, effect, retry: row.retry, kind: row.kind };
  return { connection, effect, retry: 'never', kind: at === 'commit' ? 'unknown-commit' : row.kind };
}

/** Whether a user may list a code in `retry.on`. One that no row names is his own functions'. */
export function mayBeAsked(code: string): boolean {
  if (!/^[0-9A-Z]{5}$/.test(code)) return false;
  const naming = FAILURES.filter(({ on, codes }) => on !== 'dial' && codes !== undefined && names(codes, code));
  return naming.length === 0 || naming.some(({ askable }) => askable !== undefined);
}

function fits({ on, codes, from, message, routine }: FailureRow, symptoms: Symptoms): boolean {
  if (on !== 'any' && on !== occasionOf(symptoms)) return false;
  if (from !== undefined && from !== symptoms.sender) return false;
  if (codes !== undefined && !names(codes, symptoms.code)) return false;
  if (routine !== undefined && routine !== symptoms.routine) return false;
  return message === undefined || message.test(symptoms.message);
}

function names(codes: string, code: string): boolean {
  return codes.split(' ').some((one) => one === code || (one.length === 2 && code.startsWith(one)));
}

function occasionOf({ phase, ending }: Symptoms): FailureRow['on'] {
  if (phase === 'dial') return 'dial';
  return ending === 'answered' ? 'answered' : 'lost';
}
