import { isLifeguardError, LifeguardError, nameOf } from '../errors.ts';
import { publish } from '../events.ts';
import { Bracket } from './bracket.ts';
import { NO_OPTIONS } from './call-options.ts';
import { remaining, within } from './deadline.ts';
import type { Ground } from './ground.ts';
import { heritageOf, merged, noHeritage } from './heritage.ts';
import type { Hooks } from './hooks.ts';
import { type Lender, PoolLender } from './lender.ts';
import { Level } from './level.ts';
import { join, narrowed, nest, runHooks, type Work, without } from './nesting.ts';
import { OpenTransaction } from './open-transaction.ts';
import type { Limits } from './patience.ts';
import type { Plan } from './prelude.ts';
import { type Propagation, routeOf } from './propagation.ts';
import { pauseBefore } from './retry.ts';
import type { Scope } from './scope.ts';
import { beginStatement, readTransactionOptions, type TransactionOptions, type Wish } from './transaction-options.ts';

/** Where a transaction was asked for. */
export interface Around {
  readonly options: TransactionOptions;
  readonly transaction: OpenTransaction | undefined;
  readonly scope: Scope | undefined;
  /** The propagation where none is named. */
  readonly usual: Propagation;
}

/** Runs `fn` in a transaction: one of its own, a savepoint in the one around it, that one itself, or none. */
export async function undertake<T>(ground: Ground, fn: Work<T>, around: Around): Promise<T> {
  if (typeof fn !== 'function') {
    throw new LifeguardError('ERR_LIFEGUARD_ARGUMENT', `transaction() takes a function, not ${typeof fn}.`);
  }
  const { transaction, scope } = around;
  const wish = readTransactionOptions(around.options, (code) => ground.server.mayBeAsked(code));
  const route = routeOf(wish.propagation ?? around.usual, transaction === undefined ? 'outside' : 'inside');
  switch (route) {
    case 'begin':
      return new Undertaking(ground, wish, around).run(fn);
    case 'savepoint':
      return nest(ground, fn, { wish, outer: transaction as OpenTransaction });
    case 'join':
      return join(ground, fn, { wish, outer: transaction as OpenTransaction });
    case 'without':
      if (transaction !== undefined && scope?.mode === 'pinned')
        throw narrowed('its scope has one connection, and the transaction around it has that');
      return without(ground, fn, { wish, around });
    default:
      return route satisfies never;
  }
}

/** The whole unit of work, attempt after attempt. */
class Undertaking {
  readonly #ground: Ground;
  readonly #wish: Wish;
  readonly #scope: Scope | undefined;
  /** In a pinned scope the one connection is taken by the transaction around it. */
  readonly #beside: 'nothing' | 'a transaction';
  readonly #limits: Limits;
  readonly #plan: Plan;

  constructor(ground: Ground, wish: Wish, { scope, transaction }: Around) {
    this.#ground = ground;
    this.#wish = wish;
    this.#scope = scope;
    this.#beside = transaction === undefined ? 'nothing' : 'a transaction';
    const outer = scope?.heritage ?? (transaction === undefined ? noHeritage() : heritageOf(transaction));
    const inner = transaction === undefined ? outer : { ...heritageOf(transaction), access: outer.access };
    this.#limits = within(inner.limits, wish, ground.clock);
    const readOnly = wish.readOnly ?? (inner.access === 'read-only' ? true : undefined);
    if (readOnly === false && inner.access === 'read-only')
      throw narrowed('its scope is read-only, and it asks to write');
    this.#plan = {
      name: wish.name ?? scope?.name ?? 'transaction',
      begin: beginStatement({ ...wish, readOnly }),
      access: readOnly === true ? 'read-only' : 'writable',
      isolation: wish.isolation,
      settings: merged(inner.settings, wish.settings),
      limits: this.#limits,
      outcome: wish.commitOutcome ?? 'report',
      owner: inner.owner,
    };
  }

  async run<T>(fn: Work<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const outcome = await this.#attempt(fn, attempt);
      if (outcome.kind === 'done') return outcome.value;
      const pause = this.#pauseAfter(outcome, attempt);
      if (pause === undefined || !(await this.#rest(pause))) throw outcome.error;
    }
  }

  async #attempt<T>(fn: Work<T>, attempt: number): Promise<Outcome<T>> {
    const { name } = this.#plan;
    const lender = this.#lender();
    const bracket = new Bracket(this.#ground, this.#plan, lender);
    const level = new Level(this.#ground, bracket, { plan: this.#plan });
    const tx = new OpenTransaction(this.#ground, level, {
      attempt,
      scope: this.#scope,
      part: 'own',
      limits: this.#limits,
    });
    const since = this.#ground.clock.now();
    const leave = this.#scope === undefined ? undefined : await this.#enter(this.#scope, { bracket, lender });
    publish('lifeguard:transaction:started', () => ({ pool: this.#ground.house.name, name, attempt }));
    let outcome: Outcome<T>;
    try {
      const value = await bracket.earlyEnd.outcomeOf(this.#perform(fn, tx));
      outcome = { kind: 'done', value };
    } catch (error) {
      await level.rollBack(bracket.ending === undefined ? THREW : 'was ended', error);
      outcome = { kind: 'failed', error: inOurWords(error, bracket.trouble), bracket };
    } finally {
      leave?.();
    }
    await this.#conclude({ bracket, hooks: level.hooks, attempt, millis: this.#ground.clock.now() - since, outcome });
    return outcome;
  }

  /** The turn in a pinned scope may not come in time: then nothing may go on watching for it. */
  async #enter(scope: Scope, { bracket, lender }: { bracket: Bracket; lender: Lender }): Promise<() => void> {
    try {
      return await scope.entered(bracket, lender);
    } catch (error) {
      await bracket.rollBack('did not get its turn', error);
      throw error;
    }
  }

  async #perform<T>(fn: Work<T>, tx: OpenTransaction): Promise<T> {
    const value = await this.#ground.ambient.run(tx, async () => fn(tx));
    await tx.level.finish();
    return value;
  }

  #lender(): Lender {
    const { group, priority } = this.#wish;
    const own = { name: this.#plan.name, owner: this.#plan.owner };
    if (this.#scope === undefined) return new PoolLender(this.#ground, { ...NO_OPTIONS, ...own, group, priority });
    const given = { ...(group === undefined ? {} : { group }), ...(priority === undefined ? {} : { priority }) };
    return this.#scope.lender({ ...own, ...given }, this.#beside);
  }

  async #conclude({ bracket, hooks, attempt, millis, outcome }: Attempted): Promise<void> {
    const { house } = this.#ground;
    const kind = bracket.ending?.kind ?? 'rolled-back';
    const error = outcome.kind === 'failed' ? { error: nameOf(outcome.error) } : {};
    const { name } = this.#plan;
    publish('lifeguard:transaction:ended', () => ({
      pool: house.name,
      name,
      attempt,
      outcome: kind,
      millis,
      ...error,
    }));
    // Of an unknown end neither is true.
    if (kind !== 'unknown' && !hooks.isEmpty)
      await runHooks(this.#ground, { hooks, name, when: kind === 'committed' ? 'commit' : 'rollback' });
  }

  /** How long to wait before the next attempt, where there may be one. */
  #pauseAfter({ error, bracket }: Failed, attempt: number): number | undefined {
    const { retry } = this.#wish;
    const { ending, fault, blamed } = bracket;
    if (attempt >= retry.attempts || ending?.kind !== 'rolled-back') return undefined;
    // What the server said of this transaction counts, whatever the function made of it; of others it is not ours to say.
    const isFault = goesBackTo(error, fault);
    const reason = ending.by === 'server' ? ending.error : isFault ? fault : blamed;
    if (reason === undefined) return undefined;
    const failure = this.#ground.server.failureOf(reason, bracket.conclusion.phase);
    // Libraries make errors of their own, without a cause; but what conflicts with others will do so however it is told.
    if (ending.by !== 'server' && !isFault && failure.retry !== 'conflict') return undefined;
    const code = nameOf(rootOf(reason));
    const isAllowed =
      failure.retry === 'conflict' ||
      failure.retry === 'stale-plan' ||
      failure.retry === 'connection' ||
      (failure.retry === 'asked' && retry.on.has(code));
    if (!isAllowed) return undefined;
    const pause = pauseBefore(attempt, retry);
    if (pause >= remaining(this.#limits, this.#ground.clock)) return undefined;
    if (failure.retry === 'connection' && !this.#ground.budget.take()) return undefined;
    this.#ground.counts.retries += 1;
    const { name } = this.#plan;
    publish('lifeguard:transaction:retry', () => ({
      pool: this.#ground.house.name,
      name,
      attempt,
      code,
      delayMillis: pause,
    }));
    return pause;
  }

  /** Whether its caller is still there after the pause. */
  async #rest(millis: number): Promise<boolean> {
    const { clock } = this.#ground;
    const pause = (): Promise<void> => new Promise((resolve) => void clock.after(millis, resolve));
    try {
      await this.#ground.patience({ begin: pause, wasSent: () => false }, this.#limits);
      return true;
    } catch {
      return false;
    }
  }
}

const THREW = 'was rolled back because its function threw';

interface Attempted {
  readonly bracket: Bracket;
  readonly hooks: Hooks;
  readonly attempt: number;
  readonly millis: number;
  readonly outcome: Outcome<unknown>;
}

type Outcome<T> = { readonly kind: 'done'; readonly value: T } | Failed;

interface Failed {
  readonly kind: 'failed';
  readonly error: unknown;
  readonly bracket: Bracket;
}

/** Whether an error is the other one, or was made of it. */
function goesBackTo(error: unknown, fault: unknown): boolean {
  let one = error;
  for (let depth = 0; depth < CAUSES && one !== undefined; depth += 1) {
    if (one === fault) return true;
    one = one instanceof Error ? one.cause : undefined;
  }
  return false;
}

const CAUSES = 8;

/**
 * A cursor rejects with the bare error, also where it was a limit of ours that made it, or the end of the connection. And
 * of statements that were asked for in parallel, one that came too late may be heard before the one that failed.
 */
function inOurWords(error: unknown, trouble: unknown): unknown {
  const isBare = isLifeguardError(trouble) && trouble.cause === error;
  const isLate = isLifeguardError(error, 'ERR_LIFEGUARD_TRANSACTION_ENDED') && error.cause === trouble;
  return isBare || (isLate && trouble !== undefined) ? trouble : error;
}

/** Our own words about an error of the server have that as their cause. */
function rootOf(error: unknown): unknown {
  return isLifeguardError(error) && WORDS.has(error.code) && error.cause !== undefined ? rootOf(error.cause) : error;
}

const WORDS: ReadonlySet<string> = new Set([
  'ERR_LIFEGUARD_ROLLED_BACK',
  'ERR_LIFEGUARD_TRANSACTION_FAILED',
  'ERR_LIFEGUARD_BATCH',
]);
