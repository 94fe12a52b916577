import type { PgConnection } from '../pg/pg-connection.ts';
import type { Script } from '../pg/scripts.ts';
import type { SqlReading } from '../pg/sql-words.ts';
import type { Pool } from '../pool/pool.ts';
import { armedMillis } from './arming.ts';
import type { Ground } from './ground.ts';
import { OpenTransaction } from './open-transaction.ts';
import { SLACK_MILLIS } from './silence.ts';
import { isBound, type SinglePlan } from './single-plan.ts';
import { travelsAlone } from './travel.ts';

/**
 * What is known of a text that may share a connection with others while it is quick; undefined where it needs one for
 * itself: it is not known to be harmless, it brings settings or a shorter limit than the server has, it is to be counted
 * in a group, or a transaction of its caller's is open, for which it could wait on a lane for ever.
 */
export function shareable(ground: Ground, text: string, plan: SinglePlan): Script | undefined {
  const { lane = ground.lane ? undefined : false, group } = plan.call;
  // A long text is mostly one of a kind, and to read it costs more than it could gain.
  if (lane === false || group !== undefined || isBound(plan) || text.length > LONGEST) return undefined;
  const script = ground.server.scriptOf(text);
  const isFit = lane === true ? isHarmless(script.reading) : script.reading.isPlainRead;
  if (!isFit || !ground.server.mayShare || armedMillis(ground, plan.limits) !== undefined) return undefined;
  return ground.ambient.some((work) => work instanceof OpenTransaction) ? undefined : script;
}

const LONGEST = 16_384;

/** Ends lanes whose server should have spoken by now: its own limit for one statement has passed, and nothing has come. */
export function endSilentLanes(pool: Pool<PgConnection>, now: number, limitMillis: number | undefined): void {
  if (limitMillis === undefined || limitMillis === 0) return;
  for (const { slot, stalledSince } of [...pool.lanes()]) {
    if (stalledSince !== undefined && now - stalledSince >= limitMillis + SLACK_MILLIS) pool.endLane(slot, 'lost');
  }
}

/** What a caller may vouch for: the rest would make something of the connection that is not for others. */
function isHarmless(reading: SqlReading): boolean {
  const { statements, dirt, transaction, needsNoBlock } = reading;
  return statements === 1 && dirt === 'none' && transaction.length === 0 && !needsNoBlock && !travelsAlone(reading);
}
