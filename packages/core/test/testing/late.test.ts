import { type EventEmitter, getEventListeners } from 'node:events';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import QueryStream from 'pg-query-stream';
import type { LifeguardPool } from '../../src/index.ts';
import { outsideSandboxes, sandbox } from '../../src/testing/index.ts';
import { errorOf } from '../server/rig.ts';
import { add, shop, stored } from './rig.ts';

const SLEEP = 'select pg_sleep(60)';

describe('at the end of a sandbox it is told by its name', () => {
  const running: readonly (readonly [string, (pool: LifeguardPool) => Promise<unknown>])[] = [
    ['a statement', (pool) => pool.query(SLEEP)],
    ['several in one text', (pool) => pool.query(`${SLEEP}; select 1`)],
    ['a batch', (pool) => pool.batch(['select 1', SLEEP])],
    ['a transaction', (pool) => pool.transaction((tx) => tx.query(SLEEP))],
    ['a lease', async (pool) => (await pool.lease()).query(SLEEP)],
    ['a library', (pool) => pool.asPgPool({ pg }).query(SLEEP)],
  ];

  test.for(running)('while it runs: %s', async ([, call], { database }) => {
    const pool = await shop(database);
    const db = await sandbox(pool, { name: 'mine' });
    const outcome = errorOf(call(pool));
    await database.waitFor('the sleep', (backends) => backends.some(({ query }) => query.includes('pg_sleep')));
    await db.end();
    const left = "select from pg_stat_activity where state = 'active' and query like 'select pg_sleep%'";
    expect(await database.query(left)).toEqual([]);
    expect(await outcome).toMatchObject({
      code: 'ERR_LIFEGUARD_SANDBOX',
      message: expect.stringMatching(/^The sandbox "mine" ended while the statement ran\./),
      cause: { code: '57014' },
    });
  });

  test('while it waits, or at its next statement', async ({ database }) => {
    const pool = await shop(database, { max: 2 });
    const db = await sandbox(pool, { name: 'mine' });
    const lease = await pool.lease();
    const ended = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const idle = pool.transaction(async (tx) => {
      await add(tx, 'ada');
      begun.resolve();
      await ended.promise;
      await add(tx, 'grace');
    });
    await begun.promise;
    const late = [idle, lease.query('select 1'), pool.query('select 1')].map((one) => errorOf(one));
    await db.end();
    expect(await stored(database)).toBe(0);
    ended.resolve();
    late.push(errorOf(lease.query('select 1')));
    for (const error of await Promise.all(late))
      expect(error).toMatchObject({
        code: 'ERR_LIFEGUARD_SANDBOX',
        message: expect.stringMatching(/"mine" has ended/),
      });
    await lease.release();
    expect(pool.snapshot().leased).toBe(0);
  });
});

describe('an ended sandbox leaves behind', () => {
  test('clients of libraries that look released, and throw at nobody', async ({ database }) => {
    const pool = await shop(database);
    const db = await sandbox(pool, { name: 'mine' });
    const client = (await pool.asPgPool({ pg }).connect()) as pg.PoolClient & { readonly processID: number | null };
    await client.query('begin');
    expect([client.processID, client.getTransactionStatus()]).toEqual([expect.any(Number), 'T']);
    await db.end();
    client.on('notice', () => undefined);
    expect([client.processID, client.getTransactionStatus()]).toEqual([null, null]);
    expect((await errorOf(client.query('select 1')))['code']).toBe('ERR_LIFEGUARD_SANDBOX');
    client.release();
  });

  test('no listener on the signal of its test', async ({ database }) => {
    const pool = await shop(database);
    const { signal } = new AbortController();
    for (const name of ['a', 'b']) await sandbox(pool, { signal }, () => add(pool, name));
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  test('no listener on the client of its connection', async ({ database }) => {
    const pool = await shop(database, { max: 1 });
    const counted = (): Promise<number[]> =>
      outsideSandboxes(pool, async () => {
        await using lease = await pool.lease();
        const { client } = lease as unknown as { readonly client: EventEmitter };
        return ['error', 'notice', 'end'].map((event) => client.listenerCount(event));
      });
    const before = await counted();
    await sandbox(pool, async () => {
      const client = await pool.asPgPool({ pg }).connect();
      client.on('notice', () => undefined);
      await client.query('select 1');
      client.release();
    });
    expect(await counted()).toEqual(before);
  });
});

test('a client in a sandbox hears the notices of its own statements, and of no others', async ({ database }) => {
  const pool = await shop(database);
  await sandbox(pool, async () => {
    const pgPool = pool.asPgPool({ pg });
    const heard: string[] = [];
    for (const name of ['a', 'b']) {
      const client = await pgPool.connect();
      client.on('notice', ({ message }) => heard.push(`${name}: ${message}`));
      await client.query('select 1');
      await client.query(`do $$ begin raise notice 'of ${name}'; end $$`);
      client.release();
    }
    const [one, other] = [await pgPool.connect(), await pgPool.connect()];
    one.on('notice', ({ message }) => heard.push(`one: ${message}`));
    await one.query('select 1');
    await other.query("do $$ begin raise notice 'of the other'; end $$");
    await one.query("do $$ begin raise notice 'of one'; end $$");
    for (const client of [one, other]) client.release();
    expect(heard).toEqual(['a: of a', 'b: of b', 'one: of one']);
  });
});

describe('a sandbox is lost, and nothing runs any more', () => {
  test('with its connection, also for those who wait for a transaction of it', async ({ database }) => {
    const pool = await shop(database);
    const db = await sandbox(pool);
    const lease = await pool.lease();
    await lease.query('begin');
    const waiting = errorOf(add(pool, 'ada'));
    await database.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
    );
    await errorOf(lease.query('select 1'));
    expect(await waiting).toMatchObject({
      code: 'ERR_LIFEGUARD_SANDBOX',
      message: expect.stringMatching(/is lost/),
    });
    await lease.release();
    await db.end();
  });

  test('where a cursor has ended its transaction unseen', async ({ database }) => {
    const pool = await shop(database);
    await sandbox(pool, async () => {
      const client = await pool.asPgPool({ pg }).connect();
      await client.query('begin');
      const stream = client.query(new QueryStream('rollback'));
      await stream.toArray();
      for (const asker of [client, pool]) expect((await errorOf(add(asker, 'ada'))).message).toMatch(/is lost/);
      client.release();
    });
    expect(await stored(database)).toBe(0);
  });

  test('and not where a COMMIT comes as an object that speaks for itself: that is refused', async ({ database }) => {
    const pool = await shop(database);
    await sandbox(pool, async () => {
      await add(pool, 'ada');
      const client = await pool.asPgPool({ pg }).connect();
      const answer = new Promise((resolve) => void client.query(new pg.Query('commit', [], resolve)));
      expect(await answer).toMatchObject({ code: 'ERR_LIFEGUARD_SANDBOX' });
      client.release();
      await add(pool, 'grace');
    });
    expect(await stored(database)).toBe(0);
  });
});
