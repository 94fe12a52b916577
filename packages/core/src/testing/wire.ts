import { isLifeguardError, type LifeguardError, nameOf } from '../errors.ts';
import type { PgConnection } from '../pg/pg-connection.ts';
import type { PgClient } from '../pg/pg-subset.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import type { Group, GroupAnswer } from '../pg/sync-group.ts';
import type { Ground } from '../scope/ground.ts';
import { OpenTransaction } from '../scope/open-transaction.ts';
import type { Limits } from '../scope/patience.ts';
import { Turns } from '../scope/turns.ts';
import type { Loan } from './loan.ts';
import { endedMeanwhile, noTurn, sandboxEnded, sandboxLost, waitsForItself } from './refusals.ts';
import { SharedClient, type Viewer } from './shared-client.ts';

type State =
  | { readonly kind: 'open' }
  | { readonly kind: 'broken'; readonly error: unknown }
  | { readonly kind: 'ended' };

/** The connection of a sandbox, shared by all that stand in for connections in it: one at a time, in order. */
export class Wire {
  readonly name: string;
  readonly ground: Ground;
  readonly #loan: Loan;
  readonly #turns = new Turns();
  #state: State = OPEN;
  #client: SharedClient | undefined = undefined;
  /** The transaction that has the turn. */
  #holder: object | undefined = undefined;
  /** Aborts when the sandbox ends: nobody waits for a turn that does not come. */
  readonly #ending = new AbortController();

  constructor(name: string, ground: Ground, loan: Loan) {
    this.name = name;
    this.ground = ground;
    this.#loan = loan;
  }

  /** Why nothing can be sent any more. */
  get refusal(): LifeguardError | undefined {
    const state = this.#state;
    const { connection } = this.#loan;
    if (state.kind === 'ended' || connection === undefined) return sandboxEnded(this.name);
    const { kind, loss } = connection;
    if (kind === 'ended' || kind === 'leaving') return sandboxLost(this.name, loss.cause ?? loss);
    return state.kind === 'broken' ? sandboxLost(this.name, state.error) : undefined;
  }

  /** None after the end. */
  get connection(): PgConnection | undefined {
    return this.#loan.connection;
  }

  get lastFailure(): unknown {
    return this.connection === undefined ? this.refusal : this.connection.lastFailure;
  }

  /** The driver's client, as somebody sees it who stands in for its connection. None after the end. */
  clientFor(viewer: Viewer): PgClient | undefined {
    if (this.connection === undefined) return undefined;
    this.#client ??= new SharedClient(this.connection.client);
    return this.#client.seenBy(viewer);
  }

  /** What a statement is told that failed. */
  explain(error: unknown): unknown {
    if (this.#state.kind !== 'ended') return error;
    const isCutOff = nameOf(error) === QUERY_CANCELED || isLifeguardError(error, 'ERR_LIFEGUARD_CONNECTION_LOST');
    return isCutOff ? endedMeanwhile(this.name, error) : error;
  }

  /** The turn, until the answer is called. A transaction has it from its BEGIN to its end. */
  async enter(signal: AbortSignal): Promise<() => void> {
    const turn = this.#turns.take();
    if (turn !== undefined) {
      try {
        if (this.#isInside()) throw waitsForItself(this.name);
        await this.#wait(turn, signal);
      } catch (error) {
        this.#turns.giveUp(turn);
        throw error;
      }
    }
    const current = this.ground.ambient.current();
    this.#holder = current instanceof OpenTransaction ? current.level.bracket : undefined;
    return () => this.#leave();
  }

  async group(group: Group): Promise<GroupAnswer> {
    return this.#usable().group(group);
  }

  async query<Row>(statement: Statement): Promise<QueryResult<Row>> {
    return this.#usable().query<Row>(statement);
  }

  async submit(submittable: Submittable): Promise<void> {
    return this.#usable().submit(submittable);
  }

  /** Cancels what runs. */
  async stop(): Promise<void> {
    if (this.connection !== undefined) await this.ground.house.stop(this.connection);
  }

  learn(error: unknown): void {
    this.#loan.learn(error);
  }

  /** There is no way back to where all was well: whatever comes after would not be what it seems. */
  broke(error: unknown): void {
    if (this.#state.kind === 'open') this.#state = { kind: 'broken', error };
  }

  /** Nothing is sent any more. What runs is cut short by the house: when this resolves, nothing does. */
  async end(): Promise<void> {
    this.#state = ENDED;
    this.#ending.abort(sandboxEnded(this.name));
    this.#client?.end();
    await this.#loan.end();
  }

  #leave(): void {
    this.#holder = undefined;
    this.#turns.leave();
  }

  async #wait(turn: Promise<void>, signal: AbortSignal): Promise<void> {
    const { acquireTimeoutMillis, clock, patience } = this.ground;
    const deadline = acquireTimeoutMillis === 0 ? undefined : clock.now() + acquireTimeoutMillis;
    const limits: Limits = { signal: AbortSignal.any([signal, this.#ending.signal]), deadline };
    try {
      await patience({ begin: () => turn, wasSent: () => false }, limits);
    } catch (error) {
      if (limits.signal?.aborted === true) throw limits.signal.reason;
      throw deadline === undefined ? error : noTurn(this.name, acquireTimeoutMillis);
    }
  }

  /** Whether who asks is inside the transaction that has the turn: known only where there is an ambient context. */
  #isInside(): boolean {
    const holder = this.#holder;
    if (holder === undefined) return false;
    return this.ground.ambient.some((work) => work instanceof OpenTransaction && work.level.bracket === holder);
  }

  #usable(): PgConnection {
    const { refusal, connection } = this;
    if (refusal !== undefined || connection === undefined) throw refusal;
    return connection;
  }
}

const OPEN: State = Object.freeze({ kind: 'open' });
const ENDED: State = Object.freeze({ kind: 'ended' });
const QUERY_CANCELED = '57014';
