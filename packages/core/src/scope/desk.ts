import type { QueryResult, Statement } from '../pg/statement.ts';
import { readBatch } from './batch.ts';
import type { BatchResults } from './batch-results.ts';
import { type CallOptions, callLimitsOf, checkCall, limitsOf, NO_OPTIONS, refuseLane } from './call-options.ts';
import { NO_LIMITS, within } from './deadline.ts';
import type { Ground } from './ground.ts';
import { Hold } from './hold.ts';
import { Lease } from './lease.ts';
import { begun } from './lender.ts';
import type { Work } from './nesting.ts';
import { OpenTransaction } from './open-transaction.ts';
import { Scope } from './scope.ts';
import { batch, single } from './single.ts';
import { PLAIN, type SinglePlan } from './single-plan.ts';
import { toStatement } from './statement.ts';
import type { TransactionOptions } from './transaction-options.ts';
import { undertake } from './undertaking.ts';

/** What is asked of the pool itself: part of the unit of work around it, where there is one; else it stands for itself. */
export class Desk {
  readonly #ground: Ground;

  constructor(ground: Ground) {
    this.#ground = ground;
  }

  /** Not async: most statements are answered by the promise that the connection resolves. */
  query<Row>(
    text: string | Statement,
    values: readonly unknown[] | undefined,
    options: CallOptions,
  ): Promise<QueryResult<Row>> {
    try {
      const current = this.#ground.ambient.current();
      if (current instanceof Scope) return current.query<Row>(text, values, callLimitsOf(options));
      if (current !== undefined) return current.query<Row>(text, values, limitsOf(options));
      return single<Row>(this.#ground, toStatement(text, values), this.#plan(options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async batch<Rows extends readonly unknown[]>(
    given: readonly (string | Statement)[],
    options: CallOptions,
  ): Promise<BatchResults<Rows>> {
    const current = this.#ground.ambient.current();
    if (current !== undefined) return current.batch<Rows>(given, limitsOf(options));
    const statements = readBatch(given, this.#ground.server);
    const plan = this.#plan(options);
    refuseLane(plan.call, 'batch()');
    return statements.length === 0 ? ([] as never) : batch<Rows>(this.#ground, statements, plan);
  }

  async transaction<T>(fn: Work<T>, options: TransactionOptions): Promise<T> {
    const current = this.#ground.ambient.current();
    if (current instanceof Scope) return current.transaction(fn, options);
    const transaction = current instanceof OpenTransaction ? current : undefined;
    return undertake(this.#ground, fn, { options, transaction, scope: transaction?.scope, usual: 'required' });
  }

  async lease(options: CallOptions): Promise<Lease> {
    const current = this.#ground.ambient.current();
    const transaction = current instanceof OpenTransaction ? current : undefined;
    const scope = current instanceof Scope ? current : transaction?.scope;
    if (scope !== undefined) return scope.lease(limitsOf(options));
    const { call } = this.#plan(options);
    refuseLane(call, 'lease()');
    const owner = call.owner ?? transaction?.level.bracket.plan.owner;
    const { signal, deadline } = within(transaction?.limits ?? NO_LIMITS, call, this.#ground.clock);
    const hold = new Hold(this.#ground.house, { ...call, owner, signal }, { kind: 'lease', deadline });
    this.#ground.house.leaks.began(hold);
    const waiting = begun(this.#ground, hold);
    if (waiting !== undefined) await waiting;
    const { clock, patience } = this.#ground;
    return new Lease(hold, { limits: (own) => within(NO_LIMITS, own, clock), patience });
  }

  #plan(options: CallOptions): SinglePlan {
    if (options === NO_OPTIONS) return PLAIN;
    const call = checkCall(options);
    return { ...PLAIN, call, limits: within(NO_LIMITS, call, this.#ground.clock) };
  }
}
