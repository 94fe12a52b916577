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
import type { ScopeOptions } from './scope-options.ts';
import { batch, single } from './single.ts';
import { PLAIN, type SinglePlan } from './single-plan.ts';
import { toStatement } from './statement.ts';
import type { TransactionOptions } from './transaction-options.ts';
import { undertake } from './undertaking.ts';

/** Says on which ground whoever asks here stands, where that is not the pool's own: a test's sandbox has one for itself. */
type Diversion = () => Ground | undefined;

/** What is asked of the pool itself: part of the unit of work around it, where there is one; else it stands for itself. */
export class Desk {
  readonly #ground: Ground;
  #diversion: Diversion | undefined = undefined;

  constructor(ground: Ground) {
    this.#ground = ground;
    DESKS.set(ground.ambient.pool, this);
  }

  /** That of a pool. */
  static of(pool: object): Desk | undefined {
    return DESKS.get(pool);
  }

  /** Asked anew at each call. What has begun stays on its ground, wherever it is used. */
  get ground(): Ground {
    return this.#diversion?.() ?? this.#ground;
  }

  divert(diversion: Diversion): void {
    this.#diversion = diversion;
  }

  /** Not async: most statements are answered by the promise that the connection resolves. */
  query<Row>(
    text: string | Statement,
    values: readonly unknown[] | undefined,
    options: CallOptions,
  ): Promise<QueryResult<Row>> {
    try {
      const { ground } = this;
      const current = ground.ambient.current();
      if (current instanceof Scope) return current.query<Row>(text, values, callLimitsOf(options));
      if (current !== undefined) return current.query<Row>(text, values, limitsOf(options));
      return single<Row>(ground, toStatement(text, values), planOf(ground, options));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async batch<Rows extends readonly unknown[]>(
    given: readonly (string | Statement)[],
    options: CallOptions,
  ): Promise<BatchResults<Rows>> {
    const { ground } = this;
    const current = ground.ambient.current();
    if (current !== undefined) return current.batch<Rows>(given, limitsOf(options));
    const statements = readBatch(given, ground.server);
    const plan = planOf(ground, options);
    refuseLane(plan.call, 'batch()');
    return statements.length === 0 ? ([] as never) : batch<Rows>(ground, statements, plan);
  }

  async transaction<T>(fn: Work<T>, options: TransactionOptions): Promise<T> {
    const { ground } = this;
    const current = ground.ambient.current();
    if (current instanceof Scope) return current.transaction(fn, options);
    const transaction = current instanceof OpenTransaction ? current : undefined;
    return undertake(ground, fn, { options, transaction, scope: transaction?.scope, usual: 'required' });
  }

  async lease(options: CallOptions): Promise<Lease> {
    const { ground } = this;
    const current = ground.ambient.current();
    const transaction = current instanceof OpenTransaction ? current : undefined;
    const scope = current instanceof Scope ? current : transaction?.scope;
    if (scope !== undefined) return scope.lease(limitsOf(options));
    const { call } = planOf(ground, options);
    refuseLane(call, 'lease()');
    const owner = call.owner ?? transaction?.level.bracket.plan.owner;
    const { signal, deadline } = within(transaction?.limits ?? NO_LIMITS, call, ground.clock);
    const hold = new Hold(ground.house, { ...call, owner, signal }, { kind: 'lease', deadline });
    ground.house.leaks.began(hold);
    const waiting = begun(ground, hold);
    if (waiting !== undefined) await waiting;
    const { clock, patience } = ground;
    return new Lease(hold, { limits: (own) => within(NO_LIMITS, own, clock), patience });
  }

  scope<T>(options: ScopeOptions | ScopeWork<T>, fn?: ScopeWork<T>): Promise<T> {
    return Scope.run(this.ground, options, fn);
  }
}

type ScopeWork<T> = (db: Scope) => T | Promise<T>;

const DESKS = new WeakMap<object, Desk>();

function planOf({ clock }: Ground, options: CallOptions): SinglePlan {
  if (options === NO_OPTIONS) return PLAIN;
  const call = checkCall(options);
  return { ...PLAIN, call, limits: within(NO_LIMITS, call, clock) };
}
