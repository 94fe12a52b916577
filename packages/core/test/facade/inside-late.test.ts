import { describe, expect, test } from '@lifeguard/testkit/vitest';
import Cursor from 'pg-cursor';
import { answerOf, errorOf } from '../server/rig.ts';
import { promised, STYLES } from './inside-library.ts';
import { type House, leavesNothing, prepared, put, undone } from './inside-rig.ts';

/** Work that a unit of work has started, and that begins when that is over. */
interface Late {
  /** To be called in the unit of work. */
  start(work: () => Promise<unknown>): void;
  /** The outcome of all that was started, which begins only now. */
  outcome(): Promise<string>;
}

function late(): Late {
  const over = Promise.withResolvers<void>();
  const outcomes: Promise<string>[] = [];
  return {
    start: (work) =>
      void outcomes.push(
        over.promise.then(work).then(
          () => 'ok',
          (error) => error.code,
        ),
      ),
    outcome: async () => {
      over.resolve();
      return (await Promise.all(outcomes)).join();
    },
  };
}

/** What comes late, and what it writes. */
const WORKS: readonly (readonly [what: string, work: (house: House) => Promise<unknown>])[] = [
  ['a statement', ({ orm }) => put(orm, 9)],
  [
    'a client',
    async ({ orm }) => {
      const client = await orm.connect();
      try {
        await put(client, 9);
      } finally {
        client.release();
      }
    },
  ],
  ...STYLES.map(([name, transact]) => {
    const work = ({ orm }: House): Promise<unknown> => transact(orm, (client) => put(client, 9));
    return [`a transaction of a library ${name}`, work] as const;
  }),
  ['a script', ({ orm }) => orm.query('begin; insert into item values (9); commit')],
  [
    'a cursor',
    async ({ orm }) => {
      const client = await orm.connect();
      const cursor = client.query(new Cursor('insert into item values (9) returning id'));
      try {
        await cursor.read(2);
      } finally {
        await cursor.close().catch(() => undefined);
        client.release();
      }
    },
  ],
];

describe.for(WORKS)('%s that comes late', ([, work]) => {
  test('for its transaction is refused', async ({ database }) => {
    const house = await prepared(database);
    const { pool, orm, stored } = house;
    const { start, outcome } = late();
    await pool.transaction(async () => {
      await put(orm, 1);
      start(() => work(house));
    });
    expect(await outcome()).toBe('ERR_LIFEGUARD_TRANSACTION_ENDED');
    expect(await stored()).toEqual([1]);
    await leavesNothing(database, pool);
  });

  test('for a transaction that was rolled back is refused', async ({ database }) => {
    const house = await prepared(database);
    const { pool, orm, stored } = house;
    const { start, outcome } = late();
    await undone((fail) =>
      pool.transaction(async () => {
        await put(orm, 1);
        start(() => work(house));
        fail();
      }),
    );
    expect(await outcome()).toBe('ERR_LIFEGUARD_TRANSACTION_ENDED');
    expect(await stored()).toEqual([]);
  });

  test('for its nested transaction is refused, and the one around it goes on', async ({ database }) => {
    const house = await prepared(database);
    const { pool, orm, stored } = house;
    await pool.transaction(async (tx) => {
      const { start, outcome } = late();
      await tx.transaction(async () => start(() => work(house)));
      expect(await outcome()).toBe('ERR_LIFEGUARD_TRANSACTION_ENDED');
      await put(orm, 1);
    });
    expect(await stored()).toEqual([1]);
  });

  test('for a scope with settings is refused, whose settings must hold', async ({ database }) => {
    const house = await prepared(database);
    const { pool, stored } = house;
    const { start, outcome } = late();
    await pool.scope({ settings: { 'app.name': 'ada' } }, async () => start(() => work(house)));
    expect(await outcome()).toBe('ERR_LIFEGUARD_SCOPE_ENDED');
    expect(await stored()).toEqual([]);
  });

  test('goes to the pool where the user chose so', async ({ database }) => {
    const house = await prepared(database, { facade: { late: 'pool' } });
    const { pool, orm, stored } = house;
    const { start, outcome } = late();
    await undone((fail) =>
      pool.transaction(async () => {
        await put(orm, 1);
        start(() => work(house));
        fail();
      }),
    );
    expect(await outcome()).toBe('ok');
    expect(await stored()).toEqual([9]);
    await leavesNothing(database, pool);
  });

  test('for a scope that bound it to something is refused, whatever the user chose', async ({ database }) => {
    const house = await prepared(database, { facade: { late: 'pool' } });
    const { pool, stored } = house;
    const { start, outcome } = late();
    await pool.scope({ settings: { 'app.name': 'ada' }, readOnly: true }, async () => start(() => work(house)));
    expect(await outcome()).toBe('ERR_LIFEGUARD_SCOPE_ENDED');
    expect(await stored()).toEqual([]);
  });

  test('is no late work where it was started outside', async ({ database }) => {
    const house = await prepared(database);
    const { pool, stored } = house;
    const { start, outcome } = late();
    await pool.transaction(() => pool.outside(() => start(() => work(house))));
    expect(await outcome()).toBe('ok');
    expect(await stored()).toEqual([9]);
  });
});

describe('what comes late', () => {
  test('is told by the name of what has ended', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    const over = Promise.withResolvers<void>();
    let failed: Promise<Error> | undefined;
    await pool.transaction(
      async () => {
        failed = errorOf(over.promise.then(() => put(orm, 1)));
      },
      { name: 'POST /orders' },
    );
    over.resolve();
    expect((await failed)?.message).toContain('POST /orders');
  });

  test('for a scope without anything runs, where nothing was bound to it', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const { start, outcome } = late();
    await pool.scope({ name: 'request' }, async () => start(() => put(orm, 9)));
    expect(await outcome()).toBe('ok');
    expect(await stored()).toEqual([9]);
  });

  test('in an ended part goes to the pool, and not into the transaction around it, where the user chose so', async ({
    database,
  }) => {
    const { pool, orm, stored } = await prepared(database, { facade: { late: 'pool' } });
    await undone((fail) =>
      pool.transaction(async (tx) => {
        const { start, outcome } = late();
        await tx.transaction(async () => start(() => put(orm, 9)));
        expect(await outcome()).toBe('ok');
        fail();
      }),
    );
    expect(await stored()).toEqual([9]);
  });
});

describe('a client that is kept over the end of its transaction', () => {
  test.for(['refuse', 'pool'] as const)('takes nothing any more, with late: %s', async (choice, { database }) => {
    const { pool, orm, stored } = await prepared(database, { facade: { late: choice } });
    const client = await pool.transaction(async () => {
      const one = await orm.connect();
      await put(one, 1);
      return one;
    });
    expect(await errorOf(put(client, 2))).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_ENDED' });
    expect(await errorOf(client.query('BEGIN'))).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_ENDED' });
    const cursor = client.query(new Cursor('select 1'));
    expect(await errorOf(cursor.read(1))).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_ENDED' });
    client.release();
    expect(await stored()).toEqual([1]);
  });

  test('is no part of another transaction that it is used in', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const client = await orm.connect();
      const other = pool.transaction(() => put(client, 1).then(() => put(orm, 2)), { propagation: 'requires-new' });
      await other;
      expect(await answerOf(client as never, 'select count(*)::int from item where id = 1')).toBe(1);
      client.release();
    });
    expect(await stored()).toEqual([1, 2]);
  });

  test('from outside stays outside in a transaction that it is used in', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const client = await orm.connect();
    await undone((fail) =>
      pool.transaction(async () => {
        await put(client, 1);
        await put(orm, 2);
        fail();
      }),
    );
    client.release();
    expect(await stored()).toEqual([1]);
  });
});

describe('a pool with explicit handles', () => {
  test('keeps libraries out of its transactions, which only handles belong to', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database, { pool: { mode: 'explicit' } });
    await undone((fail) =>
      pool.transaction(async (tx) => {
        await put(tx, 1);
        await put(orm, 2);
        await promised(orm, (client) => put(client, 3));
        fail();
      }),
    );
    expect(await stored()).toEqual([2, 3]);
  });
});
