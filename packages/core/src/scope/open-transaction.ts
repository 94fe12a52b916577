import { LifeguardError } from '../errors.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import { readBatch, toBatchResults } from './batch.ts';
import type { BatchResults } from './batch-results.ts';
import { checkLimits, type LimitOptions, UNLIMITED } from './call-options.ts';
import { isSubmittable } from './cursor.ts';
import { remaining, within } from './deadline.ts';
import type { Ground } from './ground.ts';
import type { Hook } from './hooks.ts';
import type { Level } from './level.ts';
import type { Limits } from './patience.ts';
import type { Scope } from './scope.ts';
import { signalOf } from './signal.ts';
import { toStatement } from './statement.ts';
import type { Transaction } from './transaction.ts';
import { calledFromInside, ownControl, rollbackAsked } from './transaction-errors.ts';
import type { TransactionOptions } from './transaction-options.ts';
import { undertake } from './undertaking.ts';

/** One that is open on the server, or will be with its first statement. */
export class OpenTransaction implements Transaction {
  readonly attempt: number;
  readonly level: Level;
  readonly scope: Scope | undefined;
  /** Its own: a part that joined may have less time than the whole. */
  readonly limits: Limits;
  readonly #ground: Ground;
  /** Whether it shares the level of another one, which alone ends it. */
  readonly #part: 'own' | 'joined';

  constructor(ground: Ground, level: Level, { attempt, scope, part, limits }: Standing) {
    this.#ground = ground;
    this.level = level;
    this.attempt = attempt;
    this.scope = scope;
    this.limits = limits;
    this.#part = part;
  }

  /** @internal */
  get isOver(): boolean {
    return !this.level.isActive;
  }

  get name(): string {
    return this.level.plan.name;
  }

  get depth(): number {
    return this.level.depth;
  }

  get remainingMillis(): number {
    return remaining(this.limits, this.#ground.clock);
  }

  get signal(): AbortSignal {
    return signalOf(this.#ground, this.limits);
  }

  query<Cursor extends Submittable>(cursor: Cursor): Promise<Cursor>;
  query<Row = Record<string, unknown>>(
    text: string | Statement,
    values?: readonly unknown[],
    options?: LimitOptions,
  ): Promise<QueryResult<Row>>;
  query<Row>(
    given: string | Statement | Submittable,
    values?: readonly unknown[],
    options = UNLIMITED,
  ): Promise<unknown> {
    try {
      if (isSubmittable(given)) {
        if (values !== undefined || options !== UNLIMITED) throw bareCursor();
        return this.#submit(given);
      }
      const { statement, limits } = this.#read(given, values, options);
      return this.level.query<Row>(statement, limits);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async last<Row = Record<string, unknown>>(
    text: string | Statement,
    values?: readonly unknown[],
    options: LimitOptions = UNLIMITED,
  ): Promise<QueryResult<Row>> {
    const { statement, limits } = this.#read(text, values, options);
    if (this.#part === 'joined') return this.level.query<Row>(statement, limits);
    return this.level.last<Row>(statement, limits);
  }

  async batch<Rows extends readonly unknown[]>(
    given: readonly (string | Statement)[],
    options: LimitOptions = UNLIMITED,
  ): Promise<BatchResults<Rows>> {
    this.refuseFromInside();
    const statements = readBatch(given, this.#ground.server);
    if (statements.length === 0) return [] as never;
    const answer = await this.level.queryAll(statements, this.#limits(options));
    return toBatchResults<Rows>(answer, statements.length);
  }

  async transaction<T>(fn: (tx: Transaction) => T | Promise<T>, options: TransactionOptions = {}): Promise<T> {
    this.refuseFromInside();
    return undertake(this.#ground, fn, { options, transaction: this, scope: this.scope, usual: 'nested' });
  }

  async rollback(): Promise<void> {
    this.refuseFromInside();
    if (this.#part === 'joined') return this.level.doom(rollbackAsked(this.name));
    await this.level.rollBack('was rolled back by tx.rollback()', undefined);
  }

  afterCommit(fn: Hook): void {
    this.level.addHook('commit', fn);
  }

  afterRollback(fn: Hook): void {
    this.level.addHook('rollback', fn);
  }

  async #submit<Cursor extends Submittable>(cursor: Cursor): Promise<Cursor> {
    this.refuseFromInside();
    await this.level.submit(cursor, this.limits);
    return cursor;
  }

  #read(
    given: string | Statement,
    values: readonly unknown[] | undefined,
    options: LimitOptions,
  ): { statement: Statement; limits: Limits } {
    this.refuseFromInside();
    const statement = toStatement(given, values);
    const control = this.#ground.server.read(statement.text).transaction.find((word) => !ALLOWED.has(word));
    if (control !== undefined) throw ownControl(this.name, control);
    return { statement, limits: this.#limits(options) };
  }

  #limits(options: LimitOptions): Limits {
    return options === UNLIMITED ? this.limits : within(this.limits, checkLimits(options), this.#ground.clock);
  }

  /** @internal Known only where there is an ambient context; without one such a call waits until its time is up. */
  refuseFromInside(): void {
    if (!this.level.hasNested) return;
    const isInside = (work: unknown): boolean => work instanceof OpenTransaction && work.level.isInside(this.level);
    if (this.#ground.ambient.some(isInside)) {
      throw calledFromInside(this.name);
    }
  }
}

/** Whose handle it is. */
export interface Standing {
  readonly attempt: number;
  readonly scope: Scope | undefined;
  readonly part: 'own' | 'joined';
  readonly limits: Limits;
}

/** A user's own savepoints do not end anything. */
const ALLOWED: ReadonlySet<string> = new Set(['savepoint', 'release', 'rollback to']);

function bareCursor(): LifeguardError {
  const message = 'Nothing was sent: a cursor has its values with it, and the limits of its transaction.';
  return new LifeguardError('ERR_LIFEGUARD_ARGUMENT', message, { consequence: 'nothing-sent' });
}

/** For whoever prints it: settings may hold what is no affair of a log. */
Object.defineProperty(OpenTransaction.prototype, Symbol.for('nodejs.util.inspect.custom'), {
  value(this: OpenTransaction): string {
    return `Transaction { ${this.name}, attempt ${this.attempt}, depth ${this.depth} }`;
  },
});
