import { nestable } from '@lifeguard/core/orms';
import { expect, test } from '@lifeguard/testkit/vitest';
import type { Handle, Library, Session } from './library.ts';
import { playedOn, type Rig } from './rig.ts';

const CHANGED = 'changed my mind';

/** The library's own transactions, which are savepoints of the one around them. */
export function declareOwnTransactions(library: Library): void {
  test('its own transaction outside of all others is a real one', playedOn(library, ownOutside));
  test('its own rollback undoes only its own part', playedOn(library, ownPart));
  test('the transaction around it undoes what its own committed', playedOn(library, aroundIt));
  test('its own transactions side by side lose nothing that was acknowledged', playedOn(library, sideBySide));
  test('its own transaction within its own from the pool is right or refused', playedOn(library, fromThePool));
  test('its own transaction within its own is a part of it where it is nestable', playedOn(library, guests));
  test('twenty transactions each with one of its own stay apart', playedOn(library, apart));
}

/** Those within each other. */
export function declareNesting(library: Library): void {
  test('its nested rollback undoes only the nested part', playedOn(library, nestedPart));
  test('its rollback undoes what a nested one has kept', playedOn(library, nestedKept));
}

async function ownOutside({ session, stored }: Rig): Promise<void> {
  await own(session, async (tx) => {
    await tx.insert(1);
    expect(await stored()).toEqual([]);
  });
  await expect(own(session, (tx) => insertAndThrow(tx, 2))).rejects.toThrow(CHANGED);
  expect(await stored()).toEqual([1]);
}

async function ownPart({ pool, session, stored }: Rig): Promise<void> {
  await pool.transaction(async () => {
    await session.insert(1);
    await expect(own(session, (tx) => insertAndThrow(tx, 2))).rejects.toThrow(CHANGED);
    await own(session, (tx) => tx.insert(3));
    expect(await session.ids()).toEqual([1, 3]);
  });
  expect(await stored()).toEqual([1, 3]);
}

async function aroundIt({ pool, session, stored }: Rig): Promise<void> {
  const whole = pool.transaction(async () => {
    await own(session, (tx) => tx.insert(1));
    throw new Error(CHANGED);
  });
  await expect(whole).rejects.toThrow(CHANGED);
  expect(await stored()).toEqual([]);
}

/** Every third fails: by itself, or for the row that is there already. */
async function sideBySide({ pool, session, stored }: Rig): Promise<void> {
  await session.insert(100);
  const ids = Array.from({ length: 20 }, (_, index) => index + 1);
  const acknowledged = await pool.transaction(async () => {
    const outcomes = await Promise.allSettled(ids.map((id) => own(session, (tx) => insertOrFail(tx, id))));
    return ids.filter((_, index) => outcomes[index]?.status === 'fulfilled');
  });
  expect(acknowledged).toEqual(ids.filter((id) => id % 3 !== 0));
  expect(await stored()).toEqual([...acknowledged, 100]);
}

async function insertOrFail(tx: Handle, id: number): Promise<void> {
  await tx.insert(id);
  if (id % 6 === 0) throw new Error(CHANGED);
  if (id % 3 === 0) await tx.insert(100);
}

/**
 * A function that is given the library and not the transaction of its caller: it cannot be told from one beside it. It
 * may be let in or refused; what was acknowledged must be there, unless the whole is refused.
 */
async function fromThePool({ pool, session, stored }: Rig): Promise<void> {
  const inner = (id: number): Promise<unknown> => own(session, (tx) => tx.insert(id + 100));
  const outer = async (id: number): Promise<number[]> =>
    await own(session, async (tx) => {
      await tx.insert(id);
      const letIn = await inner(id).then(
        () => true,
        () => false,
      );
      if (id === 2) throw new Error(CHANGED);
      return letIn ? [id, id + 100] : [id];
    });
  const whole = await settledValue(
    pool.transaction(async () => (await Promise.allSettled([1, 2, 3].map(outer))).flatMap(valuesOf)),
  );
  const expected = whole === undefined ? [] : whole.toSorted((a, b) => a - b);
  expect((await stored()).filter((id) => id !== 102)).toEqual(expected);
}

/** The same, marked: now it is certain which is within which. Some libraries refuse it themselves. */
async function guests({ pool, session, stored }: Rig): Promise<void> {
  nestable(pool, session as Required<Session>, 'transaction');
  const outer = (id: number): Promise<readonly number[]> =>
    own(session, async (tx) => {
      await tx.insert(id);
      const inner = own(session, (guest) => guest.insert(id + 100));
      const letIn = await inner.then(
        () => true,
        () => false,
      );
      if (id === 2) throw new Error(CHANGED);
      return letIn ? [id, id + 100] : [id];
    });
  const outcomes = await pool.transaction(() => Promise.allSettled([1, 2, 3].map(outer)));
  const acknowledged = outcomes.flatMap(valuesOf);
  expect(acknowledged.filter((id) => id < 100)).toEqual([1, 3]);
  expect(await stored()).toEqual(acknowledged.toSorted((a, b) => a - b));
}

async function apart({ pool, session, stored }: Rig): Promise<void> {
  const ids = Array.from({ length: 20 }, (_, index) => index + 1);
  const work = async (id: number): Promise<void> => {
    await session.insert(id);
    await own(session, async (tx) => {
      await tx.insert(id + 100);
      if (id % 2 === 1) throw new Error(CHANGED);
    });
  };
  await Promise.allSettled(ids.map((id) => pool.transaction(() => work(id))));
  const even = ids.filter((id) => id % 2 === 0);
  expect(await stored()).toEqual([...even, ...even.map((id) => id + 100)]);
}

async function nestedPart({ pool, session, stored }: Rig): Promise<void> {
  await pool.transaction(() =>
    own(session, async (tx) => {
      await tx.insert(1);
      await expect(own(tx, (nested) => insertAndThrow(nested, 2))).rejects.toThrow(CHANGED);
      await own(tx, (nested) => nested.insert(3));
    }),
  );
  expect(await stored()).toEqual([1, 3]);
}

async function nestedKept({ pool, session, stored }: Rig): Promise<void> {
  await pool.transaction(async () => {
    const refused = own(session, async (tx) => {
      await own(tx, (nested) => nested.insert(1));
      throw new Error(CHANGED);
    });
    await expect(refused).rejects.toThrow(CHANGED);
    await session.insert(2);
  });
  expect(await stored()).toEqual([2]);
}

async function insertAndThrow(tx: Handle, id: number): Promise<void> {
  await tx.insert(id);
  throw new Error(CHANGED);
}

function own<T>(handle: Handle, fn: (tx: Handle) => Promise<T>): Promise<T> {
  if (handle.transaction === undefined) throw new Error('The library says that it has transactions, and has none.');
  return handle.transaction(fn);
}

async function settledValue<T>(promise: Promise<T>): Promise<T | undefined> {
  const [outcome] = await Promise.allSettled([promise]);
  return outcome?.status === 'fulfilled' ? outcome.value : undefined;
}

function valuesOf(outcome: PromiseSettledResult<readonly number[]>): readonly number[] {
  return outcome.status === 'fulfilled' ? outcome.value : [];
}
