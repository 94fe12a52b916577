import { isLifeguardError, type LifeguardError } from '../errors.ts';
import type { CommitOutcome } from '../pg/commit-outcome.ts';
import type { Phase } from '../pg/failure.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { GroupAnswer } from '../pg/sync-group.ts';
import { armedMillis } from './arming.ts';
import { awaitCommit } from './commit.ts';
import type { Ending } from './ending.ts';
import type { Ground } from './ground.ts';
import type { Hold } from './hold.ts';
import type { Limits } from './patience.ts';
import type { Plan, Prelude, Step } from './prelude.ts';
import { answerLost, notCommitted, outcomeUnknown, wasRolledBack } from './transaction-errors.ts';

/** What a transaction does when it is known how it ends. */
interface Bearings {
  readonly prelude: Prelude;
  /** The connection is fit, or lost. */
  giveBack(ending: Ending): void;
  /** Something may run on the connection. */
  abandon(ending: Ending): void;
  /** It has ended before, and now it is known how. */
  know(ending: Ending): void;
}

interface LastTrip {
  readonly steps: readonly Step[];
  readonly statement: Statement | undefined;
  readonly limits: Limits;
}

/** The end of a transaction by COMMIT: what was asked, what was answered, and what is known when nothing was. */
export class Conclusion {
  readonly #ground: Ground;
  readonly #plan: Plan;
  readonly #bearings: Bearings;
  #phase: Phase = 'in-transaction';
  #underway = 0;

  constructor(ground: Ground, plan: Plan, bearings: Bearings) {
    this.#ground = ground;
    this.#plan = plan;
    this.#bearings = bearings;
  }

  /** Where the last error came from. */
  get phase(): Phase {
    return this.#phase;
  }

  get isUnderway(): boolean {
    return this.#underway > 0;
  }

  /** Rejects where it did not commit, or nobody knows. Where the bearings were not told of an end, it goes on. */
  async commit(hold: Hold, trip: LastTrip): Promise<QueryResult<never> | undefined> {
    this.#underway += 1;
    try {
      return await this.#commit(hold, trip);
    } finally {
      this.#underway -= 1;
    }
  }

  async #commit(hold: Hold, { steps, statement, limits }: LastTrip): Promise<QueryResult<never> | undefined> {
    const statements = statement === undefined ? [] : [statement];
    const before = steps.map((step) => step.statement);
    const parcel = { before, statements, armedMillis: armedMillis(this.#ground, limits) };
    let answer: GroupAnswer;
    try {
      answer = await awaitCommit(this.#ground, hold, { parcel, limits, name: this.#plan.name });
    } catch (error) {
      // The connection is there and nothing runs on it: nothing was sent.
      if (hold.runningSince === undefined && hold.transactionStatus !== null) throw error;
      await this.#fellSilent(error);
      if (statement === undefined) return undefined;
      throw answerLost(this.#plan.name, error);
    }
    const error = this.#bearings.prelude.note(steps, answer);
    const place = steps.length + statements.length;
    const isAnswered = answer.results.length > place;
    if (answer.failure !== undefined && answer.failure.index < place && !isAnswered) throw error;
    if (hold.lastNotice?.routine === SYNC_REPLICATION) this.#warnOfReplication();
    this.#answered(isAnswered ? undefined : error, answer.results[place]);
    // It has committed, and a row of its last statement could not be read.
    if (error !== undefined) throw error;
    return answer.results[steps.length];
  }

  /** An error that answers COMMIT is a definite end, and so is any other tag than its own. */
  #answered(error: unknown, result: QueryResult<never> | undefined): void {
    const { counts, budget } = this.#ground;
    if (error === undefined && result?.command === 'COMMIT') {
      counts.committed += 1;
      budget.succeeded();
      return this.#bearings.giveBack({ kind: 'committed' });
    }
    this.#phase = 'commit';
    counts.notCommitted += 1;
    const reason = error ?? wasRolledBack(this.#plan.name, undefined);
    this.#bearings.giveBack({
      kind: 'rolled-back',
      by: 'server',
      how: 'was rolled back by the server at COMMIT',
      error: reason,
    });
    throw reason;
  }

  #warnOfReplication(): void {
    const { name } = this.#plan;
    const message = `the transaction "${name}" has committed, but its wait for a synchronous standby was ended: a failover now may lose it`;
    this.#ground.warnings.warn('LIFEGUARD_NOT_REPLICATED', message, { name });
  }

  /** COMMIT was not answered. Whether it was written decides what can be said, and else only the server knows. */
  async #fellSilent(error: unknown): Promise<void> {
    if (isLifeguardError(error) && error.consequence === 'nothing-sent') {
      this.#bearings.giveBack({ kind: 'rolled-back', by: 'server', how: 'lost its connection', error });
      throw error;
    }
    const { name, access } = this.#plan;
    if (access === 'read-only') {
      // It has left nothing that could be in doubt.
      const reason = notCommitted(name, error);
      this.#bearings.abandon({ kind: 'rolled-back', by: 'server', how: 'lost its connection', error: reason });
      throw reason;
    }
    const { evidence } = this.#bearings.prelude;
    const unknown = outcomeUnknown(name, evidence, error);
    this.#bearings.abandon({ kind: 'unknown', error: unknown });
    this.#know(evidence === undefined ? 'unknown' : await this.#ground.server.resolve(evidence), { error, unknown });
  }

  #know(outcome: CommitOutcome, { error, unknown }: { error: unknown; unknown: LifeguardError }): void {
    const { counts } = this.#ground;
    this.#phase = 'commit';
    switch (outcome) {
      case 'committed':
        counts.committed += 1;
        return this.#bearings.know({ kind: 'committed' });
      case 'not-committed': {
        counts.notCommitted += 1;
        const reason = notCommitted(this.#plan.name, error);
        this.#bearings.know({ kind: 'rolled-back', by: 'server', how: 'was not committed', error: reason });
        throw reason;
      }
      case 'unknown':
        counts.unknown += 1;
        throw unknown;
      default:
        outcome satisfies never;
    }
  }
}

/** The server's function that warns: its words are translated. https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION */
const SYNC_REPLICATION = 'SyncRepWaitForLSN';
