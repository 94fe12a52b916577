import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { answerOf, errorOf, outcomesOf } from '../server/rig.ts';
import { trips, wiretap } from '../server/wire.ts';
import { promised } from './inside-library.ts';
import { prepared, put, undone } from './inside-rig.ts';

const countOf = (asker: { query(text: string): Promise<unknown> }): Promise<number> =>
  answerOf(asker, 'select count(*)::int from item');

/** Its rows cannot be read, though the server has sent them. */
const UNREADABLE = {
  getTypeParser: () => (): never => {
    throw Object.assign(new Error('unreadable'), { code: 'UNREADABLE' });
  },
};

/** What fails for a reason of its own. */
const FAILING: readonly (readonly [text: string, code: string])[] = [
  ['insert into item values (1)', '23505'],
  ['select 1/0', '22012'],
  ['select from nowhere', '42P01'],
  ['nonsense', '42601'],
  ['select 1; select 1/0; select 2', '22012'],
  ['do $$ begin raise exception $x$no$x$; end $$', 'P0001'],
];

describe('a statement of a library that fails in a transaction', () => {
  test.for(FAILING)('fails for itself alone: %s', async ([text, code], { database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async (tx) => {
      await put(orm, 1);
      expect(await errorOf(orm.query(text))).toMatchObject({ code });
      await put(orm, 2);
      expect(await errorOf(orm.query(text))).toMatchObject({ code });
      await put(tx, 3);
    });
    expect(await stored()).toEqual([1, 2, 3]);
  });

  test('is the first one of the transaction, and the next one is stored', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      expect(await errorOf(orm.query('select 1/0'))).toMatchObject({ code: '22012' });
      await put(orm, 1);
    });
    expect(await stored()).toEqual([1]);
  });

  test('is the last one, and the transaction commits', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      await put(orm, 1);
      expect(await errorOf(put(orm, 1))).toMatchObject({ code: '23505' });
    });
    expect(await stored()).toEqual([1]);
  });

  test('undoes what it had done itself', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      await put(orm, 5);
      expect(await errorOf(orm.query('insert into item select generate_series(1, 9)'))).toMatchObject({
        code: '23505',
      });
      expect(await countOf(orm)).toBe(1);
    });
    expect(await stored()).toEqual([5]);
  });

  test('leaves those alone that were asked for beside it', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const outcomes = await pool.transaction(() =>
      outcomesOf([put(orm, 1), put(orm, 1), put(orm, 2), orm.query('select 1/0'), put(orm, 3), put(orm, 1)]),
    );
    expect(outcomes).toEqual(['ok', '23505', 'ok', '22012', 'ok', '23505']);
    expect(await stored()).toEqual([1, 2, 3]);
  });

  test('by a client without a BEGIN fails for itself as well', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const client = await orm.connect();
      await put(client, 1);
      expect(await errorOf(put(client, 1))).toMatchObject({ code: '23505' });
      await put(client, 2);
      client.release();
    });
    expect(await stored()).toEqual([1, 2]);
  });

  test('by a limit of its own fails for itself as well', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      await orm.query("set local statement_timeout = '50ms'");
      expect(await errorOf(orm.query('select pg_sleep(60)'))).toMatchObject({ code: '57014' });
      await put(orm, 1);
    });
    expect(await stored()).toEqual([1]);
  });

  test('because a lock is taken fails for itself as well', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.outside(() => put(orm, 1));
    await pool.transaction(async () => {
      const lock = await pool.outside(() => pool.lease());
      await lock.query('begin; select * from item for update');
      expect(await errorOf(orm.query('select * from item for update nowait'))).toMatchObject({ code: '55P03' });
      await lock.query('rollback');
      await lock.release();
      await put(orm, 2);
    });
    expect(await stored()).toEqual([1, 2]);
  });

  test('in the driver, after the server has done it, stands', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const text = 'insert into item values (1) returning id';
      expect(await errorOf(orm.query({ text, types: UNREADABLE } as never))).toMatchObject({ code: 'UNREADABLE' });
      expect(await countOf(orm)).toBe(1);
      await put(orm, 2);
    });
    expect(await stored()).toEqual([1, 2]);
  });

  test('before anything is sent leaves the transaction as it was', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const circle: { self?: object } = {};
    circle.self = circle;
    await pool.transaction(async () => {
      await put(orm, 1);
      expect(await errorOf(orm.query('insert into item values ($1)', [circle]))).toBeInstanceOf(Error);
      await put(orm, 2);
    });
    expect(await stored()).toEqual([1, 2]);
  });

  test('inside a transaction of its library fails that one, as on a server', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const caught = promised(orm, async (client) => {
        await put(client, 1);
        await errorOf(put(client, 1));
        await put(client, 2);
      });
      expect(await errorOf(caught)).toMatchObject({
        code: expect.stringMatching(/25P02|ERR_LIFEGUARD_TRANSACTION_FAILED/),
      });
      await put(orm, 3);
    });
    expect(await stored()).toEqual([3]);
  });

  test.for(['40001', '40P01'])(
    'with %s, because it lost, lets the whole be tried again',
    async (code, { database }) => {
      const { pool, orm, stored } = await prepared(database);
      const attempts: number[] = [];
      await pool.transaction(async (tx) => {
        attempts.push(tx.attempt);
        await put(orm, tx.attempt);
        const raise = `do $$ begin raise exception 'lost' using errcode = '${code}'; end $$`;
        if (tx.attempt === 1) await orm.query(raise);
      });
      expect(attempts).toEqual([1, 2]);
      expect(await stored()).toEqual([2]);
    },
  );
});

describe('with isolateStatements: false', () => {
  test('a statement that fails makes the transaction fail', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database, { facade: { isolateStatements: false } });
    const whole = pool.transaction(async () => {
      await put(orm, 1);
      expect(await errorOf(put(orm, 1))).toMatchObject({ code: '23505' });
      expect(await errorOf(put(orm, 2))).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_FAILED' });
    });
    expect(await errorOf(whole)).toMatchObject({ code: 'ERR_LIFEGUARD_ROLLED_BACK', cause: { code: '23505' } });
    expect(await stored()).toEqual([]);
  });

  test('a failing transaction of the library is undone by itself all the same', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database, { facade: { isolateStatements: false } });
    await pool.transaction(async () => {
      await put(orm, 1);
      expect(await errorOf(promised(orm, (client) => put(client, 1)))).toMatchObject({ code: '23505' });
      await put(orm, 2);
    });
    expect(await stored()).toEqual([1, 2]);
  });
});

describe('what isolation costs on the wire', () => {
  const inside = (orm: pg.Pool, work: () => Promise<unknown>, pool: { transaction(fn: () => unknown): unknown }) =>
    pool.transaction(async () => {
      await orm.query('select 0');
      await work();
    }) as Promise<unknown>;

  test('is nothing as long as statements succeed', async ({ database }) => {
    const { pool, cost } = await wiretap(database.connection);
    const orm = pool.asPgPool({ pg });
    const three = async (): Promise<void> => {
      for (const id of [1, 2, 3]) await orm.query('select $1::int', [id]);
    };
    expect(await cost(() => inside(orm, three, pool))).toEqual(trips(5));
  });

  test('leaves no savepoint behind when the next statement runs', async ({ database }) => {
    const { pool, cost, texts } = await wiretap(database.connection);
    const orm = pool.asPgPool({ pg });
    const three = async (): Promise<void> => {
      for (const id of [1, 2, 3]) await orm.query('select $1::int', [id]);
    };
    await cost(() => inside(orm, three, pool));
    const words = texts.map((text) => text.split(' ')[0]).filter((word) => /^(SAVEPOINT|RELEASE)$/.test(word ?? ''));
    expect(words.join(' ')).toBe('SAVEPOINT RELEASE SAVEPOINT RELEASE SAVEPOINT RELEASE SAVEPOINT');
  });

  test('is one round trip for one that fails', async ({ database }) => {
    const { pool, cost, texts } = await wiretap(database.connection);
    const orm = pool.asPgPool({ pg });
    expect(await cost(() => inside(orm, () => errorOf(orm.query('select 1/0')), pool))).toMatchObject({ trips: 4 });
    expect(texts.filter((text) => text.startsWith('ROLLBACK TO'))).toHaveLength(1);
  });

  test('is nothing inside the transaction of the library, which sends no savepoints there', async ({ database }) => {
    const { pool, cost, texts } = await wiretap(database.connection);
    const orm = pool.asPgPool({ pg });
    const work = (): Promise<unknown> =>
      promised(orm, async (client) => {
        for (const id of [1, 2, 3]) await client.query('select $1::int', [id]);
      });
    expect(await cost(() => inside(orm, work, pool))).toEqual(trips(5));
    expect(texts.filter((text) => text.startsWith('SAVEPOINT'))).toHaveLength(2);
  });

  test('is a round trip for each of several in parallel, which travel together where it is off', async ({
    database,
  }) => {
    const { pool, cost } = await wiretap(database.connection);
    const costOf = (orm: pg.Pool) => {
      const five = (): Promise<unknown> => Promise.all([1, 2, 3, 4, 5].map((id) => orm.query('select $1::int', [id])));
      return cost(() => inside(orm, five, pool));
    };
    expect((await costOf(pool.asPgPool({ pg }))).trips).toBe(7);
    expect((await costOf(pool.asPgPool({ pg, isolateStatements: false }))).trips).toBe(3);
  });

  test('is one round trip for a transaction of a library that rolls back', async ({ database }) => {
    const { pool, cost } = await wiretap(database.connection);
    const orm = pool.asPgPool({ pg });
    const work = (): Promise<unknown> =>
      undone((fail) => promised(orm, (client) => client.query('select 1').then(fail)));
    expect((await cost(() => inside(orm, work, pool))).trips).toBe(4);
  });
});
