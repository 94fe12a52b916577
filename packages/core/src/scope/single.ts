import { isLifeguardError } from '../errors.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { GroupAnswer } from '../pg/sync-group.ts';
import { armedMillis, withSlack } from './arming.ts';
import { toBatchResults } from './batch.ts';
import type { BatchResults } from './batch-results.ts';
import { type CallOptions, NO_OPTIONS } from './call-options.ts';
import { NO_LIMITS } from './deadline.ts';
import type { Ground } from './ground.ts';
import { Hold } from './hold.ts';
import { begun, takenAway } from './lender.ts';
import type { Limits } from './patience.ts';
import { DEFAULT_RETRY, pauseBefore } from './retry.ts';
import { type Setting, settingsStatement } from './settings.ts';
import { cannotCarry, settingsRefused } from './transaction-errors.ts';
import { travelsAlone } from './travel.ts';

/** How a statement outside a transaction is to be run. */
export interface SinglePlan {
  readonly call: CallOptions;
  readonly limits: Limits;
  readonly settings: readonly Setting[];
  readonly access: 'any' | 'read-only';
}

/** Nothing in particular. */
export const PLAIN: SinglePlan = Object.freeze({ call: NO_OPTIONS, limits: NO_LIMITS, settings: [], access: 'any' });

/** Runs one statement on a connection that is borrowed for it alone. */
export function single<Row>(ground: Ground, statement: Statement, plan: SinglePlan): Promise<QueryResult<Row>> {
  return borrowed(ground, plan, (hold) => runOn<Row>(hold, statement, { ground, plan }));
}

/** Several in one packet, and so in one transaction of their own: all or nothing. */
export async function batch<Rows extends readonly unknown[]>(
  ground: Ground,
  statements: readonly Statement[],
  plan: SinglePlan,
): Promise<BatchResults<Rows>> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await borrowed(ground, plan, async (hold) =>
        toBatchResults<Rows>(await sendOn(hold, statements, { ground, plan }), statements.length),
      );
    } catch (error) {
      const isConflict = ground.server.failureOf(error, 'in-transaction').retry === 'conflict';
      if (!isConflict || attempt === DEFAULT_RETRY.attempts) throw error;
      ground.counts.retries += 1;
      const pause = pauseBefore(attempt, DEFAULT_RETRY);
      await ground.patience(
        {
          begin: () => new Promise((done) => void ground.clock.after(pause, () => done(undefined))),
          wasSent: () => false,
        },
        plan.limits,
      );
    }
  }
}

/** Runs a statement on a hold that is there already, with what its plan says before it in the same packet. */
export function runOn<Row>(hold: Hold, statement: Statement, { ground, plan }: Running): Promise<QueryResult<Row>> {
  const { limits } = plan;
  if (!isBound(plan) && armedMillis(ground, limits) === undefined) {
    if (limits === NO_LIMITS) return hold.run<Row>(statement);
    return ground.patience({ begin: () => hold.run<Row>(statement), wasSent: () => true }, limits);
  }
  return runCarrying<Row>(hold, statement, { ground, plan });
}

async function runCarrying<Row>(
  hold: Hold,
  statement: Statement,
  { ground, plan }: Running,
): Promise<QueryResult<Row>> {
  const reading = ground.server.read(statement.text);
  if (travelsAlone(reading) || reading.needsNoBlock) {
    // In one packet with others it would be refused, or be one transaction with them: it goes bare.
    if (isBound(plan)) throw cannotCarry(hold.name, reading.words[0] ?? 'the text');
    return ground.patience({ begin: () => hold.run<Row>(statement), wasSent: () => true }, plan.limits);
  }
  const { results, failure } = await sendOn(hold, [statement], { ground, plan });
  if (failure !== undefined) throw failure.error;
  return results[0] as QueryResult<Row>;
}

/** Whether a plan asks for more than time: then a statement that cannot carry it must not run without it. */
export function isBound({ settings, access }: SinglePlan): boolean {
  return settings.length > 0 || access === 'read-only';
}

async function sendOn(hold: Hold, statements: readonly Statement[], { ground, plan }: Running): Promise<GroupAnswer> {
  const armed = armedMillis(ground, plan.limits);
  const before = carried(plan, armed);
  hold.writes(plan.access === 'read-only' ? 'possible' : 'writable');
  const begin = (): Promise<GroupAnswer> => hold.send({ before, statements, after: [], armedMillis: armed });
  const { results, failure } = await ground.patience({ begin, wasSent: () => true }, withSlack(plan.limits));
  if (failure === undefined) return { results: results.slice(before.length), failure };
  if (failure.index < before.length) throw settingsRefused({ name: hold.name, settings: plan.settings }, failure.error);
  return { results: results.slice(before.length), failure: { ...failure, index: failure.index - before.length } };
}

/** One statement that sets all: the time first, and the role last. */
function carried({ settings, access }: SinglePlan, armed: number | undefined): readonly Statement[] {
  const all = [
    ...(armed === undefined ? [] : [{ name: 'statement_timeout', value: String(armed) }]),
    ...(access === 'read-only' ? [{ name: 'transaction_read_only', value: 'on' }] : []),
    ...settings,
  ];
  return all.length === 0 ? [] : [settingsStatement(all)];
}

/** A connection for the time of `work`, and another one where that can do no harm. */
async function borrowed<T>(
  ground: Ground,
  { call, limits, access }: SinglePlan,
  work: (hold: Hold) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const hold = new Hold(ground.house, call, { kind: 'statement', deadline: limits.deadline });
    const waiting = begun(ground, hold);
    if (waiting !== undefined) await waiting;
    try {
      const answer = await work(hold);
      if (access === 'read-only') ground.budget.succeeded();
      return answer;
    } catch (error) {
      if (hold.isOver) throw takenAway(ground, hold, error);
      if (attempt === MAX_ATTEMPTS || !mayGoOn(ground, error, access)) throw error;
      ground.counts.retries += 1;
    } finally {
      hold.end();
    }
  }
}

function mayGoOn(ground: Ground, error: unknown, access: SinglePlan['access']): boolean {
  if (isLifeguardError(error, 'ERR_LIFEGUARD_CONNECTION_LOST')) {
    if (error.consequence === 'nothing-sent') return true;
    // It may have run, and what only reads may run twice. Its user has said that it only reads; a SELECT alone proves nothing.
    return access === 'read-only' && ground.budget.take();
  }
  return ground.server.failureOf(error, 'statement').retry === 'stale-plan';
}

interface Running {
  readonly ground: Ground;
  readonly plan: SinglePlan;
}

/** A connection that ends in the moment it is lent is bad luck; three in a row are a server that goes down. */
const MAX_ATTEMPTS = 3;
