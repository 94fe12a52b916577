import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import type { GroupAnswer } from '../pg/sync-group.ts';
import { armedMillis, withSlack } from './arming.ts';
import { type BracketState, type Errand, onlyResult, type Trip, withoutSteps } from './bracket-state.ts';
import { Conclusion } from './conclusion.ts';
import { houseLimits } from './deadline.ts';
import { EarlyEnd } from './early-end.ts';
import { type Ending, refusalAfter } from './ending.ts';
import type { Ground } from './ground.ts';
import type { Hold } from './hold.ts';
import { interruption } from './interruption.ts';
import { type Lender, takenAway } from './lender.ts';
import type { Limits } from './patience.ts';
import { type Place, type Plan, Prelude, type Step } from './prelude.ts';
import { backTo } from './savepoint.ts';
import { TimeWatch } from './time-watch.ts';
import { cutShort, endedBehindOurBack, hasEnded, hasFailed } from './transaction-errors.ts';
import { travelsAlone } from './travel.ts';

/**
 * One transaction of the server: BEGIN to COMMIT on one connection, which it takes with the first statement and gives
 * back exactly once. One thing at a time runs on it; whoever calls has the turn.
 */
export class Bracket {
  readonly plan: Plan;
  readonly #ground: Ground;
  readonly #lender: Lender;
  readonly prelude: Prelude;
  #state: BracketState = { kind: 'fresh' };
  /** The last failure of a statement. */
  fault: unknown = undefined;
  /** How many things may have written. */
  writes = 0;
  /** The one of a library, while nothing has succeeded since. */
  blamed: unknown = undefined;
  #lending: 'no' | 'underway' = 'no';
  readonly conclusion: Conclusion;
  readonly #watch: TimeWatch;
  readonly earlyEnd: EarlyEnd = new EarlyEnd();

  constructor(ground: Ground, plan: Plan, lender: Lender) {
    this.plan = plan;
    this.#ground = ground;
    this.#lender = lender;
    this.prelude = new Prelude(ground, plan);
    this.conclusion = new Conclusion(ground, plan, {
      prelude: this.prelude,
      giveBack: (ending) => this.#giveBack(ending),
      abandon: (ending) => this.#abandon(ending),
      know: (ending) => void this.#end(ending),
    });
    this.#watch = new TimeWatch(ground, plan, {
      isRunning: () => this.#lending === 'underway' || this.hold?.runningSince !== undefined,
      expire: (error) => this.endNow(error),
    });
    this.#watch.start();
  }

  get isFresh(): boolean {
    return this.#state.kind === 'fresh';
  }

  get ending(): Ending | undefined {
    return this.#state.kind === 'over' ? this.#state.ending : undefined;
  }

  /** The first error of those that nothing has made good. */
  get trouble(): unknown {
    if (this.#state.kind === 'failed') return this.#state.error;
    const { ending } = this;
    return ending === undefined || ending.kind === 'committed' ? undefined : ending.error;
  }

  /** Where there is a connection. */
  get hold(): Hold | undefined {
    return (this.#state as { hold?: Hold }).hold;
  }

  /** Not async, as what it calls: each statement comes through here. */
  run<Row>(statement: Statement, place: Place): Promise<QueryResult<Row>> {
    const { transaction, isPlainRead } = this.#ground.server.read(statement.text);
    if (!isPlainRead) this.writes += 1;
    const isReturn = transaction.length > 0 && transaction.includes('rollback to');
    const hold = this.#held(isReturn ? 'repair' : 'work');
    if (hold !== undefined) return this.#runOn<Row>(hold, statement, { place, isReturn });
    return this.#begin(place.limits).then((begun) => this.#runOn<Row>(begun, statement, { place, isReturn }));
  }

  #runOn<Row>(hold: Hold, statement: Statement, { place, isReturn }: Errand): Promise<QueryResult<Row>> {
    const { limits } = place;
    // Where a statement has failed, the server takes the return and nothing before it.
    const steps = this.#state.kind === 'failed' ? NO_STEPS : this.prelude.before(place);
    if (isReturn) {
      this.prelude.returned();
      place.returned();
    }
    const armed = armedMillis(this.#ground, limits);
    if (steps.length === 0) return this.#patient(hold, limits, () => hold.run<Row>(statement, armed));
    if (travelsAlone(this.#ground.server.read(statement.text))) {
      const run = (): Promise<QueryResult<Row>> => this.#patient(hold, limits, () => hold.run<Row>(statement, armed));
      return this.#prepare(hold, steps, limits).then(run);
    }
    return this.#ask(hold, { steps, statements: [statement] }, limits).then(onlyResult<Row>);
  }

  async runAll(statements: readonly Statement[], place: Place): Promise<GroupAnswer> {
    if (statements.some(({ text }) => !this.#ground.server.read(text).isPlainRead)) this.writes += 1;
    const hold = this.#held('work') ?? (await this.#begin(place.limits));
    return this.#ask(hold, { steps: this.prelude.before(place), statements }, place.limits);
  }

  /** Hands the connection to a cursor; `submitted` is called when it has it. Resolves when it is through. */
  async submit(submittable: Submittable, place: Place, submitted: () => void): Promise<void> {
    const hold = this.#held('work') ?? (await this.#begin(place.limits));
    const steps = this.prelude.before(place);
    if (steps.length > 0) await this.#prepare(hold, steps, place.limits);
    const armed = armedMillis(this.#ground, place.limits);
    const answer = this.#patient(hold, place.limits, () => hold.submit(submittable, armed));
    submitted();
    await answer;
  }

  /** Back to a savepoint: what had failed is open again. */
  async returnTo(savepoint: string): Promise<void> {
    if (this.#state.kind !== 'open' && this.#state.kind !== 'failed') return;
    this.prelude.returned();
    const { blamed } = this;
    await this.#prepare(this.#state.hold, backTo(savepoint), houseLimits(this.#ground.clock));
    this.blamed = blamed;
  }

  /** COMMIT, alone or in one packet with a last statement. Rejects where it did not commit, or where nobody knows. */
  async commit(place: Place, statement?: Statement): Promise<QueryResult<never> | undefined> {
    if (statement === undefined && (this.#state.kind === 'fresh' || this.#state.kind === 'held')) {
      this.#giveBack({ kind: 'committed' });
      return undefined;
    }
    const hold = this.#held('work') ?? (await this.#begin(place.limits));
    const steps = statement === undefined ? this.prelude.owedSettings : this.prelude.before(place);
    try {
      return await this.conclusion.commit(hold, { steps, statement, limits: place.limits });
    } catch (error) {
      // It was not the COMMIT that failed, but what travelled before it.
      this.#observe(hold, error);
      throw error;
    }
  }

  /** What runs at the moment is cancelled. */
  async rollBack(how: string, error: unknown): Promise<void> {
    if (this.#state.kind === 'over') return;
    // What the server said first counts, whatever was made of it on the way.
    const by = this.#state.kind === 'failed' ? 'server' : 'caller';
    const hold = this.#end({ kind: 'rolled-back', by, how, error: this.trouble ?? error });
    if (hold === undefined) return;
    if (hold.runningSince !== undefined) return this.#lender.abandon(hold);
    if (hold.transactionStatus === 'I' || hold.transactionStatus === null) return this.#lender.end(hold);
    try {
      await this.#ground.patience(
        { begin: () => hold.run(ROLLBACK), wasSent: () => true },
        houseLimits(this.#ground.clock),
      );
      this.#lender.end(hold);
    } catch {
      // The house rolls back in its own time, or closes the connection, and then the server does.
      this.#lender.abandon(hold);
    }
  }

  /** Ends it under its function's hands: what runs is cancelled, but a COMMIT that is on its way is let through. */
  endNow(error: unknown): void {
    if (this.#state.kind !== 'over' && !this.conclusion.isUnderway) this.#giveUp(error);
  }

  /** Undefined while there is none. */
  #held(purpose: 'work' | 'repair'): Hold | undefined {
    const state = this.#state;
    if (state.kind === 'fresh') return undefined;
    if (state.kind === 'over') throw refusalAfter(state.ending, this.plan.name);
    if (state.kind === 'failed' && purpose === 'work') throw hasFailed(this.plan.name, state.error);
    if (!state.hold.isOver) return state.hold;
    const error = hasEnded(this.plan.name, 'lost its connection: the pool took it away');
    this.#giveUp(error);
    throw error;
  }

  async #begin(limits: Limits): Promise<Hold> {
    const refusal = this.#ground.server.refusalOfTransaction();
    if (refusal !== undefined) throw refusal;
    this.#lending = 'underway';
    const hold = await this.#lender.begin(limits).finally(() => {
      this.#lending = 'no';
    });
    if (this.ending !== undefined) {
      this.#lender.end(hold);
      throw refusalAfter(this.ending, this.plan.name);
    }
    this.#state = { kind: 'held', hold };
    hold.writes(this.plan.access === 'writable' ? 'writable' : 'possible');
    return hold;
  }

  async #prepare(hold: Hold, steps: readonly Step[], limits: Limits): Promise<void> {
    const answer = await this.#ask(hold, { steps, statements: [] }, limits);
    if (answer.failure !== undefined) throw answer.failure.error;
    this.#held('repair');
  }

  #ask(hold: Hold, { steps, statements }: Trip, limits: Limits): Promise<GroupAnswer> {
    const parcel = {
      before: steps.map((step) => step.statement),
      statements,
      after: [],
      armedMillis: armedMillis(this.#ground, limits),
    };
    const noted = (answer: GroupAnswer): GroupAnswer => {
      const error = this.prelude.note(steps, answer);
      if (answer.failure !== undefined) this.#observe(hold, error);
      return withoutSteps(answer, steps.length, error);
    };
    return this.#patient(hold, limits, () => hold.send(parcel).then(noted));
  }

  /** Waits for an answer for as long as the limits allow, and looks at what has become of the transaction by then. */
  async #patient<T>(hold: Hold, limits: Limits, begin: () => Promise<T>): Promise<T> {
    let answer: T;
    try {
      // The transaction's own limits have a watch already.
      answer = await (limits === this.plan.limits
        ? begin()
        : this.#ground.patience({ begin, wasSent: () => true }, withSlack(limits)));
    } catch (failure) {
      if (this.#state.kind === 'over') throw cutShort(this.plan.name, failure);
      const error = hold.isOver ? takenAway(this.#ground, hold, failure) : failure;
      if (hold.isOver || hold.runningSince !== undefined) this.#giveUp(error);
      else if (this.#state.kind !== 'held' || hold.transactionStatus !== 'I') this.#observe(hold, error);
      this.#watch.look(this.trouble);
      throw error;
    }
    if (this.#state.kind === 'over') throw interruption(this.#state.ending, hold.lastFailure, this.plan.name);
    this.#observe(hold, hold.lastFailure);
    if (hold.lastFailure === undefined) this.blamed = undefined;
    this.#watch.look(this.trouble);
    if (this.ending !== undefined && this.ending.kind !== 'committed') throw this.ending.error;
    return answer;
  }

  /** What the server's own word is about the transaction, now that nothing runs. */
  #observe(hold: Hold, error: unknown): void {
    const state = this.#state;
    if (error !== undefined) this.fault = error;
    if (state.kind === 'over' || state.kind === 'fresh') return;
    switch (hold.transactionStatus) {
      case 'T':
        this.#state = { kind: 'open', hold };
        break;
      case 'E':
        this.#state = { kind: 'failed', hold, error: state.kind === 'failed' ? state.error : error };
        break;
      case 'I':
        if (state.kind === 'held') this.#giveBack({ kind: 'rolled-back', by: 'server', how: 'could not begin', error });
        else this.#giveBack({ kind: 'unknown', error: endedBehindOurBack(this.plan.name) });
        break;
      case null:
        this.#giveBack({ kind: 'rolled-back', by: 'server', how: 'lost its connection', error: error ?? hold.loss });
        break;
      default:
        hold.transactionStatus satisfies never;
    }
  }

  #giveUp(error: unknown): void {
    this.#abandon({ kind: 'rolled-back', by: 'server', how: 'was given up', error });
    this.earlyEnd.came(error);
  }

  #abandon(ending: Ending): void {
    const hold = this.#end(ending);
    if (hold !== undefined) this.#lender.abandon(hold);
  }

  #giveBack(ending: Ending): void {
    const hold = this.#end(ending);
    if (hold !== undefined) this.#lender.end(hold);
  }

  #end(ending: Ending): Hold | undefined {
    const { hold } = this;
    this.#state = { kind: 'over', ending };
    this.#watch.stop();
    const { token } = this.prelude.evidence ?? {};
    if (ending.kind === 'committed' && token !== undefined) this.#ground.forget(token);
    return hold;
  }
}

const NO_STEPS: readonly Step[] = Object.freeze([]);
const ROLLBACK: Statement = Object.freeze({ text: 'ROLLBACK' });
