import { expect, test } from '@lifeguard/testkit/vitest';
import { codesOf, errorOf } from './error-codes.ts';
import type { Library } from './library.ts';
import { playedOn, type Rig } from './rig.ts';

/** Single statements in a transaction of ours. */
export function declareJoining(library: Library): void {
  test('what it inserts goes with the transaction that rolls back', playedOn(library, undone));
  test('what it inserts stays with the transaction that commits', playedOn(library, kept));
  test('it works outside of all transactions', playedOn(library, alone));
  test('it needs no second connection inside a transaction', playedOn(library, kept, { max: 1 }));
  test('it and plain pg see the rows of each other in one transaction', playedOn(library, together));
  test('it reads values inside a transaction as it does outside', playedOn(library, alike));
  test('a unique violation that is caught does not spoil the rest', playedOn(library, caught));
  test('an unheard error ends the transaction and gives everything back', playedOn(library, thrown));
  test('what it asks for after the end is refused with a code', playedOn(library, late));
}

async function undone({ pool, session, stored }: Rig): Promise<void> {
  const error = await errorOf(
    pool.transaction(async () => {
      await session.insert(1);
      expect(await session.ids()).toEqual([1]);
      throw new Error('changed my mind');
    }),
  );
  expect(error).toMatchObject({ message: 'changed my mind' });
  expect(await stored()).toEqual([]);
}

async function kept({ pool, session, stored }: Rig): Promise<void> {
  await pool.transaction(async () => {
    await session.insert(1);
    expect(await session.ids()).toEqual([1]);
    expect(await stored()).toEqual([]);
  });
  expect(await stored()).toEqual([1]);
}

async function alone({ session, stored }: Rig): Promise<void> {
  await session.insert(1);
  expect(await stored()).toEqual([1]);
  expect(await session.ids()).toEqual([1]);
  await errorOf(session.insert(1));
  await session.insert(2);
  expect(await stored()).toEqual([1, 2]);
}

async function together({ pool, pgPool, session, stored }: Rig): Promise<void> {
  await pool.transaction(async () => {
    await session.insert(1);
    await pgPool.query('insert into t (id) values ($1)', [2]);
    const { rows } = await pgPool.query<{ id: number }>('select id from t order by id');
    expect(rows.map(({ id }) => id)).toEqual([1, 2]);
    expect(await session.ids()).toEqual([1, 2]);
  });
  expect(await stored()).toEqual([1, 2]);
}

const VALUES = `
  select date '2020-01-02' as day, timestamptz '2020-01-02 03:04:05Z' as instant, timestamp '2020-01-02 03:04:05' as local,
         1.5::numeric as exact, 7::int8 as big, '{1,2}'::int[] as list`;

async function alike({ pool, session }: Rig): Promise<void> {
  const outside = await session.run(VALUES);
  expect(outside).not.toHaveLength(0);
  expect(await pool.transaction(() => session.run(VALUES))).toEqual(outside);
}

async function caught({ pool, session, stored }: Rig): Promise<void> {
  await session.insert(1);
  await pool.transaction(async () => {
    await session.insert(2);
    await errorOf(session.insert(1));
    await session.insert(3);
    expect(await session.ids()).toEqual([1, 2, 3]);
  });
  expect(await stored()).toEqual([1, 2, 3]);
}

async function thrown({ pool, session, stored }: Rig): Promise<void> {
  await session.insert(1);
  await errorOf(
    pool.transaction(async () => {
      await session.insert(2);
      await session.insert(1);
    }),
  );
  expect(await stored()).toEqual([1]);
}

async function late({ pool, session, stored }: Rig): Promise<void> {
  const insertLater = await pool.transaction(async () => {
    await session.insert(1);
    // Awaited in there: with some libraries a query begins only when it is awaited.
    return pool.bind(async () => await session.insert(2));
  });
  const codes = codesOf(await errorOf(insertLater()));
  expect(codes).toContainEqual(expect.stringMatching(/^ERR_LIFEGUARD_/));
  expect(await stored()).toEqual([1]);
}
