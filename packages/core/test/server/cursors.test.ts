import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { from, to } from 'pg-copy-streams';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import type { LifeguardPool, Transaction } from '../../src/index.ts';
import { answerOf, errorOf, openPool } from './rig.ts';

/** A pool of one connection, and an empty table. */
async function prepared(database: { readonly connection: object }): Promise<LifeguardPool> {
  const pool = openPool(database.connection, { max: 1 });
  await pool.query('create table if not exists item (id int)');
  await pool.query('truncate item');
  return pool;
}

const countOf = (pool: LifeguardPool): Promise<number> => answerOf<number>(pool, 'select count(*)::int from item');
const put = (tx: Transaction): Promise<unknown> => tx.query('insert into item values (1)');
const MANY = 'select generate_series(1, 100000) as x';

describe('in a transaction', () => {
  test('a cursor is read piece by piece, as its first statement too', async ({ database }) => {
    const pool = await prepared(database);
    const counts = await pool.transaction(async (tx) => {
      const cursor = await tx.query(new Cursor('select generate_series(1, $1::int)', [5]));
      const read = [(await cursor.read(2)).length, (await cursor.read(9)).length];
      await put(tx);
      return [...read, (await tx.query('select * from item')).rowCount];
    });
    expect(counts).toEqual([2, 3, 1]);
    expect(await countOf(pool)).toBe(1);
  });

  test('a cursor sees what the transaction has set', async ({ database }) => {
    const pool = await prepared(database);
    const rows = await pool.transaction(
      async (tx) => (await tx.query(new Cursor("select current_setting('app.tenant') as tenant"))).read(1),
      { settings: { 'app.tenant': 'a' } },
    );
    expect(rows).toEqual([{ tenant: 'a' }]);
  });

  test('a stream of rows is read to its end, or left early', async ({ database }) => {
    const pool = await prepared(database);
    await pool.transaction(async (tx) => {
      const all = await tx.query(new QueryStream('select generate_series(1, 5) as x'));
      const seen: unknown[] = [];
      for await (const row of all) seen.push((row as { x: number }).x);
      expect(seen).toEqual([1, 2, 3, 4, 5]);
      const some = await tx.query(new QueryStream(MANY, [], { batchSize: 10 }));
      for await (const row of some) if ((row as { x: number }).x === 15) break;
      await put(tx);
    });
    expect(await countOf(pool)).toBe(1);
  });

  test('rows are copied in and out, and belong to it', async ({ database }) => {
    const pool = await prepared(database);
    const copied = await pool.transaction(async (tx) => {
      await pipeline(Readable.from(['1\n2\n', '3\n']), await tx.query(from('copy item from stdin')));
      const out = await text(await tx.query(to('copy (select id from item order by id) to stdout')));
      await tx.rollback();
      return out;
    });
    expect(copied).toBe('1\n2\n3\n');
    expect(await countOf(pool)).toBe(0);
    await pool.transaction(async (tx) =>
      pipeline(Readable.from(['7\n']), await tx.query(from('copy item from stdin'))),
    );
    expect(await countOf(pool)).toBe(1);
  });

  test('statements wait until the cursor before them is through', async ({ database }) => {
    const pool = await prepared(database);
    const log: string[] = [];
    await pool.transaction(async (tx) => {
      const stream = await tx.query(new QueryStream('select generate_series(1, 300)', [], { batchSize: 7 }));
      const later = [put(tx), tx.transaction(put), tx.batch(['select 1'])].map((one) =>
        one.then(() => log.push('later')),
      );
      for await (const _ of stream) if (log.at(-1) !== 'rows') log.push('rows');
      await Promise.all(later);
    });
    expect(log).toEqual(['rows', 'later', 'later', 'later']);
  });

  test('two cursors take turns though both were asked for at once', async ({ database }) => {
    const pool = await prepared(database);
    const readAll = async (tx: Transaction, count: number): Promise<number> =>
      (await (await tx.query(new Cursor('select generate_series(1, $1::int)', [count]))).read(99)).length;
    expect(await pool.transaction((tx) => Promise.all([readAll(tx, 3), readAll(tx, 4)]))).toEqual([3, 4]);
  });
});

/** Each is handed over, and then nobody cares for it any more. */
const LEFT_OPEN: readonly (readonly [what: string, open: (tx: Transaction) => Promise<unknown>])[] = [
  ['a cursor that was never read', (tx) => tx.query(new Cursor(MANY))],
  ['a cursor that was read in part', async (tx) => (await tx.query(new Cursor(MANY))).read(3)],
  ['a stream that was never read', (tx) => tx.query(new QueryStream(MANY))],
  ['a COPY TO that was never read', (tx) => tx.query(to(`copy (${MANY}) to stdout`))],
];

describe('left open at the end of a transaction', () => {
  test.for(LEFT_OPEN)('%s does not keep it from rolling back', async ([, open], { database }) => {
    const pool = await prepared(database);
    const work = pool.transaction(async (tx) => {
      await put(tx);
      await open(tx);
      throw new Error('mine');
    });
    expect((await errorOf(work)).message).toBe('mine');
    expect(await countOf(pool)).toBe(0);
    expect(pool.snapshot().leased).toBe(0);
  });

  test.for(LEFT_OPEN)('%s does not keep it from ending by itself', async ([what, open], { database }) => {
    const pool = await prepared(database);
    const work = pool.transaction(async (tx) => {
      await put(tx);
      await open(tx);
    });
    const outcome = await work.then(
      () => 'committed',
      (error: { code: string }) => error.code,
    );
    if (what.includes('COPY')) expect(outcome).toMatch(/^(committed|ERR_LIFEGUARD_\w+)$/);
    else expect(outcome).toBe('committed');
    expect(await countOf(pool)).toBe(outcome === 'committed' ? 1 : 0);
  });

  test.for(LEFT_OPEN)('%s does not keep rollback() waiting', async ([, open], { database }) => {
    const pool = await prepared(database);
    await pool.transaction(async (tx) => {
      await put(tx);
      await open(tx);
      await tx.rollback();
    });
    expect(await countOf(pool)).toBe(0);
  });

  test('a COPY FROM that was never finished makes it fail', async ({ database }) => {
    const pool = await prepared(database);
    const work = pool.transaction(async (tx) => {
      const copy = await tx.query(from('copy item from stdin'));
      copy.on('error', () => undefined);
      copy.write('1\n');
    });
    expect(await errorOf(work)).toMatchObject({ code: 'ERR_LIFEGUARD_ROLLED_BACK', cause: { code: '57014' } });
    expect(await countOf(pool)).toBe(0);
  });

  test('a cursor of a nested one is closed with that', async ({ database }) => {
    const pool = await prepared(database);
    await pool.transaction(async (tx) => {
      await tx.transaction(async (nested) => (await nested.query(new Cursor(MANY))).read(1));
      const thrown = tx.transaction(async (nested) => {
        await put(nested);
        await nested.query(new Cursor(MANY));
        throw new Error('mine');
      });
      await errorOf(thrown);
      await put(tx);
    });
    expect(await countOf(pool)).toBe(1);
  });

  test.for<readonly [when: string, before: string | undefined]>([
    ['as the first statement', undefined],
    ['behind a statement that was not awaited either', 'select 1'],
  ])('a cursor that was not even awaited does no harm %s', async ([, before], { database }) => {
    const pool = await prepared(database);
    const unwatched: Promise<unknown>[] = [];
    await pool.transaction((tx) => {
      if (before !== undefined) unwatched.push(tx.query(before));
      unwatched.push(tx.query(new Cursor(MANY)));
    });
    await Promise.allSettled(unwatched);
    expect(await countOf(pool)).toBe(0);
    expect(pool.snapshot()).toMatchObject({ leased: 0, opened: 1 });
  });
});

describe('a cursor that fails', () => {
  test('tells its reader, and the transaction fails as with any statement', async ({ database }) => {
    const pool = await prepared(database);
    const error = await errorOf(
      pool.transaction(async (tx) => {
        await put(tx);
        const cursor = await tx.query(new Cursor('select 1/0'));
        expect(await errorOf(cursor.read(1))).toMatchObject({ code: '22012' });
        expect(await errorOf(put(tx))).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_FAILED' });
      }),
    );
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_ROLLED_BACK', cause: { code: '22012' } });
    expect(await countOf(pool)).toBe(0);
  });

  test('in a nested one leaves the one around it whole', async ({ database }) => {
    const pool = await prepared(database);
    await pool.transaction(async (tx) => {
      const stream = tx.transaction(async (nested) => text(await nested.query(to('copy (select 1/0) to stdout'))));
      expect(await errorOf(stream)).toMatchObject({ code: '22012' });
      const broken = tx.transaction(async (nested) =>
        pipeline(Readable.from(['no number\n']), await nested.query(from('copy item from stdin'))),
      );
      expect(await errorOf(broken)).toMatchObject({ code: '22P02' });
      await put(tx);
    });
    expect(await countOf(pool)).toBe(1);
  });

  test('is refused where there is no transaction, or none any more', async ({ database }) => {
    const pool = await prepared(database);
    let kept: Transaction | undefined;
    await pool.transaction((tx) => {
      kept = tx;
    });
    const late = (kept as Transaction | undefined)?.query(new Cursor('select 1'));
    expect(await errorOf(late as Promise<unknown>)).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_ENDED' });
    const without = pool.transaction((part) => part.query(new Cursor('select 1')), { propagation: 'never' });
    expect(await errorOf(without)).toMatchObject({ code: 'ERR_LIFEGUARD_PROPAGATION' });
    const bare = pool.query(new Cursor('select 1') as never);
    expect(await errorOf(bare)).toMatchObject({ code: 'ERR_LIFEGUARD_ARGUMENT' });
  });
});
