import type { Clock } from '../clock.ts';
import { nameOf } from '../errors.ts';
import { leaseEnded, leaseStarted, statementEnded, statementStarted } from '../events.ts';
import type { PgConnection } from '../pg/pg-connection.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Pool } from '../pool/pool.ts';
import type { CloseReason, Verdict } from '../pool/seam.ts';
import type { Slot } from '../pool/slot.ts';
import type { AcquireRequest, Owner, Priority } from '../pool/waiters.ts';
import type { CallOptions } from './call-options.ts';
import type { LeakWatch } from './leak-watch.ts';

/** What every hold of a pool shares. */
export interface House {
  readonly name: string;
  readonly clock: Clock;
  readonly pool: Pool<PgConnection>;
  verdictOn(connection: PgConnection): Verdict;
  /** The error of a statement as its caller shall see it. */
  explain(error: unknown, ranMillis: number): unknown;
  readonly leaks: Pick<LeakWatch, 'ended'>;
}

/**
 * One loan of one connection, from the request for it to its end, with its accounts. It is what the pool sees of a
 * borrower; users hold it only through a `Lease`, so that one whose lease was forgotten can be told from one that lives.
 */
export class Hold implements AcquireRequest {
  readonly name: string;
  readonly group: string | undefined;
  readonly priority: Priority | undefined;
  readonly owner: Owner | undefined;
  readonly signal: AbortSignal | undefined;
  readonly deadline: number | undefined;
  readonly kind: 'statement' | 'lease';
  lastText: string | undefined = undefined;
  /** Where it was asked for, if that was recorded. */
  stack: string | undefined = undefined;
  /** When it was reported as leaked. */
  leakedAt: number | undefined = undefined;
  #queriedMillis = 0;
  #runningSince: number | undefined;
  readonly #house: House;
  #loan: { readonly slot: Slot<PgConnection>; readonly connection: PgConnection; readonly since: number } | undefined;

  constructor(house: House, options: CallOptions, { kind, deadline }: Pick<Hold, 'kind' | 'deadline'>) {
    this.#house = house;
    this.kind = kind;
    this.name = options.name ?? DEFAULT_NAMES[kind];
    this.group = options.group;
    this.priority = options.priority;
    this.owner = options.owner;
    this.signal = options.signal;
    this.deadline = deadline;
  }

  queriedMillis(now: number): number {
    return this.#queriedMillis + (this.#runningSince === undefined ? 0 : now - this.#runningSince);
  }

  /** Asks the pool, which answers at once where it can. */
  begin(): Promise<void> | undefined {
    const slot = this.#house.pool.take(this);
    if (slot === undefined) return this.#wait();
    this.#started(slot, 0);
    return undefined;
  }

  get isOver(): boolean {
    return this.#loan === undefined || this.#loan.slot.state.kind !== 'leased' || this.#loan.slot.state.holder !== this;
  }

  get slotId(): number {
    return this.#loan?.slot.id ?? 0;
  }

  /** Sends a statement. One at a time: whoever calls sees to it. */
  async run<Row>(statement: Statement): Promise<QueryResult<Row>> {
    const loan = this.#loan;
    if (loan === undefined) throw new Error('bug: a statement on a hold that has not begun');
    this.lastText = statement.text;
    if (statementStarted.hasSubscribers) statementStarted.publish(this.#event(loan.slot));
    this.#runningSince = this.#house.clock.now();
    try {
      const result = await loan.connection.query<Row>(statement);
      this.#answered(loan.slot, undefined);
      return result;
    } catch (failure) {
      const ranMillis = this.#house.clock.now() - (this.#runningSince ?? 0);
      const error = this.#house.explain(failure, ranMillis);
      this.#answered(loan.slot, error);
      this.#house.pool.learn(loan.slot, this, failure);
      throw error;
    }
  }

  /** Gives the connection back, or away. Harmless when that has happened. */
  end(discard?: CloseReason): void {
    const loan = this.#loan;
    if (loan === undefined) return;
    const isNews = (this.leakedAt !== undefined || discard === 'collected') && !this.isOver;
    this.#loan = undefined;
    if (leaseEnded.hasSubscribers) {
      const heldMillis = this.#house.clock.now() - loan.since;
      const queryingMillis = this.#queriedMillis;
      leaseEnded.publish({ pool: this.#house.name, name: this.name, slot: loan.slot.id, heldMillis, queryingMillis });
    }
    if (isNews) {
      const heldMillis = this.#house.clock.now() - loan.since;
      this.#house.leaks.ended(this, { slot: loan.slot.id, heldMillis, discard });
    }
    const verdict: Verdict =
      discard === undefined ? this.#house.verdictOn(loan.connection) : { kind: 'discard', reason: discard };
    this.#house.pool.giveBack(loan.slot, this, verdict);
  }

  async #wait(): Promise<void> {
    const since = this.#house.clock.now();
    const slot = await this.#house.pool.acquire(this);
    this.#started(slot, this.#house.clock.now() - since);
  }

  #started(slot: Slot<PgConnection>, waitedMillis: number): void {
    if (slot.state.kind !== 'leased') throw new Error(`bug: slot ${slot.id} was lent and is ${slot.state.kind}`);
    this.#loan = { slot, connection: slot.state.connection, since: slot.state.since };
    if (leaseStarted.hasSubscribers) {
      leaseStarted.publish({ pool: this.#house.name, name: this.name, slot: slot.id, waitedMillis });
    }
  }

  #answered(slot: Slot<PgConnection>, error: unknown): void {
    const now = this.#house.clock.now();
    const millis = now - (this.#runningSince ?? now);
    this.#runningSince = undefined;
    this.#queriedMillis += millis;
    if (!statementEnded.hasSubscribers) return;
    const event = { ...this.#event(slot), millis };
    statementEnded.publish(error === undefined ? event : { ...event, error: nameOf(error) });
  }

  #event({ id }: Slot<PgConnection>): object {
    return { pool: this.#house.name, name: this.name, slot: id, text: this.lastText };
  }
}

const DEFAULT_NAMES = { statement: 'query', lease: 'lease' } as const;
