import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { sandbox } from '../../src/testing/index.ts';
import { answerOf, errorOf } from '../server/rig.ts';
import { add, names, shop, stored } from './rig.ts';

describe('a lease in a sandbox', () => {
  test('begins and ends transactions by hand, beside statements of the pool', async ({ database }) => {
    const pool = await shop(database);
    await using db = await sandbox(pool);
    await using lease = await pool.lease();
    await add(pool, 'before');
    await lease.query('BEGIN');
    await add(lease, 'ada');
    await lease.query('ROLLBACK');
    await lease.query('begin isolation level read committed');
    await add(lease, 'grace');
    await lease.query('commit');
    await lease.query("begin; insert into customers values ('linus'); commit");
    expect(await names(pool)).toEqual(['before', 'grace', 'linus']);
    expect([db.committed, db.rolledBack]).toEqual([2, 1]);
    expect(await stored(database)).toBe(0);
  });

  test('answers a COMMIT of what has failed with ROLLBACK', async ({ database }) => {
    const pool = await shop(database);
    await using _ = await sandbox(pool);
    await using lease = await pool.lease();
    await lease.query('begin');
    await add(lease, 'ada');
    expect((await errorOf(lease.query('select 1/0')))['code']).toBe('22012');
    expect((await errorOf(lease.query('select 1')))['code']).toBe('25P02');
    expect((await lease.query('commit')).command).toBe('ROLLBACK');
    expect(await names(pool)).toEqual([]);
  });

  test('leaves nothing of its session and of its transaction to others', async ({ database }) => {
    const pool = await shop(database, { max: 1 });
    await sandbox(pool, async () => {
      const lease = await pool.lease();
      await lease.query("set app.tenant = 'a'");
      await lease.query('create temp table scratch (id int)');
      await lease.query('begin');
      await lease.query("set local app.tenant = 'b'");
      await lease.query('commit');
      expect(await answerOf(lease, "select current_setting('app.tenant')")).toBe('a');
      await lease.query('begin');
      await add(lease, 'ada');
      await lease.release();
      expect(await answerOf(pool, "select current_setting('app.tenant', true)")).toBeFalsy();
      expect(await answerOf(pool, "select to_regclass('pg_temp.scratch')")).toBeNull();
      expect(await names(pool)).toEqual([]);
    });
    expect(await answerOf(pool, "select current_setting('app.tenant', true)")).toBeFalsy();
  });
});

test('a role outlasts a transaction in which somebody else was the session', async ({ database }) => {
  const pool = await shop(database);
  await sandbox(pool, async () => {
    await using lease = await pool.lease();
    await lease.query('set role pg_read_all_data');
    const texts = ['set local role pg_monitor', "select set_config('session_authorization', 'pg_monitor', true)"];
    for (const text of ['begin', ...texts, 'commit']) await lease.query(text);
    expect(await answerOf(lease, "select current_setting('role')")).toBe('pg_read_all_data');
  });
});

describe('a scope in a sandbox', () => {
  test('has its settings, and its connection where it is pinned', async ({ database }) => {
    const pool = await shop(database);
    await using _ = await sandbox(pool);
    await pool.scope({ settings: { 'app.tenant': 'a' } }, async (db) => {
      expect(await answerOf(db, "select current_setting('app.tenant')")).toBe('a');
      await add(db, 'ada');
      await db.transaction((tx) => add(tx, 'grace'));
    });
    await pool.scope({ mode: 'pinned' }, async (db) => {
      await db.query("set app.tenant = 'b'");
      expect(await answerOf(db, "select current_setting('app.tenant')")).toBe('b');
    });
    expect(await answerOf(pool, "select current_setting('app.tenant', true)")).toBeFalsy();
    expect(await names(pool)).toEqual(['ada', 'grace']);
    expect(await stored(database)).toBe(0);
  });

  test('stays in its sandbox wherever its handle is used', async ({ database }) => {
    const pool = await shop(database);
    const elsewhere = Promise.withResolvers<() => Promise<unknown>>();
    const used = elsewhere.promise.then((call) => call());
    await sandbox(pool, async () => {
      await pool.scope(async (db) => {
        elsewhere.resolve(() => db.transaction((tx) => add(tx, 'ada')));
        await used;
      });
      expect(await names(pool)).toEqual(['ada']);
    });
    expect(await stored(database)).toBe(0);
  });
});
