import { isLifeguardError } from '../errors.ts';
import type { GroupAnswer } from '../pg/sync-group.ts';
import { withSlack } from './arming.ts';
import type { Ground } from './ground.ts';
import type { Hold } from './hold.ts';
import type { Parcel } from './house.ts';
import type { Limits } from './patience.ts';
import { commitStopped } from './transaction-errors.ts';

const COMMIT = 'COMMIT';

/** What travels with a COMMIT, and how long it may take. */
export interface CommitTrip {
  readonly parcel: Pick<Parcel, 'before' | 'statements' | 'armedMillis'>;
  readonly limits: Limits;
  readonly name: string;
}

/**
 * Sends COMMIT and waits for its answer; rejects where none came. No limit of the server covers a COMMIT, and a caller who
 * hangs up does not change what it does: only time ends the wait. Then it is cancelled and given a last moment, because
 * "cancelled" is an answer and silence is none.
 */
export async function awaitCommit(
  ground: Ground,
  hold: Hold,
  { parcel, limits, name }: CommitTrip,
): Promise<GroupAnswer> {
  const answer = sendCommit(hold, parcel);
  answer.catch(() => undefined); // It may come when nobody waits any more.
  const awaited = { begin: () => answer, wasSent: () => true };
  const deadline = limits.deadline ?? boundOf(ground);
  try {
    return await ground.patience(awaited, withSlack({ signal: undefined, deadline }));
  } catch (error) {
    if (hold.runningSince === undefined || !isLifeguardError(error, 'ERR_LIFEGUARD_DEADLINE')) throw error;
    const grace = { signal: undefined, deadline: ground.clock.now() + GRACE_MILLIS };
    const stopped = hold.stop();
    stopped.catch(() => undefined);
    const last = await ground.patience(awaited, grace);
    // The connection is fit again only when the request is known to be spent.
    await ground.patience({ begin: () => stopped, wasSent: () => true }, grace).catch(() => undefined);
    return last.failure === undefined
      ? last
      : { ...last, failure: { ...last.failure, error: commitStopped(name, last.failure.error) } };
  }
}

async function sendCommit(hold: Hold, parcel: CommitTrip['parcel']): Promise<GroupAnswer> {
  if (parcel.statements.length > 0 || parcel.before.length > 0) return hold.send({ ...parcel, after: [COMMIT] });
  try {
    // A simple query: less to send and to read than the group that it would be.
    return { results: [await hold.run<never>({ text: COMMIT })], failure: undefined };
  } catch (error) {
    if (hold.transactionStatus === null) throw error;
    return { results: [], failure: { index: 0, error } };
  }
}

/** Without a deadline a COMMIT gets as much time as a statement does. */
function boundOf({ server, clock }: Ground): number | undefined {
  const millis = server.wanted.get('statement_timeout') ?? server.inForce.get('statement_timeout');
  return millis === undefined ? undefined : clock.now() + millis;
}

const GRACE_MILLIS = 1_000;
