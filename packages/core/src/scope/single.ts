import { isLifeguardError } from '../errors.ts';
import type { PgConnection } from '../pg/pg-connection.ts';
import type { Script } from '../pg/scripts.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { GroupAnswer } from '../pg/sync-group.ts';
import type { Boarding } from '../pool/lanes.ts';
import type { Slot } from '../pool/slot.ts';
import { armedMillis, withSlack } from './arming.ts';
import { toBatchResults } from './batch.ts';
import type { BatchResults } from './batch-results.ts';
import { NO_OPTIONS } from './call-options.ts';
import { NO_LIMITS } from './deadline.ts';
import type { Ground } from './ground.ts';
import { Hold } from './hold.ts';
import { shareable } from './lane.ts';
import { begun, takenAway } from './lender.ts';
import { DEFAULT_RETRY, pauseBefore } from './retry.ts';
import { type Fare, ride } from './ride.ts';
import { settingsStatement } from './settings.ts';
import { isBound, type SinglePlan } from './single-plan.ts';
import { cannotCarry, settingsRefused } from './transaction-errors.ts';
import { travelsAlone } from './travel.ts';

/** Runs one statement: on a lane where it may share a connection, else on one that is borrowed for it alone. */
export function single<Row>(ground: Ground, statement: Statement, plan: SinglePlan): Promise<QueryResult<Row>> {
  const script = shareable(ground, statement.text, plan);
  const errand = new SingleErrand<Row>({ ground, plan }, statement, script);
  const slot = errand.shares ? ground.house.pool.board(boarding(plan)) : undefined;
  return slot === undefined ? borrowed(ground, plan, errand) : errand.aboard(slot);
}

/** What one statement needs to be run, wherever that is. */
class SingleErrand<Row> implements Errand<QueryResult<Row>>, Fare<Row> {
  readonly statement: Statement;
  readonly #running: Running;
  #standing: 'may ride' | 'alone';

  constructor(running: Running, statement: Statement, script: Script | undefined) {
    this.#running = running;
    this.statement = statement;
    const mayRide = script !== undefined && (script.isQuick || running.plan.call.lane === true);
    this.#standing = mayRide ? 'may ride' : 'alone';
  }

  get name(): string {
    return this.#running.plan.call.name ?? 'query';
  }

  get shares(): boolean {
    return this.#standing === 'may ride';
  }

  work(hold: Hold): Promise<QueryResult<Row>> {
    return runOn<Row>(hold, this.statement, this.#running);
  }

  aboard(slot: Slot<PgConnection>): Promise<QueryResult<Row>> {
    const { ground, plan } = this.#running;
    if (plan.limits === NO_LIMITS) return ride<Row>(ground, slot, this);
    // Nothing is begun for a caller who has gone: then the place is left here.
    if (plan.limits.signal?.aborted === true) ground.house.pool.alight(slot);
    const begin = (): Promise<QueryResult<Row>> => ride<Row>(ground, slot, this);
    return ground.patience({ begin, wasSent: () => true, ends: 'by itself' }, plan.limits);
  }

  /** Its lane was lost before it was sent. */
  otherwise(): Promise<QueryResult<Row>> {
    const { ground, plan } = this.#running;
    this.#standing = 'alone';
    return borrowed(ground, plan, this);
  }
}

/** Several in one packet, and so in one transaction of their own: all or nothing. */
export async function batch<Rows extends readonly unknown[]>(
  ground: Ground,
  statements: readonly Statement[],
  plan: SinglePlan,
): Promise<BatchResults<Rows>> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await borrowed(ground, plan, new BatchErrand<Rows>({ ground, plan }, statements));
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
async function borrowed<T>(ground: Ground, { call, limits, access }: SinglePlan, errand: Errand<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const hold = new Hold(ground.house, call, { kind: 'statement', deadline: limits.deadline, shares: errand.shares });
    const waiting = begun(ground, hold);
    if (waiting !== undefined) await waiting;
    if (hold.place !== undefined) return errand.aboard(hold.place);
    try {
      const answer = await errand.work(hold);
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

/** What is done with a connection, or with a place on a lane where that will do. */
interface Errand<T> {
  readonly shares: boolean;
  work(hold: Hold): Promise<T>;
  aboard(slot: Slot<PgConnection>): Promise<T>;
}

/** Several statements need a connection to themselves. */
class BatchErrand<Rows extends readonly unknown[]> implements Errand<BatchResults<Rows>> {
  readonly shares = false;
  readonly #running: Running;
  readonly #statements: readonly Statement[];

  constructor(running: Running, statements: readonly Statement[]) {
    this.#running = running;
    this.#statements = statements;
  }

  async work(hold: Hold): Promise<BatchResults<Rows>> {
    return toBatchResults<Rows>(await sendOn(hold, this.#statements, this.#running), this.#statements.length);
  }

  aboard(): never {
    throw new Error('bug: a batch was given a place on a lane');
  }
}

interface Running {
  readonly ground: Ground;
  readonly plan: SinglePlan;
}

function boarding({ call, limits }: SinglePlan): Boarding {
  if (call === NO_OPTIONS) return NOBODY;
  return { owner: call.owner, signal: limits.signal, deadline: limits.deadline };
}

const NOBODY: Boarding = Object.freeze({ owner: undefined, signal: undefined, deadline: undefined });

/** A connection that ends in the moment it is lent is bad luck; three in a row are a server that goes down. */
const MAX_ATTEMPTS = 3;
