import { LifeguardError } from '../errors.ts';
import { publish } from '../events.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Owner } from '../pool/waiters.ts';
import { readBatch } from './batch.ts';
import type { BatchResults } from './batch-results.ts';
import type { Bracket } from './bracket.ts';
import {
  ANYHOW,
  type CallOptions,
  checkLimits,
  checkStatement,
  type LimitOptions,
  NO_OPTIONS,
  type StatementOptions,
  UNLIMITED,
} from './call-options.ts';
import { remaining, within } from './deadline.ts';
import type { Ground } from './ground.ts';
import { type Heritage, heritageOf, merged, noHeritage } from './heritage.ts';
import { Hold } from './hold.ts';
import { Lease } from './lease.ts';
import { begun, type Lender, PoolLender } from './lender.ts';
import { OpenTransaction } from './open-transaction.ts';
import type { Limits } from './patience.ts';
import { Pin } from './pin.ts';
import { readScopeOptions, type ScopeOptions, type ScopeWish } from './scope-options.ts';
import type { Setting } from './settings.ts';
import { signalOf } from './signal.ts';
import { batch, single } from './single.ts';
import { isBound, type SinglePlan } from './single-plan.ts';
import { toStatement } from './statement.ts';
import type { Transaction } from './transaction.ts';
import type { TransactionOptions } from './transaction-options.ts';
import { travelsAlone } from './travel.ts';
import { undertake } from './undertaking.ts';

/**
 * A request or a job. It takes nothing by itself: each statement borrows a connection and gives it back, a transaction
 * keeps one for its time. What it says of time, settings and role holds for all of them.
 */
export class Scope {
  readonly name: string;
  /** @internal */
  readonly limits: Limits;
  /** @internal */
  readonly settings: readonly Setting[];
  /** @internal */
  readonly access: 'any' | 'read-only';
  /** @internal */
  readonly call: CallOptions;
  readonly #ground: Ground;
  readonly #pin: Pin | undefined;
  /** A part that goes without a transaction shares the pin of its scope. */
  readonly #owns: 'its pin' | 'nothing';
  readonly #brackets = new Set<Bracket>();
  readonly #leased = new Set<Hold>();
  #state: 'open' | 'ended' = 'open';
  /** Whether it ever had a transaction: what comes late may have been meant to be part of it. */
  #history: 'plain' | 'transactions' = 'plain';
  #late: 'not-said' | 'said' = 'not-said';

  private constructor(ground: Ground, { wish, outer, pin }: Opening) {
    this.#ground = ground;
    this.name = wish.name ?? 'scope';
    this.limits = within(outer.limits, wish, ground.clock);
    this.settings = merged(outer.settings, wish.settings);
    if (wish.readOnly === false && outer.access === 'read-only') throw writes(this.name);
    this.access = wish.readOnly === true ? 'read-only' : outer.access;
    const { group, priority } = wish;
    this.call = Object.freeze({
      ...NO_OPTIONS,
      name: this.name,
      owner: outer.owner,
      signal: this.limits.signal,
      group,
      priority,
    });
    this.#pin = pin ?? (wish.mode === 'pinned' ? new Pin(ground, this.call) : undefined);
    this.#owns = pin === undefined ? 'its pin' : 'nothing';
  }

  /** @internal Opens a scope, runs `fn` in it, and ends it whatever happens. */
  static async run<T>(ground: Ground, options: ScopeOptions | Work<T>, work?: Work<T>): Promise<T> {
    const [given, fn] = typeof options === 'function' ? [{}, options] : [options, work];
    if (typeof fn !== 'function') throw refused(`scope() takes a function, not ${typeof fn}`);
    if (typeof options === 'function' && work !== undefined) throw refused('it is scope(options, fn), options first');
    return Scope.within(ground, { wish: readScopeOptions(given), outer: heritageAround(ground) }, fn);
  }

  /** @internal */
  static async within<T>(ground: Ground, opening: Opening, fn: Work<T>): Promise<T> {
    const scope = new Scope(ground, opening);
    try {
      return await ground.ambient.run(scope, async () => fn(scope));
    } finally {
      scope.#end();
    }
  }

  /** @internal */
  get pin(): Pin | undefined {
    return this.#pin;
  }

  /** @internal */
  get isOver(): boolean {
    return this.#state === 'ended';
  }

  /** @internal Whether what it says must hold for each statement, or all have one connection. */
  get isBound(): boolean {
    return this.settings.length > 0 || this.access === 'read-only' || this.#pin !== undefined;
  }

  /** @internal What a unit of work inside has from it. */
  get heritage(): Heritage {
    const { limits, settings, access } = this;
    return { limits, settings, access, owner: this.call.owner as Owner };
  }

  /** @internal */
  get mode(): 'statement' | 'pinned' {
    return this.#pin === undefined ? 'statement' : 'pinned';
  }

  /** What is left of its deadline; Infinity where it has none. */
  get remainingMillis(): number {
    return remaining(this.limits, this.#ground.clock);
  }

  /** Aborts at its deadline, or when its caller leaves: for what it does beside statements. */
  get signal(): AbortSignal {
    return signalOf(this.#ground, this.limits);
  }

  /** Runs one statement; inside a transaction of this scope, as part of that. */
  async query<Row = Record<string, unknown>>(
    text: string | Statement,
    values?: readonly unknown[],
    options: StatementOptions = ANYHOW,
  ): Promise<QueryResult<Row>> {
    const { lane, ...limits } = checkStatement(options);
    const given = options === ANYHOW ? UNLIMITED : limits;
    const transaction = this.#transaction();
    if (transaction !== undefined) return transaction.query<Row>(text, values, given);
    return this.single<Row>(toStatement(text, values), this.#limits(given), lane);
  }

  /** @internal Runs a statement outside of all transactions. Where its settings cannot travel with it, it gets one for itself. */
  async single<Row>(statement: Statement, limits: Limits, lane?: boolean): Promise<QueryResult<Row>> {
    const plan = this.plan(limits, lane);
    this.#refuseLate();
    if (isBound(plan) && travelsAlone(this.#ground.server.read(statement.text))) {
      const { signal } = limits;
      const timeoutMillis =
        limits.deadline === undefined ? undefined : Math.max(1, remaining(limits, this.#ground.clock));
      return this.transaction((tx) => tx.query<Row>(statement), { signal, timeoutMillis, propagation: 'requires-new' });
    }
    if (this.#pin !== undefined) return this.#pin.query<Row>(statement, plan);
    return single<Row>(this.#ground, statement, plan);
  }

  /** Several statements in one round trip and one transaction. */
  async batch<Rows extends readonly unknown[] = Record<string, unknown>[]>(
    given: readonly (string | Statement)[],
    options: LimitOptions = UNLIMITED,
  ): Promise<BatchResults<Rows>> {
    const transaction = this.#transaction();
    if (transaction !== undefined) return transaction.batch<Rows>(given, options);
    const statements = readBatch(given, this.#ground.server);
    const plan = this.plan(this.#limits(options));
    this.#refuseLate();
    if (statements.length === 0) return [] as never;
    if (this.#pin !== undefined) {
      const { signal, timeoutMillis } = options;
      return this.transaction((tx) => tx.batch<Rows>(given), { signal, timeoutMillis });
    }
    return batch<Rows>(this.#ground, statements, plan);
  }

  /** Runs `fn` in a transaction. Inside one of this scope it joins that, unless `propagation` says otherwise. */
  async transaction<T>(fn: (tx: Transaction) => T | Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const transaction = this.#transaction();
    if (this.#state === 'ended') throw this.#ended();
    return undertake(this.#ground, fn, { options, transaction, scope: this, usual: 'required' });
  }

  /** A connection for the caller alone. It ends with the scope, if not before; the scope's settings do not reach it. */
  async lease(options: LimitOptions = UNLIMITED): Promise<Lease> {
    if (this.#state === 'ended') throw this.#ended();
    const limits = this.#limits(options);
    const call = { ...this.call, signal: limits.signal };
    const hold = new Hold(this.#ground.house, call, { kind: 'lease', deadline: limits.deadline });
    this.#ground.house.leaks.began(hold);
    for (const one of this.#leased) if (one.isOver) this.#leased.delete(one);
    const waiting = begun(this.#ground, hold);
    if (waiting !== undefined) await waiting;
    const { clock, patience } = this.#ground;
    const lease = new Lease(hold, { limits: (given) => within(this.limits, given, clock), patience });
    // The hold and not the lease: one that was forgotten must be found by the garbage collector.
    this.#leased.add(hold);
    // It may have ended while the lease was waited for.
    if (this.isOver) await lease.release();
    return lease;
  }

  /** @internal Where its transactions have their connections from. */
  lender(own: CallOptions, beside: 'nothing' | 'a transaction'): Lender {
    const isFree = this.#pin !== undefined && beside === 'nothing';
    return isFree ? this.#pin : new PoolLender(this.#ground, { ...this.call, ...own });
  }

  /** @internal A transaction of this scope has begun; the answer is to be called when it has ended. */
  async entered(bracket: Bracket, lender: Lender): Promise<() => void> {
    this.#history = 'transactions';
    const leave = lender === this.#pin ? await this.#pin.enter(bracket.plan.limits) : undefined;
    this.#brackets.add(bracket);
    if (this.#state === 'ended') bracket.endNow(this.#ended());
    return () => {
      this.#brackets.delete(bracket);
      leave?.();
    };
  }

  #end(): void {
    this.#state = 'ended';
    for (const bracket of this.#brackets) bracket.endNow(this.#ended());
    for (const hold of this.#leased) hold.end();
    if (this.#owns === 'its pin') this.#pin?.finish();
  }

  /** The innermost one that is open here, as far as the ambient context knows. */
  #transaction(): OpenTransaction | undefined {
    const current = this.#ground.ambient.current();
    return current instanceof OpenTransaction && current.scope === this ? current : undefined;
  }

  /** @internal */
  plan(limits: Limits, lane?: boolean): SinglePlan {
    const isOwn = limits === this.limits && lane === undefined;
    const call = isOwn ? this.call : { ...this.call, signal: limits.signal, lane };
    return { call, limits, settings: this.settings, access: this.access };
  }

  #limits(options: LimitOptions): Limits {
    return options === UNLIMITED ? this.limits : within(this.limits, checkLimits(options), this.#ground.clock);
  }

  /** DESIGN.md §5.13: half-done autocommit work is worse than a late one; what was meant to be bound must not run unbound. */
  #refuseLate(): void {
    if (this.#state === 'open') return;
    if (this.#history === 'transactions' || this.isBound) throw this.#ended();
    if (this.#late === 'said') return;
    this.#late = 'said';
    publish('lifeguard:statement:late', () => ({ pool: this.#ground.house.name, name: this.name }));
  }

  #ended(): LifeguardError {
    const message = `The scope "${this.name}" has ended. Nothing was sent. Await all work before its function returns, or use outside() for what is meant to go on.`;
    return new LifeguardError('ERR_LIFEGUARD_SCOPE_ENDED', message, { consequence: 'nothing-sent' });
  }
}

/** A scope inside another unit of work has its deadline, its tenant, its place in the line. */
function heritageAround({ ambient }: Ground): Heritage {
  const current = ambient.current();
  if (current instanceof Scope) return current.heritage;
  if (!(current instanceof OpenTransaction)) return noHeritage();
  return { ...heritageOf(current), access: current.scope?.access ?? 'any' };
}

function writes(name: string): LifeguardError {
  const message = `The scope "${name}" was not opened: it asks to write, and what is around it is read-only. Open it with pool.outside().`;
  return new LifeguardError('ERR_LIFEGUARD_PROPAGATION', message, { consequence: 'nothing-sent' });
}

type Work<T> = (db: Scope) => T | Promise<T>;

function refused(why: string): LifeguardError {
  return new LifeguardError('ERR_LIFEGUARD_ARGUMENT', `The scope was not opened: ${why}.`, {
    consequence: 'nothing-sent',
  });
}

/** What a scope is opened with. */
interface Opening {
  readonly wish: ScopeWish;
  readonly outer: Heritage;
  /** Of the scope that it is a part of. */
  readonly pin?: Pin | undefined;
}

/** For whoever prints it: settings may hold what is no affair of a log. */
Object.defineProperty(Scope.prototype, Symbol.for('nodejs.util.inspect.custom'), {
  value(this: Scope): string {
    return `Scope { ${this.name} }`;
  },
});
