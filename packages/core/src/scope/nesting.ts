import { LifeguardError, nameOf } from '../errors.ts';
import { publish } from '../events.ts';
import { within } from './deadline.ts';
import type { Ground } from './ground.ts';
import { heritageOf, noHeritage, settingsOf } from './heritage.ts';
import type { Hooks } from './hooks.ts';
import { Level } from './level.ts';
import { NoTransaction } from './no-transaction.ts';
import { OpenTransaction } from './open-transaction.ts';
import type { Plan } from './prelude.ts';
import { Scope } from './scope.ts';
import type { Setting } from './settings.ts';
import type { Transaction } from './transaction.ts';
import { ISOLATIONS, type Wish } from './transaction-options.ts';

/** What runs in a transaction, or without one. */
export type Work<T> = (tx: Transaction) => T | Promise<T>;

/** A savepoint in the one that is open, which has its turn until this one has ended. */
export function nest<T>(ground: Ground, fn: Work<T>, { wish, outer }: Inner): Promise<T> {
  const parent = outer.level;
  refuseOtherModes(wish, parent.bracket.plan);
  const limits = within(outer.limits, wish, ground.clock);
  const plan = { name: wish.name ?? outer.name, limits, settings: wish.settings };
  return parent.nest(limits, async (around) => {
    const level = new Level(ground, around.bracket, { plan, parent: around });
    const tx = new OpenTransaction(ground, level, { attempt: outer.attempt, scope: outer.scope, part: 'own', limits });
    try {
      const value = await ground.ambient.run(tx, async () => fn(tx));
      await level.finish();
      if (level.outcome === 'undone') around.hooks.settle(level.hooks);
      else around.hooks.adopt(level.hooks);
      return value;
    } catch (error) {
      await level.rollBack('was rolled back because its function threw', error);
      around.hooks.settle(level.hooks);
      throw error;
    } finally {
      level.leave();
    }
  });
}

/** The one that is open. Where this part of it fails, the whole cannot commit any more. */
export async function join<T>(ground: Ground, fn: Work<T>, { wish, outer }: Inner): Promise<T> {
  const { level, attempt, scope } = outer;
  level.refuseEnded();
  refuseOtherModes(wish, level.bracket.plan);
  refuseOther(wish.settings, level);
  const limits = within(outer.limits, wish, ground.clock);
  const tx = new OpenTransaction(ground, level, { attempt, scope, part: 'joined', limits });
  try {
    return await ground.ambient.run(tx, async () => fn(tx));
  } catch (error) {
    level.doom(error);
    throw error;
  }
}

/** Each statement for itself, in a scope of its own that has what is around it, and what was asked for. */
export async function without<T>(ground: Ground, fn: Work<T>, { wish, around }: Outside): Promise<T> {
  const { scope, transaction } = around;
  if (wish.isolation !== undefined || wish.deferrable !== undefined) {
    throw narrowed('it asks for an isolation level, and goes without a transaction');
  }
  const outer = transaction === undefined ? (scope?.heritage ?? noHeritage()) : heritageOf(transaction);
  const heritage = { ...outer, access: scope?.access ?? outer.access };
  const given = { ...wish, name: wish.name ?? scope?.name ?? 'transaction' };
  return Scope.within(ground, { wish: given, outer: heritage, pin: scope?.pin }, async (own) => {
    const tx = new NoTransaction(own);
    let when: 'commit' | 'rollback' = 'rollback';
    try {
      const value = await fn(tx);
      when = 'commit';
      return value;
    } finally {
      await runHooks(ground, { hooks: tx.hooks, name: own.name, when });
    }
  });
}

interface Outside {
  readonly wish: Wish;
  readonly around: { readonly scope: Scope | undefined; readonly transaction: OpenTransaction | undefined };
}

interface Inner {
  readonly wish: Wish;
  readonly outer: OpenTransaction;
}

export async function runHooks(
  ground: Ground,
  { hooks, name, when }: { hooks: Hooks; name: string; when: 'commit' | 'rollback' },
): Promise<void> {
  await hooks.run(when, (error) => {
    publish('lifeguard:transaction:hook-failed', () => ({ pool: ground.house.name, name, when, error: nameOf(error) }));
    const message = `a hook after the ${when} of "${name}" failed (${nameOf(error)}); the ${when} stands`;
    // In our own words, which are printed without the rows that an error of the server may hold.
    const err = new LifeguardError('ERR_LIFEGUARD_HOOK_FAILED', message, { cause: error });
    ground.warnings.warn('LIFEGUARD_HOOK_FAILED', message, { name, err });
  });
}

/** The transaction around it was begun for less than what this one asks for, or for more. */
function refuseOtherModes(wish: Wish, plan: Plan): void {
  refuseBroader(wish, plan, 'it');
  if (wish.readOnly === true && plan.access === 'writable')
    throw narrowed('it asks to be read-only, and the transaction around it may write');
}

/** The transaction around `who` was begun for less than what it asks for. */
export function refuseBroader(
  { isolation, readOnly }: Pick<Wish, 'isolation' | 'readOnly'>,
  plan: Plan,
  who: 'it' | 'a library',
): void {
  if (rank(isolation) > rank(plan.isolation)) {
    throw narrowed(
      `${who} asks for isolation "${isolation}", and the transaction around it has "${plan.isolation ?? ISOLATIONS[0]}"`,
    );
  }
  if (readOnly === false && plan.access === 'read-only')
    throw narrowed(`${who} asks to write, and the transaction around it is read-only`);
}

function rank(isolation: Wish['isolation']): number {
  return isolation === undefined ? 0 : ISOLATIONS.indexOf(isolation);
}

/** A part that joins has no savepoint, so what it sets would stay set for the others. */
function refuseOther(settings: readonly Setting[], level: Level): void {
  const inForce = new Map(settingsOf(level).map(({ name, value }) => [name, value]));
  const other = settings.find(({ name, value }) => inForce.get(name) !== value);
  if (other !== undefined) throw narrowed(`it sets "${other.name}" to what the transaction that it joins has not`);
}

export function narrowed(why: string): LifeguardError {
  const message = `Nothing was sent: ${why}. Ask for it where the transaction begins, or use propagation "requires-new".`;
  return new LifeguardError('ERR_LIFEGUARD_PROPAGATION', message, { consequence: 'nothing-sent' });
}
