import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import type { GroupAnswer } from '../pg/sync-group.ts';
import type { Bracket } from './bracket.ts';
import { NO_LIMITS } from './deadline.ts';
import { refuseUnknown } from './ending.ts';
import { isGathered } from './gathering.ts';
import type { Ground } from './ground.ts';
import { settingsOf } from './heritage.ts';
import { type Hook, Hooks } from './hooks.ts';
import { type Asked, AT_THE_END, FOR_THE_TURN, Intake } from './intake.ts';
import { Fences, isolated } from './isolation.ts';
import { type Occupant, purposeOf } from './occupancy.ts';
import { OpenCursor } from './open-cursor.ts';
import type { Limits } from './patience.ts';
import type { Place, Step } from './prelude.ts';
import { Savepoint } from './savepoint.ts';
import type { Setting } from './settings.ts';
import { guestLost, hasEnded, leftOpen, refuseOverdue, wasRolledBack } from './transaction-errors.ts';
import { travelsAlone } from './travel.ts';
import { Visits } from './visits.ts';

/** What a level of a transaction is given. */
export interface LevelPlan {
  readonly name: string;
  readonly limits: Limits;
  readonly settings: readonly Setting[];
}

type State =
  | { readonly kind: 'active' }
  /** One that joined it has failed: it cannot commit any more. */
  | { readonly kind: 'doomed'; readonly error: unknown }
  | { readonly kind: 'ended'; readonly how: string; readonly outcome: 'kept' | 'undone' };

/**
 * A transaction as its function sees it: the whole bracket, or the part of it behind a savepoint. What is asked of it takes
 * turns, and a nested one has the turn for its whole life: else a return to its savepoint would undo, unseen, what
 * was asked beside it.
 */
export class Level implements Place {
  readonly bracket: Bracket;
  readonly parent: Level | undefined;
  readonly depth: number;
  readonly plan: LevelPlan;
  readonly hooks: Hooks = new Hooks();
  readonly #ground: Ground;
  readonly intake: Intake;
  #state: State = { kind: 'active' };
  readonly #savepoint: Savepoint | undefined;
  #function: 'runs' | 'has returned' = 'runs';
  readonly #cursor: OpenCursor;
  /** All levels of a transaction share them. */
  readonly fences: Fences;
  #nested = 0;
  /** How its own statements stood when it was to end well. */
  stood: 'well' | 'failed' = 'well';
  readonly visits: Visits;

  constructor(ground: Ground, bracket: Bracket, { plan, parent }: { plan: LevelPlan; parent?: Level }) {
    this.#ground = ground;
    this.bracket = bracket;
    this.plan = plan;
    this.parent = parent;
    this.depth = parent === undefined ? 0 : parent.depth + 1;
    this.intake = new Intake(ground, this);
    this.visits = new Visits(this.intake, parent?.visits);
    this.#savepoint = parent === undefined ? undefined : new Savepoint(this.depth, plan.settings);
    this.#cursor = new OpenCursor(ground.clock, () => bracket.endNow(leftOpen(plan.name)));
    this.fences = parent?.fences ?? new Fences(ground, plan.name);
  }

  get limits(): Limits {
    return this.plan.limits;
  }

  /** Whether what was done in it still stands, as far as it was for this level to decide. */
  get outcome(): 'kept' | 'undone' {
    return this.#state.kind === 'ended' ? this.#state.outcome : 'kept';
  }

  get isActive(): boolean {
    return this.#state.kind !== 'ended';
  }

  /** Its function has returned, and the level around it has its turn again. */
  leave(): void {
    this.#function = 'has returned';
    this.parent?.intake.vacated(this);
  }

  /** A library holds it open from now on. */
  occupy(evict: Occupant['evict']): void {
    this.visits.open();
    const welcomes: Occupant['welcomes'] = (who) => this.visits.welcomes(who) && this.bracket.trouble === undefined;
    this.parent?.intake.occupied({ level: this, welcomes, evict });
  }

  /** The next statement sets these, and they are to end with this level. */
  borrow(names: readonly string[]): void {
    this.#savepoint?.borrow(names);
    if (names.length > 0) this.visits.close('everybody');
  }

  /** Whether this level's function runs inside the other one. */
  isInside(other: Level): boolean {
    if (this.#function === 'has returned') return false;
    for (let level = this.parent; level !== undefined; level = level.parent) if (level === other) return true;
    return false;
  }

  opening(): readonly Step[] {
    if (this.parent === undefined || this.#savepoint === undefined) return NO_STEPS;
    return [...this.parent.opening(), ...this.#savepoint.opening()];
  }

  /** A text of the user's own has gone back to a savepoint, of this level or of one around it. */
  returned(): void {
    for (let level: Level | undefined = this; level !== undefined; level = level.parent) level.#savepoint?.returned();
    if (this.visits.isReturnDeceitful) this.parent?.doom(guestLost(this.plan.name));
  }

  query<Row>(statement: Statement, limits: Limits): Promise<QueryResult<Row>> {
    if (limits === this.limits && isGathered(statement, this.#ground.server)) {
      this.refuseEnded();
      return this.visits.noisily(() => this.intake.gather<Row>(statement));
    }
    const here = (): Promise<QueryResult<Row>> => this.bracket.run<Row>(statement, this.#place(limits));
    return this.#ask(statement, limits, { here, isOwner: true });
  }

  /** A statement that stands for itself, as far as its failure goes: it does not fail what is around it. */
  isolate<Row>(statement: Statement, limits: Limits, guestOf?: Level): Promise<QueryResult<Row>> {
    const run = (place: Place): Promise<QueryResult<Row>> => this.bracket.run<Row>(statement, place);
    const place = this.#place(limits);
    // A guest must not fail its host.
    const here = (): Promise<QueryResult<Row>> =>
      this.fences.admit(statement) || guestOf !== undefined ? isolated(this.bracket, place, run) : run(place);
    return this.#ask(statement, limits, { here, guestOf });
  }

  queryAll(statements: readonly Statement[], limits: Limits, guestOf?: Level): Promise<GroupAnswer> {
    const run = (place: Place): Promise<GroupAnswer> => this.bracket.runAll(statements, place);
    const place = this.#place(limits);
    return this.intake.perform(limits, {
      here: () => (guestOf !== undefined ? isolated(this.bracket, place, run) : run(place)),
      inside: { purpose: 'writes', visit: (host) => host.queryAll(statements, limits, guestOf ?? this) },
      guestOf,
    });
  }

  /** Resolves when the cursor has the connection; the turn lasts until it is through. */
  submit(submittable: Submittable, limits: Limits): Promise<void> {
    return new Promise((submitted, reject) => {
      const hasIt = (): void => {
        this.#cursor.took(submittable, (to) => this.intake.lent(to));
        submitted();
      };
      const here = (): Promise<void> =>
        this.bracket.submit(submittable, this.#place(limits), hasIt).finally(() => this.#cursor.isThrough(submittable));
      this.intake.perform(limits, { here, inside: FOR_THE_TURN }).catch(reject);
    });
  }

  async #ask<Row>(
    statement: Statement,
    limits: Limits,
    { here, guestOf, isOwner }: Asked<Row>,
  ): Promise<QueryResult<Row>> {
    const purpose = purposeOf(this.#ground.server, [statement]);
    const visit = (host: Level): Promise<QueryResult<Row>> => host.isolate<Row>(statement, limits, guestOf ?? this);
    // A fence would take a savepoint of the caller's own with it.
    const stays = this.#ground.server.read(statement.text).transaction.length > 0;
    return this.intake.perform(limits, { here, inside: stays ? FOR_THE_TURN : { purpose, visit }, guestOf, isOwner });
  }

  /** The last statement, with COMMIT in the same packet where that is possible. */
  async last<Row>(statement: Statement, limits: Limits): Promise<QueryResult<Row>> {
    this.#cursor.putAway();
    if (
      this.parent !== undefined ||
      this.bracket.prelude.needsEvidence ||
      travelsAlone(this.#ground.server.read(statement.text))
    ) {
      const result = await this.query<Row>(statement, limits);
      await this.finish();
      return result;
    }
    const here = async (): Promise<QueryResult<Row>> => {
      this.#refuseDoomed();
      try {
        return (await this.bracket.commit(this.#place(limits), statement)) as QueryResult<Row>;
      } finally {
        if (this.bracket.ending?.kind === 'committed') this.#state = COMMITTED;
      }
    };
    return this.intake.perform(limits, { here, inside: AT_THE_END });
  }

  /** Runs a nested one for as long as it lives; inside a level that has the turn for long, where there is one. */
  async nest<T>(limits: Limits, run: (around: Level) => Promise<T>, guestOf?: Level): Promise<T> {
    this.#nested += 1;
    const inside = { purpose: 'writes', visit: (host: Level) => host.nest(limits, run, guestOf ?? this) } as const;
    try {
      return await this.intake.perform(limits, { here: () => run(this), inside, guestOf, isNested: true });
    } finally {
      this.#nested -= 1;
    }
  }

  /** Of what has ended it is known what became of it. */
  addHook(when: 'commit' | 'rollback', hook: Hook): void {
    this.refuseEnded();
    this.hooks.add(when, hook);
  }

  /** Whether a nested one is open, or waits for its turn. */
  get hasNested(): boolean {
    return this.#nested > 0;
  }

  /** One that joined has failed. */
  doom(error: unknown): void {
    if (this.#state.kind === 'active') this.#state = { kind: 'doomed', error };
  }

  /** The function has returned. What was asked for before runs first; then COMMIT, or the savepoint is let go. */
  async finish(): Promise<void> {
    if (this.#state.kind === 'ended') return refuseUnknown(this.bracket.ending);
    this.#cursor.putAway();
    const here = async (): Promise<void> => {
      if (this.#state.kind === 'ended') return;
      try {
        this.#refuseDoomed();
        if (this.parent === undefined) await this.bracket.commit(this);
        else this.#letGo();
        this.#state = this.parent === undefined ? COMMITTED : LET_GO;
      } catch (error) {
        await this.#undo('was rolled back', error);
        throw error;
      }
    };
    await this.intake.take(NO_LIMITS, { here, inside: AT_THE_END });
  }

  /** The function has thrown, or has asked for it. */
  async rollBack(how: string, error: unknown): Promise<void> {
    if (this.#state.kind === 'ended') return;
    const hadCursor = this.#cursor.isOpen;
    this.#cursor.putAway();
    // What waits for its turn is refused from now on. What runs in a savepoint is waited for, because the rest goes on.
    if (this.parent === undefined && !hadCursor) return this.#undo(how, error);
    this.#state = { kind: 'ended', how, outcome: 'undone' };
    await this.intake.take(NO_LIMITS, { here: () => this.#undo(how, error), inside: AT_THE_END });
  }

  async #undo(how: string, error: unknown): Promise<void> {
    this.#state = { kind: 'ended', how, outcome: 'undone' };
    if (this.visits.haveServed) this.parent?.doom(guestLost(this.plan.name));
    if (this.parent === undefined) {
      this.intake.evict();
      return this.bracket.rollBack(how, error);
    }
    if (!this.#savepoint?.isSet) return;
    this.#savepoint.gone();
    // Where that fails, the connection is lost, and the transaction around it says so.
    await this.bracket.returnTo(this.#savepoint.name).catch(() => undefined);
  }

  #letGo(): void {
    refuseOverdue(this.plan, this.#ground.clock.now());
    if (this.#savepoint?.isSet)
      this.bracket.prelude.owe(this.#savepoint.closing(this.visits.isOpen ? settingsOf(this) : []));
  }

  #place(limits: Limits): Place {
    return limits === this.limits ? this : { limits, opening: () => this.opening(), returned: () => this.returned() };
  }

  /** What failed inside and did not leave it: the caller must not believe that all is well. */
  #refuseDoomed(): void {
    const { trouble, ending } = this.bracket;
    if (this.#state.kind === 'doomed') throw wasRolledBack(this.plan.name, this.#state.error);
    if (ending?.kind === 'unknown') throw ending.error;
    this.stood = ending === undefined && trouble !== undefined ? 'failed' : 'well';
    if (ending?.kind === 'rolled-back' || trouble !== undefined) throw wasRolledBack(this.plan.name, trouble);
  }

  /** What comes too late. */
  refuseEnded(): void {
    if (this.#state.kind === 'ended') throw hasEnded(this.plan.name, this.#state.how, this.bracket.trouble);
  }
}

const COMMITTED: State = { kind: 'ended', how: 'has committed', outcome: 'kept' };
const LET_GO: State = { kind: 'ended', how: 'has ended', outcome: 'kept' };
const NO_STEPS: readonly Step[] = Object.freeze([]);
