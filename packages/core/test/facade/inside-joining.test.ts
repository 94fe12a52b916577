import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { answerOf, errorOf, pidOf } from '../server/rig.ts';
import { promised, STYLES } from './inside-library.ts';
import { Mine, prepared, put, undone } from './inside-rig.ts';

describe('a statement of a library inside a transaction', () => {
  test('is part of it, sent by the pool or by a client', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const work = async (): Promise<unknown[]> => {
      await put(orm, 1);
      const client = await orm.connect();
      await put(client, 2);
      client.release();
      return [await stored(), (await orm.query('select id from item order by id')).rows];
    };
    await undone((fail) => pool.transaction(() => work().then(fail)));
    expect(await stored()).toEqual([]);
    expect(await pool.transaction(work)).toEqual([[], [{ id: 1 }, { id: 2 }]]);
    expect(await stored()).toEqual([1, 2]);
  });

  test('is seen by the handle of the transaction, and sees what that has written', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    const seen = await pool.transaction(async (tx) => {
      await put(tx, 1);
      await put(orm, 2);
      const count = 'select count(*)::int from item';
      return [await answerOf(tx, count), await answerOf(orm, count), (await pidOf(tx)) === (await pidOf(orm))];
    });
    expect(seen).toEqual([2, 2, true]);
  });

  test('goes with the nested transaction that it is asked for in', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async (tx) => {
      await put(orm, 1);
      await undone((fail) => tx.transaction(() => put(orm, 2).then(fail)));
      await tx.transaction(() => put(orm, 3));
      await put(orm, 4);
    });
    expect(await stored()).toEqual([1, 3, 4]);
  });

  test('goes with a transaction that joined, whose failure undoes all of it', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const joined = (): Promise<unknown> => pool.transaction(() => put(orm, 2));
    await pool.transaction(() => put(orm, 1).then(joined));
    expect(await stored()).toEqual([1, 2]);
    const failing = (): Promise<unknown> => pool.transaction(() => Promise.reject(new Mine())).catch(() => put(orm, 4));
    const whole = pool.transaction(() => put(orm, 3).then(failing));
    expect(await errorOf(whole)).toMatchObject({ code: 'ERR_LIFEGUARD_ROLLED_BACK', cause: { message: 'mine' } });
    expect(await stored()).toEqual([1, 2]);
  });

  test('goes with a transaction of its own connection where that is asked for', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const own = (): Promise<unknown> => pool.transaction(() => put(orm, 2), { propagation: 'requires-new' });
    await undone((fail) =>
      pool.transaction(async () => {
        await put(orm, 1);
        await own();
        expect(await answerOf(orm, 'select count(*)::int from item')).toBe(2);
        fail();
      }),
    );
    expect(await stored()).toEqual([2]);
  });

  test('is not part of it when it is asked for outside', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await undone((fail) =>
      pool.transaction(async (tx) => {
        await put(tx, 1);
        await pool.outside(() => put(orm, 2));
        await pool.outside(() => promised(orm, (client) => put(client, 3)));
        fail();
      }),
    );
    expect(await stored()).toEqual([2, 3]);
  });

  test('takes no connection beside that of the transaction', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database, { pool: { max: 1 } });
    await pool.transaction(async () => {
      await put(orm, 1);
      const clients = await Promise.all([orm.connect(), orm.connect()]);
      for (const [at, client] of clients.entries()) await put(client, 2 + at);
      for (const client of clients) client.release();
      expect(pool.snapshot()).toMatchObject({ size: 1, waiting: 0 });
    });
    expect(await stored()).toEqual([1, 2, 3]);
  });

  test('takes no connection at all as long as nothing was asked', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    await pool.transaction(async () => {
      const client = await orm.connect();
      expect(pool.snapshot().leased).toBe(0);
      client.release();
    });
    expect(pool.snapshot().leased).toBe(0);
  });

  test('answers by its callback, in the context of the transaction', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await undone((fail) =>
      pool.transaction(() =>
        new Promise<void>((resolve, reject) => {
          orm.query('insert into item values ($1) returning id', [1], (error, { rows }) => {
            if (error) return reject(error);
            expect(rows).toEqual([{ id: 1 }]);
            void orm.query('insert into item values (2)', () => resolve());
          });
        }).then(fail),
      ),
    );
    expect(await stored()).toEqual([]);
  });
});

describe.for(STYLES)('the transaction of a library %s', ([, transact]) => {
  test('is part of the transaction around it', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const work = (): Promise<unknown> => transact(orm, (client) => put(client, 1));
    await undone((fail) => pool.transaction(() => work().then(fail)));
    expect(await stored()).toEqual([]);
    await pool.transaction(work);
    expect(await stored()).toEqual([1]);
  });

  test('undoes only its own part when it rolls back', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      await put(orm, 1);
      await undone((fail) => transact(orm, (client) => put(client, 2).then(fail)));
      await transact(orm, (client) => put(client, 3));
      const error = await errorOf(transact(orm, (client) => put(client, 4).then(() => put(client, 1))));
      expect(error).toMatchObject({ code: '23505' });
      await put(orm, 5);
    });
    expect(await stored()).toEqual([1, 3, 5]);
  });

  test('works in nested transactions, and goes with them', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const work = (id: number): Promise<unknown> => transact(orm, (client) => put(client, id));
    await pool.transaction(async (tx) => {
      await tx.transaction(() => work(1));
      await undone((fail) => tx.transaction((nested) => nested.transaction(() => work(2)).then(fail)));
      await tx.transaction((nested) => undone((fail) => nested.transaction(() => work(3).then(fail))));
      await work(4);
    });
    expect(await stored()).toEqual([1, 4]);
  });

  test('works outside of all as on any pool', async ({ database }) => {
    const { orm, stored } = await prepared(database);
    await transact(orm, (client) => put(client, 1));
    await undone((fail) => transact(orm, (client) => put(client, 2).then(fail)));
    expect(await stored()).toEqual([1]);
  });
});

describe('two libraries in one transaction', () => {
  test('see what the other one has written, and go with the same whole', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const other = pool.asPgPool({ pg, isolateStatements: false });
    const work = async (): Promise<void> => {
      await promised(orm, (client) => put(client, 1));
      expect(await answerOf(other, 'select count(*)::int from item')).toBe(1);
      await promised(other, (client) => put(client, 2));
      expect(await answerOf(orm, 'select count(*)::int from item')).toBe(2);
    };
    await undone((fail) => pool.transaction(() => work().then(fail)));
    expect(await stored()).toEqual([]);
    await pool.transaction(work);
    expect(await stored()).toEqual([1, 2]);
  });

  test('do not disturb each other when one of them ends its pool', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const other = pool.asPgPool({ pg });
    await pool.transaction(async () => {
      await put(other, 1);
      await other.end();
      expect(await errorOf(put(other, 2))).toMatchObject({ code: 'ERR_LIFEGUARD_POOL_CLOSED' });
      await put(orm, 3);
    });
    expect(await stored()).toEqual([1, 3]);
  });

  test('of two pools have a transaction of their own each', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const second = await prepared(database);
    await pool.transaction(async () => {
      await put(orm, 1);
      await undone((fail) => second.pool.transaction(() => put(second.orm, 2).then(fail)));
      await second.pool.transaction(() => Promise.all([put(second.orm, 3), put(orm, 4)]));
    });
    expect(await stored()).toEqual([1, 3, 4]);
  });
});
