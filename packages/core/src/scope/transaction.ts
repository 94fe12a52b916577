import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import type { BatchResults } from './batch-results.ts';
import type { LimitOptions } from './call-options.ts';
import type { Hook } from './hooks.ts';
import type { TransactionOptions } from './transaction-options.ts';

/** Whatever takes a statement: a pool, a scope, a transaction, a lease. For functions that do not care which. */
export interface Queryable {
  query<Row = Record<string, unknown>>(
    text: string | Statement,
    values?: readonly unknown[],
    options?: LimitOptions,
  ): Promise<QueryResult<Row>>;
}

/**
 * A transaction, in the hands of its function. Statements take turns on its connection, which it takes with the first one.
 * It commits when the function returns, and rolls back when it throws; after that a statement is refused.
 */
export interface Transaction {
  readonly name: string;
  /** 1 for the first attempt, 2 for the first retry. */
  readonly attempt: number;
  /** 0 for the outermost, 1 for a nested one, and so on. */
  readonly depth: number;
  /** What is left of its deadline; Infinity where it has none. */
  readonly remainingMillis: number;
  /** Aborts at its deadline, or when its caller leaves: for what it does beside statements. */
  readonly signal: AbortSignal;
  query<Row = Record<string, unknown>>(
    text: string | Statement,
    values?: readonly unknown[],
    options?: LimitOptions,
  ): Promise<QueryResult<Row>>;
  /** A cursor, a stream or a COPY. Resolves when it has the connection, which it keeps until it is closed or read to its end. */
  query<Cursor extends Submittable>(cursor: Cursor): Promise<Cursor>;
  /** The last statement: COMMIT travels with it. Nothing can be sent after it. */
  last<Row = Record<string, unknown>>(
    text: string | Statement,
    values?: readonly unknown[],
    options?: LimitOptions,
  ): Promise<QueryResult<Row>>;
  /** Several statements in one round trip. */
  batch<Rows extends readonly unknown[] = Record<string, unknown>[]>(
    statements: readonly (string | Statement)[],
    options?: LimitOptions,
  ): Promise<BatchResults<Rows>>;
  /** A nested one, behind a savepoint, unless `propagation` says otherwise. */
  transaction<T>(fn: (tx: Transaction) => T | Promise<T>, options?: TransactionOptions): Promise<T>;
  /** Rolls back now, without an error: the transaction then returns what its function returns. */
  rollback(): Promise<void>;
  /** Called when all has committed and the connection has gone back. What it throws is reported and changes nothing. */
  afterCommit(fn: Hook): void;
  /** Called when this level was rolled back and the connection has gone back. */
  afterRollback(fn: Hook): void;
}
