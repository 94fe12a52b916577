import type { PgConnection } from '../pg/pg-connection.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { PoolSnapshot } from '../pool/snapshot.ts';
import { Ambient } from '../scope/ambient.ts';
import { type CallOptions, NO_OPTIONS } from '../scope/call-options.ts';
import type { Desk } from '../scope/desk.ts';
import type { Ground } from '../scope/ground.ts';
import { settingsOf } from '../scope/heritage.ts';
import type { Lease } from '../scope/lease.ts';
import type { OpenTransaction } from '../scope/open-transaction.ts';
import { Scope } from '../scope/scope.ts';
import type { Base } from './base.ts';
import { Mark } from './mark.ts';
import { ScopeBase } from './scope-base.ts';
import { TransactionBase } from './transaction-base.ts';
import type { TypeChoice } from './type-overrides.ts';

/** Meets connections where nobody has them. */
export interface Greeter {
  /** It is new, or was reset, and is lent to nobody yet. */
  greet(connection: PgConnection): Promise<void>;
  /** It was lost while nothing ran on it. */
  mourn(connection: PgConnection, error: unknown): void;
}

/** What a façade was asked to be like. */
export interface Manner extends TypeChoice {
  readonly late: 'refuse' | 'pool';
  readonly isolateStatements: boolean;
}

/** What the façades of one pool share: where a statement belongs that comes from a library. */
export class Whereabouts {
  readonly desk: Desk;
  readonly marks: Ambient<Mark>;
  readonly #greeters: Set<Greeter>;
  readonly #snapshot: () => PoolSnapshot;
  readonly #made = new WeakSet<object>();

  constructor({ desk, greeters, snapshot, mode }: Means) {
    this.desk = desk;
    this.marks = new Ambient(this, mode);
    this.#greeters = greeters;
    this.#snapshot = snapshot;
  }

  query(statement: Statement, options: CallOptions = NO_OPTIONS): Promise<QueryResult> {
    return this.desk.query(statement, undefined, options);
  }

  lease(): Promise<Lease> {
    return this.desk.lease(NO_OPTIONS);
  }

  snapshot(): PoolSnapshot {
    return this.#snapshot();
  }

  /** Asked anew each time: in a test's sandbox it is another one. */
  get ground(): Ground {
    return this.desk.ground;
  }

  /** From now on units of work look out for transactions that libraries hold open. */
  open(greeter: Greeter): void {
    this.ground.facade.inUse = true;
    this.#greeters.add(greeter);
  }

  close(greeter: Greeter): void {
    this.#greeters.delete(greeter);
  }

  /** Whether a `pg.Pool` is one of this pool's. */
  isOwn(pgPool: object): boolean {
    return this.#made.has(pgPool);
  }

  made(pgPool: object): void {
    this.#made.add(pgPool);
  }

  /** Runs `fn` as one whole: a transaction that a library begins in it is the one that all else in it belongs to. */
  async whole<T>(fn: () => T | Promise<T>): Promise<T> {
    const mark = new Mark(this.marks.current());
    try {
      return await this.marks.run(mark, async () => fn());
    } finally {
      mark.end();
    }
  }

  /** In what a library works that asks here and now; undefined outside of everything. */
  base(manner: Manner): Base | undefined {
    const current = this.ground.ambient.current();
    if (current === undefined || isLate(current, manner)) return undefined;
    const mark = this.marks.current();
    const inner = current instanceof Scope ? mark?.of(current) : (mark?.inside(current) ?? current);
    if (inner !== undefined) return new TransactionBase(this.ground, inner, { ...manner, mark });
    const scope = current as Scope;
    return scope.isBound ? new ScopeBase(this.ground, scope, mark) : undefined;
  }

  /** Outside of what has ended, where late work is meant to go there. */
  elsewhere<T>(manner: Manner, fn: () => T): T {
    const current = this.ground.ambient.current();
    const goes = current !== undefined && isLate(current, manner);
    return goes ? this.ground.ambient.run(undefined, fn) : fn();
  }
}

/** What was meant to be bound to a tenant or a role does not run without. */
function isLate(current: Scope | OpenTransaction, { late }: Manner): boolean {
  if (late === 'refuse' || !current.isOver) return false;
  if (current instanceof Scope) return !current.isBound;
  const { level, scope } = current;
  return settingsOf(level).length === 0 && level.bracket.plan.access !== 'read-only' && scope?.isBound !== true;
}

export interface Means {
  readonly desk: Desk;
  readonly greeters: Set<Greeter>;
  readonly mode: 'ambient' | 'explicit';
  readonly snapshot: () => PoolSnapshot;
}
