import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type pg from 'pg';
import { from, to } from 'pg-copy-streams';
import Cursor from 'pg-cursor';
import { answerOf, errorOf } from '../server/rig.ts';
import { Grace, IDLE_MILLIS } from './inside-grace.ts';
import { promised } from './inside-library.ts';
import { prepared, put, undone } from './inside-rig.ts';

const countOf = (asker: { query(text: string): Promise<unknown> }): Promise<number> =>
  answerOf(asker, 'select count(*)::int from item');

const inserting = (count: number): Cursor<{ id: number }> =>
  new Cursor('insert into item select generate_series(1, $1::int) returning id', [count]);

/** How a library has its client. */
const WAYS: readonly (readonly [
  where: string,
  run: (orm: pg.Pool, work: (client: pg.PoolClient) => Promise<unknown>) => Promise<unknown>,
])[] = [
  [
    'without a transaction of its own',
    async (orm, work) => {
      const client = await orm.connect();
      await work(client);
      client.release();
    },
  ],
  ['in a transaction of its own', promised],
];

describe.for(WAYS)('a cursor over a statement that writes, %s', ([, run]) => {
  test('is read to its end, and what waits for it goes on then', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(() =>
      run(orm, async (client) => {
        const cursor = client.query(inserting(5));
        const later = client.query('select count(*)::int as n from item');
        expect(await cursor.read(3)).toHaveLength(3);
        expect(await cursor.read(9)).toHaveLength(2);
        await cursor.close();
        expect((await later).rows).toEqual([{ n: 5 }]);
      }),
    );
    expect(await stored()).toEqual([1, 2, 3, 4, 5]);
  });

  test('is closed early, and what waits for it goes on then', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    await pool.transaction(() =>
      run(orm, async (client) => {
        const cursor = client.query(inserting(5));
        await cursor.read(1);
        const later = put(client, 9);
        await cursor.close();
        await later;
      }),
    );
  });

  test('that is left open does not keep the whole from ending', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    await pool.transaction(() =>
      run(orm, async (client) => {
        await client.query(inserting(5)).read(1);
      }),
    );
    expect(pool.snapshot().leased).toBe(0);
  });

  test('that is read while another statement is awaited ends at the deadline at the latest', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const whole = pool.transaction(
      () =>
        run(orm, async (client) => {
          await client.query(inserting(5)).read(1);
          await put(client, 9);
        }),
      { timeoutMillis: 200 },
    );
    expect(await errorOf(whole)).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE' });
    expect(await stored()).toEqual([]);
  });

  test('that keeps a statement waiting, unread, is named by the error of that', async ({ database }) => {
    const time = Grace.held(IDLE_MILLIS);
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(() =>
      run(orm, async (client) => {
        const cursor = client.query(inserting(5));
        await cursor.read(1);
        const waiting = errorOf(put(client, 9));
        await time.passes();
        await time.passes();
        const error = await waiting;
        expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_CURSOR_OPEN', consequence: 'nothing-sent' });
        expect(error.message).toContain('insert into item select generate_series');
        expect(await cursor.read(9)).toHaveLength(4);
        await cursor.close();
      }),
    );
    expect(await stored()).toEqual([1, 2, 3, 4, 5]);
  });

  test('that keeps a statement waiting, and is read meanwhile, is waited for', async ({ database }) => {
    const time = Grace.held(IDLE_MILLIS);
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(() =>
      run(orm, async (client) => {
        const cursor = client.query(inserting(5));
        await cursor.read(1);
        const waiting = put(client, 9);
        await time.passes();
        await cursor.read(1);
        await cursor.close();
        await waiting;
      }),
    );
    expect(await stored()).toContain(9);
  });

  test('tells its error, and the one around it goes on where it may', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async (tx) => {
      const failing = tx.transaction(() =>
        run(orm, async (client) => {
          const cursor = client.query(new Cursor('insert into item values (1), (1) returning id'));
          expect(await errorOf(cursor.read(3))).toMatchObject({ code: '23505' });
        }),
      );
      await failing.catch(() => undefined);
      await put(orm, 2);
    });
    expect(await stored()).toEqual([2]);
  });
});

describe.for(WAYS)('COPY by a library, %s', ([, run]) => {
  test('puts rows in and takes them out, as a part of the whole', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const work = (): Promise<unknown> =>
      run(orm, async (client) => {
        await pipeline(Readable.from(['1\n2\n', '3\n']), client.query(from('copy item from stdin')));
        await put(client, 4);
        expect(await text(client.query(to('copy (select id from item order by id) to stdout')))).toBe('1\n2\n3\n4\n');
        expect(await countOf(client as never)).toBe(4);
      });
    await undone((fail) => pool.transaction(() => work().then(fail)));
    expect(await stored()).toEqual([]);
    await pool.transaction(work);
    expect(await stored()).toEqual([1, 2, 3, 4]);
  });

  test('that fails tells its error, and leaves what is around it whole', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async (tx) => {
      await put(orm, 1);
      const copying = tx.transaction(() =>
        run(orm, (client) => pipeline(Readable.from(['1\n']), client.query(from('copy item from stdin')))),
      );
      expect(await errorOf(copying)).toMatchObject({ code: '23505' });
      await put(orm, 2);
    });
    expect(await stored()).toEqual([1, 2]);
  });

  test('has the turn until it is through, and others wait', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(() =>
      run(orm, async (client) => {
        const copy = client.query(from('copy item from stdin'));
        const later = put(client, 9);
        await pipeline(Readable.from(['1\n', '2\n']), copy);
        await later;
      }),
    );
    expect(await stored()).toEqual([1, 2, 9]);
  });

  test('whose source breaks copies nothing, and does not hang', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    const broken = async function* (): AsyncGenerator<string> {
      yield '1\n';
      throw new Error('broken');
    };
    const whole = pool.transaction(() =>
      run(orm, (client) => pipeline(Readable.from(broken()), client.query(from('copy item from stdin')))),
    );
    expect((await errorOf(whole)).message).toBe('broken');
    expect(await countOf(orm)).toBe(0);
  });
});

describe('COPY by the pool of a library', () => {
  test('is a part of the transaction around it', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await undone((fail) =>
      pool.transaction(async () => {
        await put(orm, 1);
        expect(await text(orm.query(to('copy item to stdout')) as unknown as Readable)).toBe('1\n');
        fail();
      }),
    );
    expect(await stored()).toEqual([]);
  });
});
