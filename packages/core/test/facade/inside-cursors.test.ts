import { describe, expect, test } from '@lifeguard/testkit/vitest';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import { answerOf, errorOf, pidOf } from '../server/rig.ts';
import { promised } from './inside-library.ts';
import { type Asker, type House, prepared, put, undone } from './inside-rig.ts';

const countOf = (asker: { query(text: string): Promise<unknown> }): Promise<number> =>
  answerOf(asker, 'select count(*)::int from item');

const upTo = (count: number): Cursor<{ x: number }> =>
  new Cursor(`select x from generate_series(1, $1::int) x`, [count]);
const streamTo = (count: number, batchSize = 10): QueryStream =>
  new QueryStream('select x from generate_series(1, $1::int) x', [count], { batchSize });

/** Where a library has its client from: our transaction, or one of its own in that. */
const PLACES = [
  {
    where: 'in a transaction',
    run: (house: House, work: (asker: Asker) => Promise<unknown>) =>
      house.pool.transaction(async () => {
        const client = await house.orm.connect();
        await work(client as unknown as Asker);
        client.release();
      }),
  },
  {
    where: 'in a transaction of the library',
    run: (house: House, work: (asker: Asker) => Promise<unknown>) =>
      house.pool.transaction(() => promised(house.orm, (client) => work(client as unknown as Asker))),
  },
  {
    where: 'in the transaction of a scope with settings',
    run: (house: House, work: (asker: Asker) => Promise<unknown>) =>
      house.pool.scope({ settings: { 'app.name': 'ada' } }, () =>
        promised(house.orm, (client) => work(client as unknown as Asker)),
      ),
  },
];

describe.for(PLACES)('$where, a cursor', ({ run }) => {
  test('is read piece by piece, with other statements in between', async ({ database }) => {
    const house = await prepared(database);
    await run(house, async (client) => {
      const cursor = client.query(upTo(5));
      expect(await cursor.read(2)).toEqual([{ x: 1 }, { x: 2 }]);
      await put(client, 1);
      expect(await cursor.read(2)).toEqual([{ x: 3 }, { x: 4 }]);
      expect(await countOf(client as never)).toBe(1);
      expect(await cursor.read(2)).toEqual([{ x: 5 }]);
      expect(await cursor.read(2)).toEqual([]);
      await cursor.close();
    });
    expect(await house.stored()).toEqual([1]);
  });

  test('may be one of several that are read in turns', async ({ database }) => {
    const house = await prepared(database);
    await run(house, async (client) => {
      const [one, other] = [client.query(upTo(4)), client.query(upTo(3))];
      expect([await one.read(2), await other.read(2)]).toEqual([
        [{ x: 1 }, { x: 2 }],
        [{ x: 1 }, { x: 2 }],
      ]);
      expect(await Promise.all([one.read(9), other.read(9)])).toEqual([[{ x: 3 }, { x: 4 }], [{ x: 3 }]]);
      await Promise.all([one.close(), other.close()]);
    });
  });

  test('is closed early, also before it was read', async ({ database }) => {
    const house = await prepared(database);
    await run(house, async (client) => {
      const cursor = client.query(upTo(100));
      await cursor.read(3);
      await cursor.close();
      expect(await cursor.read(3)).toEqual([]);
      await client.query(upTo(100)).close();
      await put(client, 1);
      expect((await client.query("select name from pg_cursors where name <> ''")).rows).toEqual([]);
    });
    expect(await house.stored()).toEqual([1]);
  });

  test('tells its error, once, and others go on where they may', async ({ database }) => {
    const house = await prepared(database);
    const work = run(house, async (client) => {
      const cursor = client.query(new Cursor('select 1 / (3 - x) from generate_series(1, 5) x'));
      expect(await errorOf(cursor.read(10))).toMatchObject({ code: '22012' });
      expect(await errorOf(cursor.read(10))).toMatchObject({ code: '22012' });
      await cursor.close().catch(() => undefined);
      await client.query('select 1');
      await put(client, 1);
    });
    const outcome = await work.then(
      () => 'ok',
      (error) => error.code,
    );
    expect(outcome).toMatch(/^(ok|25P02|ERR_LIFEGUARD_TRANSACTION_FAILED)$/);
    expect(await house.stored()).toEqual(outcome === 'ok' ? [1] : []);
  });

  test('over a text that the server cannot read tells so', async ({ database }) => {
    const house = await prepared(database);
    await run(house, async (client) => {
      const cursor = client.query(new Cursor('select from nowhere at all'));
      expect(await errorOf(cursor.read(1))).toMatchObject({ code: '42601' });
    }).catch(() => undefined);
    expect(house.pool.snapshot().leased).toBe(0);
  });

  test('gives rows as arrays, and by the types of its own', async ({ database }) => {
    const house = await prepared(database);
    const types = { getTypeParser: () => (text: string) => `<${text}>` };
    await run(house, async (client) => {
      const arrays = client.query(new Cursor('select 1 as a, 2 as a', [], { rowMode: 'array' }));
      expect(await arrays.read(1)).toEqual([[1, 2]]);
      await arrays.close();
      const typed = client.query(new Cursor('select 1 as a', [], { types } as never));
      expect(await typed.read(1)).toEqual([{ a: '<1>' }]);
      await typed.close();
    });
  });

  test('of values is typed as on any connection', async ({ database }) => {
    const house = await prepared(database);
    const text = `select 1::int8 as big, now()::date - now()::date as n, '{"a":1}'::jsonb as j, array[1,2] as l, true as b, null as z`;
    const expected = (await house.orm.query(text)).rows;
    await run(house, async (client) => {
      const cursor = client.query(new Cursor(text));
      expect(await cursor.read(9)).toEqual(expected);
      await cursor.close();
    });
  });
});

describe.for(PLACES)('$where, a stream', ({ run }) => {
  test('gives all its rows, with other statements in between', async ({ database }) => {
    const house = await prepared(database);
    const seen: number[] = [];
    await run(house, async (client) => {
      for await (const { x } of client.query(streamTo(250)) as AsyncIterable<{ x: number }>) {
        seen.push(x);
        if (x % 50 === 0) await put(house.orm, x);
        if (x % 70 === 0) await put(client, x);
      }
    });
    expect(seen).toEqual(Array.from({ length: 250 }, (_, at) => at + 1));
    expect(await house.stored()).toEqual([50, 70, 100, 140, 150, 200, 210, 250]);
  });

  test('is left early, and the transaction goes on', async ({ database }) => {
    const house = await prepared(database);
    await run(house, async (client) => {
      for await (const { x } of client.query(streamTo(100_000)) as AsyncIterable<{ x: number }>) if (x === 15) break;
      await put(client, 1);
      expect((await client.query("select name from pg_cursors where name <> ''")).rows).toEqual([]);
    });
    expect(await house.stored()).toEqual([1]);
  });

  test('may be one of several at the same time', async ({ database }) => {
    const house = await prepared(database);
    await run(house, async (client) => {
      const sum = async (count: number): Promise<number> => {
        let total = 0;
        for await (const { x } of client.query(streamTo(count)) as AsyncIterable<{ x: number }>) total += x;
        return total;
      };
      expect(await Promise.all([sum(30), sum(40), countOf(client as never)])).toEqual([465, 820, 0]);
    });
  });

  test('tells its error to whoever reads it', async ({ database }) => {
    const house = await prepared(database);
    await run(house, async (client) => {
      const stream = client.query(new QueryStream('select 1 / (30 - x) as x from generate_series(1, 50) x', []));
      const read = async (): Promise<void> => {
        for await (const _ of stream);
      };
      expect(await errorOf(read())).toMatchObject({ code: '22012' });
    }).catch(() => undefined);
    expect(house.pool.snapshot().leased).toBe(0);
  });
});

describe('a cursor that is left open', () => {
  test('at the end of the transaction does not keep it from committing', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const client = await orm.connect();
      await client.query(upTo(100)).read(3);
      await put(client, 1);
    });
    expect(await stored()).toEqual([1]);
  });

  test('does not keep it from rolling back', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await undone((fail) =>
      pool.transaction(async () => {
        const client = await orm.connect();
        await put(client, 1);
        await client.query(upTo(100)).read(3);
        fail();
      }),
    );
    expect(await stored()).toEqual([]);
  });

  test('goes with the rollback of the library that opened it, and its reads tell so', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const client = await orm.connect();
      await client.query('BEGIN');
      const cursor = client.query(upTo(100));
      await cursor.read(3);
      await client.query('ROLLBACK');
      expect(await errorOf(cursor.read(3))).toMatchObject({ code: '34000' });
      await put(client, 1);
      client.release();
    });
    expect(await stored()).toEqual([1]);
  });

  test('when its client is given back does not hang what comes next', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const client = await orm.connect();
      const cursor = client.query(upTo(100));
      await cursor.read(3);
      client.release();
      await put(orm, 1);
      expect(await Promise.race([cursor.read(3).then(String, String), put(orm, 2)])).toBeDefined();
    });
    expect(await stored()).toEqual([1, 2]);
  });

  test('outlives the transaction of the library that opened it, as long as that committed', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    await pool.transaction(async () => {
      const client = await orm.connect();
      await client.query('BEGIN');
      const cursor = client.query(upTo(5));
      expect(await cursor.read(2)).toHaveLength(2);
      await client.query('COMMIT');
      const rest = await cursor.read(9).then(
        (rows) => rows.length,
        (error) => error.code,
      );
      expect([3, '34000']).toContain(rest);
      client.release();
    });
  });
});

describe('a cursor of the pool', () => {
  test('belongs to the transaction around it', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async (tx) => {
      await put(orm, 1);
      const cursor = orm.query(new Cursor('select id, pg_backend_pid() as pid from item')) as unknown as Cursor;
      expect(await cursor.read(9)).toEqual([{ id: 1, pid: await pidOf(tx) }]);
      await cursor.close();
    });
    expect(await stored()).toEqual([1]);
  });

  test('as a stream can be read while the pool is asked', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      for await (const { x } of orm.query(streamTo(30)) as unknown as AsyncIterable<{ x: number }>) await put(orm, x);
    });
    expect((await stored()).length).toBe(30);
  });
});
