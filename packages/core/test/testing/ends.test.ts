import { waitUntil } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { outsideSandboxes, type Sandbox, sandbox } from '../../src/testing/index.ts';
import { errorOf, openPool, outcomesOf } from '../server/rig.ts';
import { add, names, openTransactions, shop, stored } from './rig.ts';

describe('the end of a sandbox', () => {
  test('refuses what comes too late, and names the sandbox', async ({ database }) => {
    const pool = await shop(database);
    const late: (() => Promise<unknown>)[] = [];
    await sandbox(pool, { name: 'mine' }, async () => {
      late.push(pool.bind(() => add(pool, 'a')));
      late.push(pool.bind(() => pool.transaction((tx) => add(tx, 'b'))));
      late.push(pool.bind(() => pool.scope((db) => add(db, 'c'))));
      late.push(pool.bind(() => pool.outside(() => pool.batch(["insert into customers values ('d')"]))));
      late.push(pool.bind(() => pool.lease()));
    });
    for (const call of late) {
      const error = await errorOf(call());
      expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_SANDBOX', message: expect.stringMatching(/"mine"/) });
    }
    expect(await stored(database)).toBe(0);
  });

  test('cuts short what runs, and leaves nothing open', async ({ database }) => {
    const pool = await shop(database);
    const db = await sandbox(pool, { name: 'mine' });
    const running = [
      pool.query('select pg_sleep(60)'),
      pool.transaction(async (tx) => {
        await add(tx, 'ada');
        await tx.query('select pg_sleep(60)');
      }),
      add(pool, 'grace'),
    ];
    const outcomes = outcomesOf(running);
    await database.waitFor('the sleep', (backends) => backends.some(({ query }) => query.includes('pg_sleep')));
    await db.end();
    expect((await outcomes).every((outcome) => outcome !== 'ok')).toBe(true);
    await waitUntil(async () => pool.snapshot().leased + pool.snapshot().tending === 0, { what: 'all back' });
    expect(await openTransactions(database)).toBe(0);
    expect(await stored(database)).toBe(0);
  });

  test('comes with the signal of its test, which aborts at a time limit', async ({ database }) => {
    const pool = await shop(database);
    const limit = new AbortController();
    const hangs = sandbox(pool, { signal: limit.signal }, async () => {
      await add(pool, 'ada');
      await pool.query('select pg_sleep(60)');
    });
    const outcome = errorOf(hangs);
    await database.waitFor('the sleep', (backends) => backends.some(({ query }) => query.includes('pg_sleep')));
    limit.abort();
    expect((await outcome)['code']).toMatch(/^ERR_LIFEGUARD_/);
    await waitUntil(async () => pool.snapshot().leased + pool.snapshot().tending === 0, { what: 'all back' });
    expect([await openTransactions(database), await stored(database)]).toEqual([0, 0]);
    const late = sandbox(pool, { signal: limit.signal });
    expect((await errorOf(late))['code']).toBe('ERR_LIFEGUARD_ABORTED');
  });

  test('comes also where the function throws, and lets the error through', async ({ database }) => {
    const pool = await shop(database);
    const failed = sandbox(pool, async () => {
      await add(pool, 'ada');
      throw new Error('assertion');
    });
    await expect(failed).rejects.toThrow('assertion');
    expect([await stored(database), pool.snapshot().leased]).toEqual([0, 0]);
  });

  test('gives back a connection that is as good as new', async ({ database }) => {
    const pool = await shop(database, { max: 1 });
    await sandbox(pool, async () => {
      await pool.query('create temp table scratch (id int)');
      await pool.query("set work_mem = '1MB'");
      await pool.query('select pg_advisory_lock(7)');
    });
    const { rows } = await pool.query(
      "select to_regclass('pg_temp.scratch') is null as gone, current_setting('work_mem') <> '1MB' as reset, (select count(*)::int from pg_locks where locktype = 'advisory') as locks",
    );
    expect(rows).toEqual([{ gone: true, reset: true, locks: 0 }]);
    expect(pool.snapshot().size).toBe(1);
  });

  test('may be asked for twice, and by nobody who waits for it', async ({ database }) => {
    const pool = await shop(database);
    const db = await sandbox(pool);
    const ends = [db.end(), db.end()];
    await Promise.all(ends);
    await db.end();
    expect(pool.snapshot().leased).toBe(0);
  });
});

describe('the connection of a sandbox', () => {
  test('is waited for, and what to do is said where none comes', async ({ database }) => {
    const pool = await shop(database, { max: 1 });
    await sandbox(pool, async () => {
      const second = outsideSandboxes(pool, () => sandbox(pool, { name: 'second', timeoutMillis: 50 }));
      expect(await errorOf(second)).toMatchObject({
        code: 'ERR_LIFEGUARD_DEADLINE',
        message: expect.stringMatching(/"second" got no connection.*"max" must be at least/),
      });
    });
    await sandbox(pool, () => add(pool, 'ada'));
    expect(pool.snapshot().leased).toBe(0);
  });

  test('may be lost, and says so to whoever comes after', async ({ database }) => {
    const pool = await shop(database);
    const db: Sandbox = await sandbox(pool, { name: 'mine' });
    await add(pool, 'ada');
    await database.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
    );
    await errorOf(pool.query('select 1'));
    expect(await errorOf(pool.query('select 1'))).toMatchObject({
      code: 'ERR_LIFEGUARD_SANDBOX',
      message: expect.stringMatching(/the sandbox "mine" is lost/),
    });
    await db.end();
    expect(await stored(database)).toBe(0);
    expect(await outsideSandboxes(pool, () => names(pool))).toEqual([]);
    expect(pool.snapshot().leased).toBe(0);
  });

  test('is none where the pool is closed or the call is wrong', async ({ database }) => {
    const pool = openPool(database.connection);
    const wrong = [
      sandbox(pool, { colour: 'red' } as never),
      sandbox(pool, { isolation: 'none' } as never),
      sandbox({} as never),
      pool.transaction(() => sandbox(pool)),
    ];
    expect(new Set(await outcomesOf(wrong))).toEqual(new Set(['ERR_LIFEGUARD_ARGUMENT']));
    await pool.close();
    expect((await errorOf(sandbox(pool)))['code']).toBe('ERR_LIFEGUARD_POOL_CLOSED');
  });
});
