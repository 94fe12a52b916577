import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, Transaction } from '../../src/index.ts';
import { errorOf, openPool } from './rig.ts';

/** A pool, and an empty table. */
async function prepared(database: { readonly connection: object }): Promise<LifeguardPool> {
  const pool = openPool(database.connection, { max: 2 });
  await pool.query('create table if not exists item (id int)');
  await pool.query('truncate item');
  return pool;
}

const put = (tx: Transaction, id: number): Promise<unknown> => tx.query('insert into item values ($1)', [id]);

const idsOf = async (pool: LifeguardPool): Promise<number[]> =>
  (await pool.query<{ id: number }>('select id from item order by id')).rows.map(({ id }) => id);

describe('statements that are not awaited', () => {
  test('run before COMMIT all the same', async ({ database }) => {
    const pool = await prepared(database);
    await pool.transaction((tx) => {
      for (let id = 0; id < 9; id += 1) void put(tx, id);
      void tx.batch(['insert into item values (9)']);
    });
    expect(await idsOf(pool)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('keep it from committing when one of them fails', async ({ database }) => {
    const pool = await prepared(database);
    const unwatched: Promise<unknown>[] = [];
    const error = await errorOf(
      pool.transaction((tx) => {
        for (const one of [put(tx, 1), tx.query('select 1/0')])
          unwatched.push(
            one.then(
              () => undefined,
              (reason) => reason,
            ),
          );
      }),
    );
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_ROLLED_BACK', cause: { code: '22012' } });
    expect(await Promise.all(unwatched)).toMatchObject([undefined, { code: '22012' }]);
    expect(await idsOf(pool)).toEqual([]);
  });

  test('of a nested transaction run before it is released', async ({ database }) => {
    const pool = await prepared(database);
    await pool.transaction(async (tx) => {
      await tx.transaction((nested) => void put(nested, 1));
      await tx.transaction((nested) => void put(nested, 2).then(() => put(nested, 3).catch(() => undefined)));
    });
    expect((await idsOf(pool)).slice(0, 2)).toEqual([1, 2]);
  });

  test('are refused or cancelled when the function throws', async ({ database }) => {
    const pool = await prepared(database);
    const left: Promise<Error>[] = [];
    const error = await errorOf(
      pool.transaction(async (tx) => {
        await put(tx, 1);
        left.push(errorOf(tx.query('select pg_sleep(60)')), errorOf(put(tx, 2)));
        throw new Error('mine');
      }),
    );
    expect(error.message).toBe('mine');
    for (const one of await Promise.all(left)) expect(one).toHaveProperty('code');
    expect(await idsOf(pool)).toEqual([]);
    expect(pool.snapshot()).toMatchObject({ leased: 0 });
  });

  test('are refused with words for a user when the end comes at the same time', async ({ database }) => {
    const pool = await prepared(database);
    const left: Promise<Error>[] = [];
    await pool.transaction(async (tx) => {
      await put(tx, 1);
      left.push(errorOf(put(tx, 2)));
      await tx.rollback();
    });
    const thrown = pool.transaction(async (tx) => {
      await put(tx, 3);
      left.push(errorOf(put(tx, 4)), errorOf(tx.batch(['select 1'])), errorOf(tx.last('select 1')));
      throw new Error('mine');
    });
    expect((await errorOf(thrown)).message).toBe('mine');
    for (const error of await Promise.all(left))
      expect((error as Error & { code?: string }).code).toMatch(/^ERR_LIFEGUARD_/);
    expect(await idsOf(pool)).toEqual([]);
    expect(pool.snapshot()).toMatchObject({ leased: 0 });
  });

  test('of a nested transaction that throws are over before the rest goes on', async ({ database }) => {
    const pool = await prepared(database);
    await pool.transaction(async (tx) => {
      const left: Promise<unknown>[] = [];
      const nested = tx.transaction(async (inner) => {
        await put(inner, 1);
        left.push(inner.query('insert into item select 2 from pg_sleep(0.05)'), put(inner, 3));
        left.push(errorOf(inner.batch(['insert into item values (5)'])));
        throw new Error('mine');
      });
      await errorOf(nested);
      await put(tx, 4);
      await Promise.all(left);
    });
    expect(await idsOf(pool)).toEqual([4]);
  });

  test('come too late when the transaction has ended', async ({ database }) => {
    const pool = await prepared(database);
    const gate = Promise.withResolvers<void>();
    let late: Promise<Error> | undefined;
    await pool.transaction((tx) => {
      late = gate.promise.then(() => errorOf(put(tx, 1)));
    });
    await pool.transaction((tx) => put(tx, 2));
    gate.resolve();
    expect(await late).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_ENDED', consequence: 'nothing-sent' });
    expect(await idsOf(pool)).toEqual([2]);
  });

  test('come too late for a nested one that has ended, though the whole has not', async ({ database }) => {
    const pool = await prepared(database);
    await pool.transaction(async (tx) => {
      let kept: Transaction | undefined;
      await tx.transaction(async (nested) => {
        kept = nested;
        await put(nested, 1);
      });
      const nested = kept as Transaction;
      for (const late of [put(nested, 2), nested.last('select 1'), nested.transaction(() => 1)]) {
        expect(await errorOf(late)).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_ENDED' });
      }
      await put(tx, 3);
    });
    expect(await idsOf(pool)).toEqual([1, 3]);
  });

  test('by pool.query from a context that outlives it are refused, and not run outside of it', async ({ database }) => {
    const pool = await prepared(database);
    const gate = Promise.withResolvers<void>();
    let late: Promise<Error> | undefined;
    await pool.transaction(async (tx) => {
      await put(tx, 1);
      late = gate.promise.then(() => errorOf(pool.query('insert into item values (2)')));
    });
    gate.resolve();
    expect(await late).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_ENDED' });
    expect(await idsOf(pool)).toEqual([1]);
  });
});
