import { LifeguardError } from '../errors.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import type { BatchResults } from './batch-results.ts';
import type { LimitOptions } from './call-options.ts';
import { isSubmittable } from './cursor.ts';
import { type Hook, Hooks } from './hooks.ts';
import type { Scope } from './scope.ts';
import type { Transaction } from './transaction.ts';
import type { TransactionOptions } from './transaction-options.ts';

/** What a function gets that asked for no transaction: a scope in the shape of one. Each statement stands for itself. */
export class NoTransaction implements Transaction {
  readonly attempt = 1;
  readonly depth = -1;
  readonly hooks: Hooks = new Hooks();
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.#scope = scope;
  }

  get name(): string {
    return this.#scope.name;
  }

  get remainingMillis(): number {
    return this.#scope.remainingMillis;
  }

  get signal(): AbortSignal {
    return this.#scope.signal;
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
    options?: LimitOptions,
  ): Promise<unknown> {
    if (isSubmittable(given)) throw refused('a cursor needs a transaction, and this part asked to go without one');
    return this.#scope.query<Row>(given, values, options);
  }

  last<Row = Record<string, unknown>>(
    text: string | Statement,
    values?: readonly unknown[],
    options?: LimitOptions,
  ): Promise<QueryResult<Row>> {
    return this.#scope.query<Row>(text, values, options);
  }

  batch<Rows extends readonly unknown[]>(
    statements: readonly (string | Statement)[],
    options?: LimitOptions,
  ): Promise<BatchResults<Rows>> {
    return this.#scope.batch<Rows>(statements, options);
  }

  transaction<T>(fn: (tx: Transaction) => T | Promise<T>, options?: TransactionOptions): Promise<T> {
    return this.#scope.transaction(fn, options);
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
}

function refused(why: string): LifeguardError {
  return new LifeguardError('ERR_LIFEGUARD_PROPAGATION', `Nothing was sent: ${why}.`, { consequence: 'nothing-sent' });
}
