import { LifeguardError } from '../errors.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import { readBatch } from './batch.ts';
import type { BatchResults } from './batch-results.ts';
import { checkLimits, type LimitOptions, NO_OPTIONS, UNLIMITED } from './call-options.ts';
import { isSubmittable } from './cursor.ts';
import { remaining, within } from './deadline.ts';
import type { Ground } from './ground.ts';
import { type Hook, Hooks } from './hooks.ts';
import type { Limits } from './patience.ts';
import type { Scope } from './scope.ts';
import { signalOf } from './signal.ts';
import { batch, PLAIN, type SinglePlan, single } from './single.ts';
import { toStatement } from './statement.ts';
import type { Transaction } from './transaction.ts';
import type { TransactionOptions } from './transaction-options.ts';
import { undertake } from './undertaking.ts';

/** What a function gets that asked for no transaction: each statement stands for itself. */
export class NoTransaction implements Transaction {
  readonly attempt = 1;
  readonly depth = -1;
  readonly name: string;
  readonly hooks: Hooks = new Hooks();
  readonly #ground: Ground;
  readonly #scope: Scope | undefined;
  readonly #limits: Limits;

  constructor(ground: Ground, scope: Scope | undefined, { name, limits }: { name: string; limits: Limits }) {
    this.#ground = ground;
    this.#scope = scope;
    this.name = name;
    this.#limits = limits;
  }

  get remainingMillis(): number {
    return remaining(this.#limits, this.#ground.clock);
  }

  get signal(): AbortSignal {
    return signalOf(this.#ground, this.#limits);
  }

  query<Cursor extends Submittable>(cursor: Cursor): Promise<Cursor>;
  query<Row = Record<string, unknown>>(
    text: string | Statement,
    values?: readonly unknown[],
    options?: LimitOptions,
  ): Promise<QueryResult<Row>>;
  async query<Row>(
    given: string | Statement | Submittable,
    values?: readonly unknown[],
    options: LimitOptions = UNLIMITED,
  ): Promise<unknown> {
    if (isSubmittable(given)) throw refused('a cursor needs a transaction or a lease');
    const statement = toStatement(given, values);
    const limits = this.#within(options);
    return this.#scope?.single<Row>(statement, limits) ?? single<Row>(this.#ground, statement, this.#plan(limits));
  }

  last<Row = Record<string, unknown>>(
    text: string | Statement,
    values?: readonly unknown[],
    options?: LimitOptions,
  ): Promise<QueryResult<Row>> {
    return this.query<Row>(text, values, options);
  }

  async batch<Rows extends readonly unknown[]>(
    given: readonly (string | Statement)[],
    options: LimitOptions = UNLIMITED,
  ): Promise<BatchResults<Rows>> {
    const statements = readBatch(given, this.#ground.server);
    return statements.length === 0
      ? ([] as never)
      : batch<Rows>(this.#ground, statements, this.#plan(this.#within(options)));
  }

  transaction<T>(fn: (tx: Transaction) => T | Promise<T>, options: TransactionOptions = {}): Promise<T> {
    return undertake(this.#ground, fn, { options, transaction: undefined, scope: this.#scope, usual: 'required' });
  }

  async rollback(): Promise<void> {
    throw refused('there is no transaction to roll back: this part asked to go without one');
  }

  /** Without a transaction that is when its function has returned. */
  afterCommit(fn: Hook): void {
    this.hooks.add('commit', fn);
  }

  /** Without a transaction that is when its function has thrown. */
  afterRollback(fn: Hook): void {
    this.hooks.add('rollback', fn);
  }

  #within(options: LimitOptions): Limits {
    return options === UNLIMITED ? this.#limits : within(this.#limits, checkLimits(options), this.#ground.clock);
  }

  #plan(limits: Limits): SinglePlan {
    if (this.#scope !== undefined) return this.#scope.plan(limits);
    return { ...PLAIN, call: { ...NO_OPTIONS, name: this.name, signal: limits.signal }, limits };
  }
}

function refused(why: string): LifeguardError {
  return new LifeguardError('ERR_LIFEGUARD_PROPAGATION', `Nothing was sent: ${why}.`, { consequence: 'nothing-sent' });
}
