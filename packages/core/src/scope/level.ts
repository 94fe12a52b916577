import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import type { GroupAnswer } from '../pg/sync-group.ts';
import type { Bracket } from './bracket.ts';
import { isDrained, putAway } from './cursor.ts';
import { NO_LIMITS } from './deadline.ts';
import { isGathered } from './gathering.ts';
import type { Ground } from './ground.ts';
import { type Hook, Hooks } from './hooks.ts';
import { Intake } from './intake.ts';
import type { Limits } from './patience.ts';
import type { Place, Step } from './prelude.ts';
import { Savepoint } from './savepoint.ts';
import type { Setting } from './settings.ts';
import { callerLeft, hasEnded, leftOpen, timeIsUp, wasRolledBack } from './transaction-errors.ts';
import { travelsAlone } from './travel.ts';

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
  readonly #intake: Intake;
  #state: State = { kind: 'active' };
  readonly #savepoint: Savepoint | undefined;
  #function: 'runs' | 'has returned' = 'runs';
  #cursor: Submittable | undefined = undefined;
  /** At the end nobody will read one that is open, or that comes to its turn only now. */
  #cursors: 'kept' | 'put away' = 'kept';
  #nested = 0;

  constructor(ground: Ground, bracket: Bracket, { plan, parent }: { plan: LevelPlan; parent?: Level }) {
    this.#ground = ground;
    this.bracket = bracket;
    this.plan = plan;
    this.parent = parent;
    this.depth = parent === undefined ? 0 : parent.depth + 1;
    this.#intake = new Intake(ground, this);
    this.#savepoint = parent === undefined ? undefined : new Savepoint(this.depth, plan.settings);
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
  }

  /** Whether this level's function runs inside the other one. */
  isInside(other: Level): boolean {
    if (this.#function === 'has returned') return false;
    for (let level = this.parent; level !== undefined; level = level.parent) if (level === other) return true;
    return false;
  }

  opening(): readonly Step[] {
    if (this.parent === undefined || this.#savepoint === undefined) return NO_STEPS;
    const before = this.parent.opening();
    const own = this.#savepoint.opening();
    if (before.length === 0) return own;
    return own.length === 0 ? before : [...before, ...own];
  }

  /** A text of the user's own has gone back to a savepoint, of this level or of one around it. */
  returned(): void {
    for (let level: Level | undefined = this; level !== undefined; level = level.parent) level.#savepoint?.returned();
  }

  query<Row>(statement: Statement, limits: Limits): Promise<QueryResult<Row>> {
    if (limits === this.limits && isGathered(statement, this.#ground.server)) {
      this.refuseEnded();
      return this.#intake.gather<Row>(statement);
    }
    return this.#inTurn(limits, () => this.bracket.run<Row>(statement, this.#place(limits)));
  }

  queryAll(statements: readonly Statement[], limits: Limits): Promise<GroupAnswer> {
    return this.#inTurn(limits, () => this.bracket.runAll(statements, this.#place(limits)));
  }

  /** Resolves when the cursor has the connection; the turn lasts until it is through. */
  submit(submittable: Submittable, limits: Limits): Promise<void> {
    return new Promise((submitted, reject) => {
      const run = async (): Promise<void> => {
        const hasIt = (): void => {
          this.#cursor = submittable;
          if (this.#cursors === 'put away') this.#putAway(submittable);
          submitted();
        };
        try {
          await this.bracket.submit(submittable, this.#place(limits), hasIt);
        } finally {
          this.#cursor = undefined;
        }
      };
      this.#inTurn(limits, run).catch(reject);
    });
  }

  /** The last statement, with COMMIT in the same packet where that is possible. */
  async last<Row>(statement: Statement, limits: Limits): Promise<QueryResult<Row>> {
    this.#putCursorsAway();
    if (
      this.parent !== undefined ||
      this.bracket.prelude.needsEvidence ||
      travelsAlone(this.#ground.server.read(statement.text))
    ) {
      const result = await this.query<Row>(statement, limits);
      await this.finish();
      return result;
    }
    return this.#inTurn(limits, async () => {
      this.#refuseDoomed();
      try {
        return (await this.bracket.commit(this.#place(limits), statement)) as QueryResult<Row>;
      } finally {
        if (this.bracket.ending?.kind === 'committed') {
          this.#state = { kind: 'ended', how: 'has committed', outcome: 'kept' };
        }
      }
    });
  }

  /** Runs a nested one for as long as it lives. */
  async nest<T>(limits: Limits, run: () => Promise<T>): Promise<T> {
    this.#nested += 1;
    try {
      return await this.#inTurn(limits, run);
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
    if (this.#state.kind === 'ended') return this.#refuseUnsaved();
    this.#putCursorsAway();
    await this.#intake.take(NO_LIMITS, async () => {
      if (this.#state.kind === 'ended') return;
      try {
        this.#refuseDoomed();
        if (this.parent === undefined) await this.bracket.commit(this);
        else this.#letGo();
        this.#state = {
          kind: 'ended',
          how: this.parent === undefined ? 'has committed' : 'has ended',
          outcome: 'kept',
        };
      } catch (error) {
        await this.#undo('was rolled back', error);
        throw error;
      }
    });
  }

  /** The function has thrown, or has asked for it. */
  async rollBack(how: string, error: unknown): Promise<void> {
    if (this.#state.kind === 'ended') return;
    const hadCursor = this.#cursor !== undefined && !isDrained(this.#cursor);
    this.#putCursorsAway();
    // What waits for its turn is refused from now on. What runs in a savepoint is waited for, because the rest goes on.
    if (this.parent === undefined && !hadCursor) return this.#undo(how, error);
    this.#state = { kind: 'ended', how, outcome: 'undone' };
    await this.#intake.take(NO_LIMITS, () => this.#undo(how, error));
  }

  async #undo(how: string, error: unknown): Promise<void> {
    this.#state = { kind: 'ended', how, outcome: 'undone' };
    if (this.parent === undefined) return this.bracket.rollBack(how, error);
    if (!this.#savepoint?.isSet) return;
    this.#savepoint.gone();
    // Where that fails, the connection is lost, and the transaction around it says so.
    await this.bracket.returnTo(this.#savepoint.name).catch(() => undefined);
  }

  #letGo(): void {
    const { limits, name } = this.plan;
    const when = 'between two statements';
    if (limits.signal?.aborted) throw callerLeft(name, when, limits.signal.reason);
    if (limits.deadline !== undefined && limits.deadline <= this.#ground.clock.now()) throw timeIsUp(name, when);
    if (this.#savepoint?.isSet) this.bracket.prelude.owe(this.#savepoint.closing());
  }

  #putCursorsAway(): void {
    this.#cursors = 'put away';
    if (this.#cursor !== undefined) this.#putAway(this.#cursor);
  }

  /** A stream that took the socket over may not give it back; then the connection goes with it. */
  #putAway(cursor: Submittable): void {
    putAway(cursor);
    const giveUp = (): void => {
      if (this.#cursor === cursor) this.bracket.endNow(leftOpen(this.plan.name));
    };
    this.#ground.clock.after(CURSOR_MILLIS, giveUp, 'idle');
  }

  #place(limits: Limits): Place {
    return limits === this.limits ? this : { limits, opening: () => this.opening(), returned: () => this.returned() };
  }

  /** What failed inside and did not leave it: the caller must not believe that all is well. */
  #refuseDoomed(): void {
    const { trouble, ending } = this.bracket;
    if (this.#state.kind === 'doomed') throw wasRolledBack(this.plan.name, this.#state.error);
    if (ending?.kind === 'unknown') throw ending.error;
    if (ending?.kind === 'rolled-back' || trouble !== undefined) throw wasRolledBack(this.plan.name, trouble);
  }

  #refuseUnsaved(): void {
    const { ending } = this.bracket;
    if (ending?.kind === 'unknown') throw ending.error;
  }

  async #inTurn<T>(limits: Limits, job: () => Promise<T>): Promise<T> {
    this.refuseEnded();
    return this.#intake.take(limits, () => {
      this.refuseEnded();
      return job();
    });
  }

  /** What comes too late. */
  refuseEnded(): void {
    if (this.#state.kind === 'ended') {
      throw hasEnded(this.plan.name, this.#state.how, this.bracket.trouble);
    }
  }
}

const CURSOR_MILLIS = 2_000;
const NO_STEPS: readonly Step[] = Object.freeze([]);
