import { type LifeguardError, nameOf } from '../errors.ts';
import { leaseEnded, leaseStarted, statementEnded, statementStarted } from '../events.ts';
import type { PgConnection } from '../pg/pg-connection.ts';
import type { PgClient, ServerMessage } from '../pg/pg-subset.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import type { GroupAnswer } from '../pg/sync-group.ts';
import type { CloseReason, Verdict } from '../pool/seam.ts';
import type { Slot } from '../pool/slot.ts';
import type { AcquireRequest, Owner, Priority } from '../pool/waiters.ts';
import type { CallOptions } from './call-options.ts';
import type { Errand, HoldKind, House, Parcel } from './house.ts';
import { fellSilent, SLACK_MILLIS } from './silence.ts';
import { type Origin, tellEnded, tellStarted } from './statement-events.ts';

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
  readonly kind: HoldKind;
  readonly shares: boolean;
  lastText: string | undefined = undefined;
  /** Where it was asked for, if that was recorded. */
  stack: string | undefined = undefined;
  /** When it was reported as leaked. */
  leakedAt: number | undefined = undefined;
  #queriedMillis = 0;
  #runningSince: number | undefined;
  #limit: 'of the pool' | 'own' = 'of the pool';
  #silence: LifeguardError | undefined;
  /** A cancel request that has not hit yet what it was meant for may still hit the next statement. */
  #request: 'none' | 'on its way' = 'none';
  #lastFailure: unknown;
  /** What was sent last: those of a group are answered together. */
  #running: readonly Statement[] = [];
  readonly #house: House;
  #loan: Loan | undefined;
  #place: Slot<PgConnection> | undefined;

  constructor(house: House, options: CallOptions, { kind, deadline, shares = false }: Errand) {
    this.#house = house;
    this.kind = kind;
    this.name = options.name ?? DEFAULT_NAMES[kind];
    this.group = options.group;
    this.priority = options.priority;
    this.owner = options.owner;
    this.signal = options.signal;
    this.deadline = deadline;
    this.shares = shares;
  }

  queriedMillis(now: number): number {
    return this.#queriedMillis + (this.#runningSince === undefined ? 0 : now - this.#runningSince);
  }

  /** At once where that is possible. */
  begin(): Promise<void> | undefined {
    const slot = this.#house.pool.take(this);
    if (slot === undefined) return this.#wait();
    this.#lent(slot, 0);
    return undefined;
  }

  /** A place on a lane, where that was to be had sooner than a connection. */
  get place(): Slot<PgConnection> | undefined {
    return this.#place;
  }

  get isOver(): boolean {
    return this.#loan === undefined || this.#loan.slot.state.kind !== 'leased' || this.#loan.slot.state.holder !== this;
  }

  get slotId(): number {
    return this.#loan?.slot.id ?? 0;
  }

  get runningSince(): number | undefined {
    return this.#runningSince;
  }

  get silence(): LifeguardError | undefined {
    return this.#silence;
  }

  endIfSilent(now: number, limitMillis: number): void {
    if (this.kind === 'lease' || this.#limit === 'own' || this.#runningSince === undefined) return;
    if (OWN_LIMIT.test(this.lastText ?? '')) return;
    const millis = now - this.#runningSince;
    // The server counts anew for each of those that travel together, and answers them together.
    if (millis < limitMillis * Math.max(1, this.#running.length) + SLACK_MILLIS) return;
    this.#silence = fellSilent(this.name, millis, limitMillis);
    this.end();
  }

  /** Null when the connection has ended, or something runs on it. */
  get transactionStatus(): 'I' | 'T' | 'E' | null {
    const connection = this.#loan?.connection;
    return connection?.kind === 'ready' ? connection.transactionStatus : null;
  }

  /** Sends a statement. One at a time: whoever calls sees to it. */
  run<Row>(statement: Statement, armedMillis?: number): Promise<QueryResult<Row>> {
    const { slot, connection } = this.#begun();
    const refusal = this.#house.refusalOf(statement.text);
    if (refusal !== undefined) return Promise.reject(refusal);
    this.#started(slot, [statement]);
    const answered = (result: QueryResult<Row>): QueryResult<Row> => {
      this.#answered(slot, undefined);
      return result;
    };
    const failed = (failure: unknown): never => {
      throw this.#failed(slot, failure, { armedMillis });
    };
    return connection.query<Row>(statement).then(answered, failed);
  }

  /** Rejects where the connection is lost, or where nothing was sent. */
  async send({ before, statements, after, armedMillis }: Parcel): Promise<GroupAnswer> {
    const { slot, connection } = this.#begun();
    for (const statement of statements) {
      this.#refuse(statement);
      if (this.#limit !== 'own' && OWN_LIMIT.test(statement.text)) this.#limit = 'own';
    }
    this.#started(slot, statements);
    try {
      const answer = await connection.group({ before, statements, after });
      if (answer.failure === undefined) {
        this.#answered(slot, undefined);
        return answer;
      }
      const { index, error } = answer.failure;
      const at = { index: index - before.length, ran: answer.results.length - before.length };
      return { ...answer, failure: { index, error: this.#failed(slot, error, { armedMillis, at }) } };
    } catch (failure) {
      throw this.#failed(slot, failure, { armedMillis });
    }
  }

  /** Lends the connection to a cursor until that is through. */
  async submit(submittable: Submittable, armedMillis?: number): Promise<void> {
    const { slot, connection } = this.#begun();
    const { text } = submittable as { readonly text?: unknown };
    if (typeof text === 'string') this.#refuse({ text });
    this.#started(slot, [{ text: typeof text === 'string' ? text : submittable.constructor.name }]);
    try {
      await connection.submit(submittable);
      if (connection.lastFailure === undefined) this.#answered(slot, undefined);
      else this.#failed(slot, connection.lastFailure, { armedMillis });
    } catch (failure) {
      throw this.#failed(slot, failure, { armedMillis });
    }
  }

  get lastFailure(): unknown {
    return this.#lastFailure;
  }

  get client(): PgClient | undefined {
    return this.#loan?.connection.client;
  }

  get loss(): unknown {
    return this.#loan?.connection.loss;
  }

  get lastNotice(): ServerMessage | undefined {
    return this.#loan?.connection.lastNotice;
  }

  writes(block: 'writable' | 'possible'): void {
    this.#loan?.connection.session.writes(block);
  }

  async stop(): Promise<void> {
    const { connection } = this.#begun();
    this.#request = 'on its way';
    await this.#house.stop(connection);
    if (nameOf(connection.lastFailure) === QUERY_CANCELED) this.#request = 'none';
  }

  /** Gives the connection back in the middle of a transaction: the house rolls it back, or closes the connection. */
  abandon(): void {
    const isOpen = this.transactionStatus === 'T' || this.transactionStatus === 'E';
    this.#end(isOpen && this.#request === 'none' ? ROLL_BACK : undefined);
  }

  /** Harmless when that has happened. */
  end(discard?: CloseReason): void {
    this.#end(discard === undefined ? undefined : { kind: 'discard', reason: discard });
  }

  #end(given: Verdict | undefined): void {
    const discard = given?.kind === 'discard' ? given.reason : undefined;
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
    if (this.kind !== 'statement') this.owner?.gaveBack();
    this.#house.pool.giveBack(loan.slot, this, given ?? this.#verdict(loan.connection));
  }

  async #wait(): Promise<void> {
    const since = this.#house.clock.now();
    const slot = await this.#house.pool.acquire(this);
    // A place may have ended again by now; then it is for the lane to say so.
    if (slot.state.kind === 'leased' || !this.shares) this.#lent(slot, this.#house.clock.now() - since);
    else this.#place = slot;
  }

  #verdict(connection: PgConnection): Verdict {
    if (this.#request === 'on its way' && connection.kind === 'ready') return STRAY;
    return this.#house.verdictOn(connection);
  }

  #begun(): Loan {
    if (this.#loan === undefined) throw new Error('bug: a statement on a hold that has not begun, or has ended');
    return this.#loan;
  }

  #refuse({ text }: Statement): void {
    const refusal = this.#house.refusalOf(text);
    if (refusal !== undefined) throw refusal;
  }

  #started(slot: Slot<PgConnection>, statements: readonly Statement[]): void {
    if (this.kind === 'transaction' && this.#limit !== 'own' && OWN_LIMIT.test(this.lastText ?? ''))
      this.#limit = 'own';
    this.#running = statements;
    this.lastText = statements.at(-1)?.text ?? '';
    if (statementStarted.hasSubscribers) tellStarted(this.#origin(slot), statements);
    this.#lastFailure = undefined;
    this.#runningSince = this.#house.clock.now();
  }

  #failed(slot: Slot<PgConnection>, failure: unknown, { armedMillis, at }: Situation): unknown {
    const millis = this.#house.clock.now() - (this.#runningSince ?? 0);
    const error = this.#house.explain(failure, { millis, armedMillis });
    this.#lastFailure = error;
    this.#answered(slot, error, at);
    this.#house.pool.learn(slot, this, failure);
    return error;
  }

  #lent(slot: Slot<PgConnection>, waitedMillis: number): void {
    if (slot.state.kind !== 'leased') throw new Error(`bug: slot ${slot.id} was lent and is ${slot.state.kind}`);
    this.#loan = { slot, connection: slot.state.connection, since: slot.state.since };
    if (this.kind !== 'statement') this.owner?.keeps();
    if (leaseStarted.hasSubscribers) {
      leaseStarted.publish({ pool: this.#house.name, name: this.name, slot: slot.id, waitedMillis });
    }
  }

  #answered(slot: Slot<PgConnection>, error: unknown, at?: Situation['at']): void {
    const now = this.#house.clock.now();
    const millis = now - (this.#runningSince ?? now);
    this.#runningSince = undefined;
    this.#queriedMillis += millis;
    const running = this.#running;
    this.#running = [];
    if (statementEnded.hasSubscribers) tellEnded(this.#origin(slot), running, { millis, error, at });
  }

  #origin({ id }: Slot<PgConnection>): Origin {
    return { pool: this.#house.name, name: this.name, slot: id };
  }
}

const OWN_LIMIT = /statement_timeout/i;
/** Under which limit it failed; which one of those that travelled together, and how many had run. */
interface Situation {
  readonly armedMillis: number | undefined;
  readonly at?: { readonly index: number; readonly ran: number };
}

interface Loan {
  readonly slot: Slot<PgConnection>;
  readonly connection: PgConnection;
  readonly since: number;
}

const DEFAULT_NAMES = { statement: 'query', lease: 'lease', transaction: 'transaction' } as const;
const ROLL_BACK: Verdict = { kind: 'clean' };
const STRAY: Verdict = { kind: 'discard', reason: 'interrupt-failed' };
const QUERY_CANCELED = '57014';
