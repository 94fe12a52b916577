import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import type pg from 'pg';
import Cursor from 'pg-cursor';
import { answerOf, errorOf, outcomesOf } from '../server/rig.ts';
import { openFacade, withClient } from './peers.ts';

/** What the process is warned of, by name and in words: pg says once per process what it will not do any more. */
function warnings(): string[] {
  const heard: string[] = [];
  const listener = ({ name, message }: Error): number => heard.push(`${name}: ${message}`);
  process.on('warning', listener);
  onTestFinished(() => void process.off('warning', listener));
  return heard;
}

/** `count` statements at once on one client; every seventh fails. */
function atOnce(client: pg.PoolClient, count: number): Promise<unknown>[] {
  return Array.from({ length: count }, (_, n) => client.query('select 1 / $1::int as x', [n % 7]));
}

/** The next major version of pg has no queue in its client any more. */
describe('statements of one client take turns', () => {
  test('a hundred at once are answered in order, and pg warns of none', async ({ database }) => {
    const heard = warnings();
    const { pgPool } = openFacade(database.connection, { max: 1 });
    const order: number[] = [];
    const outcomes = await withClient(pgPool, (client) => {
      const asked = atOnce(client, 100);
      for (const [n, one] of asked.entries()) {
        const answered = (): number => order.push(n);
        one.then(answered, answered);
      }
      return outcomesOf(asked);
    });
    expect(outcomes.filter((outcome) => outcome === 'ok')).toHaveLength(85);
    expect(new Set(outcomes)).toEqual(new Set(['22012', 'ok']));
    expect(order).toEqual(order.toSorted((one, other) => one - other));
    expect(heard).toEqual([]);
  });

  test('the next borrower waits until all is done that was asked for before', async ({ database }) => {
    const { pool, pgPool } = openFacade(database.connection, { max: 1 });
    await pgPool.query('create table if not exists turns (x int)');
    const client = await pgPool.connect();
    const asked = Array.from({ length: 20 }, (_, n) => client.query('insert into turns values ($1)', [n]));
    client.release();
    expect(await answerOf(pgPool, 'select count(*)::int from turns')).toBe(20);
    expect(await outcomesOf(asked)).toEqual(Array(20).fill('ok'));
    expect(pool.snapshot()).toMatchObject({ opened: 1, leased: 0 });
  });

  test('what is asked for after it was given back is not sent', async ({ database }) => {
    const { pgPool } = openFacade(database.connection, { max: 1 });
    await pgPool.query('create table if not exists late_turns (x int)');
    const client = await pgPool.connect();
    const before = client.query('insert into late_turns values (1)');
    client.release();
    const late = errorOf(client.query('insert into late_turns values (2)'));
    const called = new Promise((resolve) => client.query('insert into late_turns values (3)', resolve));
    const cursor = client.query(new Cursor('select 1'));
    await before;
    for (const error of [await late, await called, await errorOf(cursor.read(1))])
      expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_LEASE_ENDED', consequence: 'nothing-sent' });
    expect(await answerOf(pgPool, 'select count(*)::int from late_turns')).toBe(1);
  });

  test('a cursor has the client to itself until it is closed, and the others come after', async ({ database }) => {
    const { pgPool } = openFacade(database.connection, { max: 1 });
    const log: string[] = [];
    await withClient(pgPool, async (client) => {
      const before = client.query('select 1').then(() => log.push('before'));
      const cursor = client.query(new Cursor('select generate_series(1, 9)'));
      const after = client.query('select 1').then(() => log.push('after'));
      log.push(`${(await cursor.read(4)).length} rows`, `${(await cursor.read(4)).length} rows`);
      await cursor.close();
      await Promise.all([before, after]);
    });
    expect(log).toEqual(['before', '4 rows', '4 rows', 'after']);
  });

  test('a client that is given back with an open cursor waits for nobody', async ({ database }) => {
    const { pool, pgPool } = openFacade(database.connection, { max: 1 });
    const client = await pgPool.connect();
    const cursor = client.query(new Cursor('select generate_series(1, 100000)'));
    await cursor.read(1);
    client.release();
    expect(await answerOf(pgPool, 'select 7')).toBe(7);
    expect(pool.snapshot().leased).toBe(0);
  });

  test('a client given back in the middle of a statement with an error ends it', async ({ database }) => {
    const { pgPool } = openFacade(database.connection, { max: 1 });
    const client = await pgPool.connect();
    const running = errorOf(client.query('select pg_sleep(30)'));
    await database.waitFor('the sleeper', (all) => all.some(({ state }) => state === 'active'));
    client.release(new Error('unfit'));
    expect(await running).toBeInstanceOf(Error);
    expect(await answerOf(pgPool, 'select 7')).toBe(7);
  });
});

describe('many at once on a small pool', () => {
  test('every caller has its own answer, in whichever form it asked', async ({ database }) => {
    const heard = warnings();
    const { pool, pgPool } = openFacade(database.connection, { max: 3 });
    const asked = Array.from({ length: 120 }, (_, n) => {
      if (n % 3 === 0) return answerOf<number>({ query: () => pgPool.query('select $1::int as n', [n]) }, '');
      if (n % 3 === 1)
        return new Promise((resolve) =>
          pgPool.query('select $1::int as n', [n], (_error, { rows }) => resolve(rows[0].n)),
        );
      return withClient(pgPool, async (client) => (await client.query(`select ${n} as n`)).rows[0].n);
    });
    expect(await Promise.all(asked)).toEqual(Array.from({ length: 120 }, (_, n) => n));
    expect(pool.snapshot().leased).toBe(0);
    expect(pgPool.totalCount).toBeLessThanOrEqual(3);
    expect(heard).toEqual([]);
  });
});
