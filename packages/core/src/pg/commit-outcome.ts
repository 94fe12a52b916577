import type { Clock } from '../clock.ts';
import type { PgConnection } from './pg-connection.ts';
import type { Statement } from './statement.ts';

/** What the group of BEGIN learned about its transaction, for the case that nobody answers the COMMIT. */
export interface Evidence {
  /** All 64 bits of it: this number never comes round again, but see `FINGERPRINT`. */
  readonly xid: string;
  /** The server's process. Behind a pooler it is not the one that the login told. */
  readonly pid: number;
  readonly fingerprint: string;
  /** Of a row that the transaction itself has written. */
  readonly token: string | undefined;
}

export type CommitOutcome = 'committed' | 'not-committed' | 'unknown';

/** What one look may tell. */
type Finding = CommitOutcome | 'in progress';

interface Time {
  readonly clock: Clock;
  /** When it is aborted, the answer is 'unknown' at once. The statement under way is then the caller's to end. */
  readonly signal: AbortSignal;
}

/**
 * The life of a server in which a transaction number means one transaction. A number that was seen before a crash, or
 * on a primary that was lost, is given out again when its WAL was not flushed, or not received: the status would then
 * read "committed" for somebody else's transaction.
 * https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
 *
 * A restart changes the start of the postmaster. The crash of one backend does not, but it discards all statistics
 * (https://www.postgresql.org/docs/current/monitoring-stats.html). A promotion changes the timeline. NULL in recovery,
 * where the functions of WAL fail, and nothing was ever begun that could commit.
 */
const FINGERPRINT = `CASE WHEN NOT pg_is_in_recovery() THEN
  (SELECT system_identifier FROM pg_control_system()) || ' ' || left(pg_walfile_name(pg_current_wal_lsn()), 8) || ' ' ||
  extract(epoch FROM pg_postmaster_start_time()) || ' ' || (SELECT extract(epoch FROM stats_reset) FROM pg_stat_wal) END`;

const EVIDENCE = `pg_current_xact_id()::text AS xid, pg_backend_pid() AS pid, ${FINGERPRINT} AS fingerprint`;

/** Values as the server writes them: the user's type parsers have no say here. */
const AS_TEXT = { getTypeParser: () => (value: string) => value };

/** For the group of BEGIN, in a transaction that may write. It gives the transaction its number. */
export function evidenceStatement(): Statement {
  return { text: `SELECT ${EVIDENCE}`, types: AS_TEXT };
}

/** The same, and leaves a row that is there if, and only if, the transaction has committed. */
export function tokenStatement(token: string): Statement {
  return { text: `INSERT INTO ${TOKENS} (token) VALUES ($1) RETURNING ${EVIDENCE}`, values: [token], types: AS_TEXT };
}

export function toEvidence(row: Record<string, unknown>, token?: string): Evidence {
  const { xid, pid, fingerprint } = row;
  return { xid: String(xid), pid: Number(pid), fingerprint: String(fingerprint ?? ''), token };
}

/**
 * Looks, over another connection that nothing else uses, until it is known what became of the transaction. It never
 * guesses: whatever is unexpected, a lost connection, and the end of the time make it 'unknown'.
 *
 * Through a pooler each statement may be answered by another session, and even by another server. So every statement
 * here says, with its answer, whose answer it is.
 */
export async function resolveCommit(side: PgConnection, evidence: Evidence, time: Time): Promise<CommitOutcome> {
  // In a transaction it would see the same past again and again.
  if (side.transactionStatus !== 'I') return 'unknown';
  const look = evidence.token === undefined ? lookAtStatus : lookForToken;
  try {
    return await poll(() => look(side, evidence), time);
  } catch {
    return 'unknown'; // An error of ours says nothing of the transaction.
  }
}

async function poll(look: () => Promise<Finding>, time: Time): Promise<CommitOutcome> {
  for (let longest = FIRST_PAUSE_MILLIS; ; longest = Math.min(2 * longest, LONGEST_PAUSE_MILLIS)) {
    const finding = await inTime(time.signal, look);
    if (finding !== 'in progress') return finding;
    // Many transactions may have been cut off by one event. https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    await pause((longest * (1 + Math.random())) / 2, time);
  }
}

/** A session that was told to end is gone after a millisecond or two. */
const FIRST_PAUSE_MILLIS = 4;
const LONGEST_PAUSE_MILLIS = 250;

/**
 * 'committed' and 'aborted' are final, and they are ours as long as the fingerprint is. Both come from one statement,
 * so from one process, and a process never outlives a crash: no moment is left in which the number could change hands.
 */
async function lookAtStatus(side: PgConnection, evidence: Evidence): Promise<Finding> {
  const { status } = await ask<{ status: string | null }>(side, STATUS, [evidence.xid, evidence.fingerprint]);
  const finding = FINDINGS.get(status) ?? 'unknown';
  if (finding === 'in progress') await fence(side, evidence);
  return finding;
}

/** NULL of another fingerprint, where a number from the future would be an error; NULL of one too old to be known. */
const STATUS = `SELECT CASE WHEN ${FINGERPRINT} = $2 THEN pg_xact_status($1::xid8) END AS status`;

const FINDINGS: ReadonlyMap<string | null, Finding> = new Map([
  ['committed', 'committed'],
  ['aborted', 'not-committed'],
  ['in progress', 'in progress'],
]);

/**
 * The truth of the history that we are now part of. After a failover to a server that never received the transaction
 * the token is absent, and rightly so, whatever the old primary believes.
 *
 * First the fence, and the row only in a later statement: a statement sees what had committed when it *began*. Asked in
 * one, the row could be looked for as of before the COMMIT, or as of before the last WAL was replayed, and the session
 * or the recovery as of after it. What the fence finds lasts: a session that is over does not come back, nor does
 * recovery while this server lives; which the fingerprint of the second answer proves.
 */
async function lookForToken(side: PgConnection, evidence: Evidence): Promise<Finding> {
  const { fingerprint, remains } = await fence(side, evidence);
  // In recovery: this server may become our primary, or our primary may take its place.
  if (fingerprint === null) return 'in progress';
  if (!isOurHistory(evidence.fingerprint, fingerprint)) return 'unknown';
  if (remains === 't') return 'in progress';
  const row = await ask<TokenRow>(side, TOKEN, [evidence.token]);
  if (row.fingerprint !== fingerprint) return 'in progress';
  return row.present === 't' ? 'committed' : 'not-committed';
}

interface TokenRow {
  readonly fingerprint: string | null;
  readonly present: 't' | 'f';
}

/** A former primary that is still alive knows nothing of what was written after it: its timeline is a lower one. */
function isOurHistory(before: string, now: string): boolean {
  const [system = '', timeline = ''] = before.split(' ');
  const [systemNow, timelineNow = ''] = now.split(' ');
  return system === systemNow && timeline <= timelineNow;
}

interface FenceRow {
  /** Null while the server is in recovery. */
  readonly fingerprint: string | null;
  readonly remains: 't' | 'f';
}

/**
 * Ends a session that waits for its client, which is us: a COMMIT still on its way will find nothing to commit. One
 * that works is left to finish: it may be committing. To end it while it waits for a synchronous standby would commit
 * it without the standby. The fingerprint guards against a stranger who was given the same numbers after a crash.
 *
 * Without the time limit of `pg_terminate_backend`, with which it looks again only every 100 ms.
 */
function fence(side: PgConnection, { pid, xid, fingerprint }: Evidence): Promise<FenceRow> {
  return ask<FenceRow>(side, FENCE, [pid, xid, fingerprint]);
}

/** `backend_xid` is shown to everybody, `wait_event` only of one's own role, which may also end the session. */
const FENCE = `WITH here AS MATERIALIZED (SELECT ${FINGERPRINT} AS fingerprint), session AS MATERIALIZED (
  SELECT pid, wait_event FROM pg_stat_activity WHERE pid = $1::int4 AND backend_xid = $2::xid8::xid)
 SELECT fingerprint, EXISTS (SELECT FROM session)
   OR EXISTS (SELECT FROM pg_prepared_xacts WHERE transaction = $2::xid8::xid) AS remains,
  (SELECT count(pg_terminate_backend(pid)) FROM session
    WHERE fingerprint = $3 AND wait_event IN ('ClientRead', 'ClientWrite')) AS ended
 FROM here`;

async function ask<Row>(side: PgConnection, text: string, values: readonly unknown[]): Promise<Row> {
  const { rows } = await side.query<Row>({ text, values, types: AS_TEXT });
  return rows[0] as Row;
}

async function pause(millis: number, { clock, signal }: Time): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = clock.after(millis, resolve);
  try {
    await inTime(signal, () => promise);
  } finally {
    timer.cancel();
  }
}

/** Rejects as soon as the time is up, whatever is under way then. */
function inTime<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    const done = (): void => signal.removeEventListener('abort', onAbort);
    work().then(resolve, reject).finally(done);
  });
}

/**
 * With its schema, because the search path of a transaction may be its tenant's. Never UNLOGGED: such a table is empty
 * after a crash, and on a standby, where an absent token would be a lie.
 */
const TOKENS = 'public.lifeguard_commit_tokens';

const TOKEN = `SELECT ${FINGERPRINT} AS fingerprint, EXISTS (SELECT FROM ${TOKENS} WHERE token = $1::uuid) AS present`;

/**
 * Makes the table, and removes what processes that have died did not. Where it is there already, only the right to
 * DELETE is needed. The lock is for processes that start together: IF NOT EXISTS does not keep them apart.
 * https://www.postgresql.org/message-id/CAKU4AWpGFMgp3zF-8TUkpydPZ5kJcY-yWcdN92mwRnSbJW2zhQ%40mail.gmail.com
 */
export const CREATE_TOKENS: Statement = {
  text: `DO $$ BEGIN
 PERFORM pg_advisory_xact_lock(hashtext('${TOKENS}'));
 IF to_regclass('${TOKENS}') IS NULL THEN
  CREATE TABLE ${TOKENS} (token uuid PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now());
  COMMENT ON TABLE ${TOKENS} IS 'Lifeguard: a row here means that its transaction has committed. Rows older than a day may go.';
 END IF;
 DELETE FROM ${TOKENS} WHERE created_at < now() - interval '1 day';
END $$`,
};

/** Of transactions whose outcome is known, and only of those. */
export function forgetTokens(tokens: readonly string[]): Statement {
  return { text: `DELETE FROM ${TOKENS} WHERE token = ANY ($1::uuid[])`, values: [tokens] };
}
