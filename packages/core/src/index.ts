/**
 * Lifeguard's core: a PostgreSQL pool on top of `pg`'s client. Everything that users may import is named here.
 *
 * @packageDocumentation
 */
export {
  type Consequence,
  isLifeguardError,
  LifeguardError,
  type LifeguardErrorCode,
  type PoolFigures,
} from './errors.ts';
export type { Events, Leak, Logger } from './events.ts';
export { createPool, LifeguardPool, Owner } from './lifeguard-pool.ts';
export type { QueryResult, Statement } from './pg/statement.ts';
export type { CloseReason } from './pool/seam.ts';
export type { PoolSnapshot } from './pool/snapshot.ts';
export type { Priority } from './pool/waiters.ts';
export type { HookConnection, PoolOptions } from './pool-options.ts';
export type { CallOptions } from './scope/call-options.ts';
export type { Lease } from './scope/lease.ts';
export type { Scope } from './scope/scope.ts';
export type { ScopeOptions } from './scope/scope-options.ts';
export type { Queryable, Transaction } from './scope/transaction.ts';
export type { TransactionOptions } from './scope/transaction-options.ts';
