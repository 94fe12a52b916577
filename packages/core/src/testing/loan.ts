import { isLifeguardError } from '../errors.ts';
import type { PgConnection } from '../pg/pg-connection.ts';
import type { QueryResult } from '../pg/statement.ts';
import type { Slot } from '../pool/slot.ts';
import { type AcquireRequest, Owner } from '../pool/waiters.ts';
import { houseLimits } from '../scope/deadline.ts';
import type { Ground } from '../scope/ground.ts';
import type { Isolation } from '../scope/transaction-options.ts';
import { noConnection } from './refusals.ts';

/** How a sandbox has its connection. */
interface LoanPlan {
  readonly name: string;
  readonly isolation: Isolation | undefined;
  readonly timeoutMillis: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** The one connection of a sandbox, from the pool's own line, in a transaction that only ever ends by ROLLBACK. */
export class Loan implements AcquireRequest {
  readonly name: string;
  readonly owner: Owner = new Owner();
  readonly signal: AbortSignal | undefined;
  readonly deadline: number | undefined;
  readonly #ground: Ground;
  #slot: Slot<PgConnection> | undefined = undefined;

  private constructor(ground: Ground, { name, timeoutMillis, signal }: LoanPlan) {
    this.#ground = ground;
    this.name = name;
    this.signal = signal;
    this.deadline = timeoutMillis === undefined ? undefined : ground.clock.now() + timeoutMillis;
  }

  static async begin(ground: Ground, plan: LoanPlan): Promise<readonly [loan: Loan, facts: Facts]> {
    const refusal = ground.server.refusalOfTransaction();
    if (refusal !== undefined) throw refusal;
    const loan = new Loan(ground, plan);
    const { pool } = ground.house;
    try {
      loan.#slot = pool.take(loan) ?? (await pool.acquire(loan));
    } catch (error) {
      throw isLifeguardError(error) ? noConnection(plan.name, error) : error;
    }
    return [loan, await loan.#open(loan.#slot.connection, plan)];
  }

  /** None before it was lent, and none when it was given back: by then it is somebody else's. */
  get connection(): PgConnection | undefined {
    return this.#slot?.connection;
  }

  /** It is in use for the whole of its test; what its statements take is nobody's affair. */
  queriedMillis(now: number): number {
    return now;
  }

  /** What a statement says about the other connections. */
  learn(error: unknown): void {
    if (this.#slot !== undefined) this.#ground.house.pool.learn(this.#slot, this, error);
  }

  /**
   * Rolls all of it back. What still runs is interrupted by the house, which then rolls it back itself. Resolves when
   * nothing runs any more.
   */
  async end(): Promise<void> {
    const slot = this.#slot;
    if (slot === undefined) return;
    this.#slot = undefined;
    const { house, clock, patience } = this.#ground;
    const { connection } = slot;
    if (connection.kind === 'ready') {
      const begin = (): Promise<unknown> => connection.query({ text: 'ROLLBACK' });
      await patience({ begin, wasSent: () => true }, houseLimits(clock)).catch(() => undefined);
    }
    const quiet = connection.quiet();
    house.pool.giveBack(slot, this, house.verdictOn(connection));
    await quiet;
  }

  async #open(connection: PgConnection, { isolation }: LoanPlan): Promise<Facts> {
    const { inForce } = this.#ground.server;
    const mode = isolation === undefined ? '' : ` ISOLATION LEVEL ${isolation.toUpperCase()}`;
    // A test may think for as long as it likes.
    const limits = LIMITS.filter((name) => inForce.has(name)).map((name) => `SET LOCAL ${name} = 0`);
    const before = [`BEGIN${mode}`, ...limits, { text: FACTS }];
    try {
      const { results, failure } = await connection.group({ before, statements: [], after: [] });
      if (failure !== undefined) throw failure.error;
      return (results.at(-1) as QueryResult<unknown> as QueryResult<Facts>).rows[0] as Facts;
    } catch (error) {
      await this.end();
      throw error;
    }
  }
}

/** What must be known of the transaction and the database. */
export interface Facts {
  readonly isolation: Isolation;
  /** Whether any constraint may wait for COMMIT. */
  readonly deferrable: boolean;
}

const LIMITS = ['idle_in_transaction_session_timeout', 'transaction_timeout'] as const;
const FACTS = `SELECT replace(current_setting('transaction_isolation'), 'uncommitted', 'committed') AS isolation,
  EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE condeferrable) AS deferrable`;
