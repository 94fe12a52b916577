import { startProxy, waitUntil } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, Scope } from '../../src/index.ts';
import { answerOf, errorOf, listen, openPool, outcomesOf, pidOf } from './rig.ts';

function pinned<T>(pool: LifeguardPool, fn: (db: Scope) => T | Promise<T>, options = {}): Promise<T> {
  return pool.scope({ mode: 'pinned', ...options }, fn);
}

describe('a pinned scope', () => {
  test('runs all that it does on one backend, by one lease', async ({ database }) => {
    const pool = openPool(database.connection, { max: 3 });
    const started = listen('lifeguard:lease:started', pool);
    const pids = await pinned(pool, async (db) => {
      const own = [await pidOf(db), await db.transaction((tx) => pidOf(tx)), await pidOf(pool)];
      const [batch] = await db.batch<[{ pid: number }[]]>(['select pg_backend_pid() as pid'] as never);
      const beside = await Promise.all([pidOf(db), pidOf(db), db.transaction((tx) => pidOf(tx))]);
      return [...own, (batch as unknown as { rows: { pid: number }[] }).rows[0]?.pid, ...beside];
    });
    expect(new Set(pids).size).toBe(1);
    expect(started).toHaveLength(1);
    expect(pool.snapshot()).toMatchObject({ leased: 0, acquired: 1 });
  });

  test('takes its connection with the first statement, and keeps it to its end', async ({ database }) => {
    const pool = openPool(database.connection, { max: 2 });
    const leased = await pinned(pool, async (db) => {
      const before = pool.snapshot().leased;
      await db.query('select 1');
      return [before, pool.snapshot().leased];
    });
    expect([...leased, pool.snapshot().leased]).toEqual([0, 1, 0]);
    await pinned(pool, () => undefined);
    expect(pool.snapshot().acquired).toBe(1);
  });

  test('lets what is asked side by side take turns', async ({ database }) => {
    const pool = openPool(database.connection);
    const log: string[] = [];
    await pinned(pool, async (db) => {
      const first = db.transaction(async (tx) => {
        await tx.query('select pg_sleep(0.02)');
        log.push('first statement');
        await tx.query('select pg_sleep(0.02)');
        log.push('second statement');
      });
      const beside = db.query('select 1').then(() => log.push('beside'));
      const second = db.transaction((tx) => tx.query('select 1')).then(() => log.push('second transaction'));
      await Promise.all([first, beside, second]);
    });
    expect(log).toEqual(['first statement', 'second statement', 'beside', 'second transaction']);
  });

  test('keeps a session while it lasts, and leaves nothing of it to others', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const inside = await pinned(pool, async (db) => {
      await db.query("set app.mood = 'blue'");
      await db.query('create temp table scratch (id int)');
      return answerOf(db, "select current_setting('app.mood') || count(*) from scratch");
    });
    const outside =
      "select coalesce(nullif(current_setting('app.mood', true), ''), 'none') || coalesce(to_regclass('scratch')::text, '')";
    expect([inside, await answerOf(pool, outside)]).toEqual(['blue0', 'none']);
  });

  test('sets its settings and its role for each statement anew, never for the session', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const statement = "select current_setting('app.tenant', true) || current_user";
    await pinned(
      pool,
      async (db) => {
        expect(await answerOf(db, statement)).toBe('apg_monitor');
        expect(await db.transaction((tx) => answerOf(tx, statement))).toBe('apg_monitor');
        expect(await answerOf(db, statement)).toBe('apg_monitor');
      },
      { settings: { 'app.tenant': 'a' }, role: 'pg_monitor' },
    );
    expect(await answerOf(pool, statement)).toBe(database.connection.user);
  });

  test('goes on after a statement that failed, and after a transaction that rolled back', async ({ database }) => {
    const pool = openPool(database.connection);
    await pinned(pool, async (db) => {
      const pid = await pidOf(db);
      expect(await outcomesOf([db.query('select 1/0')])).toEqual(['22012']);
      expect(await outcomesOf([db.transaction((tx) => tx.query('select 1/0'))])).toEqual(['22012']);
      expect(await pidOf(db)).toBe(pid);
    });
  });

  test('tries a transaction again on the same backend', async ({ database }) => {
    const pool = openPool(database.connection);
    const pids = await pinned(pool, async (db) => {
      const seen = [await pidOf(db)];
      const conflict = "do $$ begin raise exception 'x' using errcode = '40001'; end $$";
      await db.transaction(async (tx) => {
        seen.push(await pidOf(tx));
        if (tx.attempt < 3) await tx.query(conflict);
      });
      return seen;
    });
    expect([pids.length, new Set(pids).size]).toEqual([4, 1]);
  });
});

describe('a pinned scope whose connection is lost', () => {
  test('says so, refuses what follows, and never goes to another session', async ({ database }) => {
    const pool = openPool(database.connection);
    await pinned(pool, async (db) => {
      const pid = await pidOf(db);
      const outcome = errorOf(db.query('select pg_sleep(30)'));
      await database.waitFor('the sleeper', (all) => all.some((one) => one.pid === pid && one.state === 'active'));
      await database.query('select pg_terminate_backend($1)', [pid]);
      expect(await outcome).toMatchObject({ code: expect.stringMatching(/CONNECTION_LOST|57P01/) });
      const next = [db.query('select 1'), db.transaction((tx) => tx.query('select 1'))];
      expect(new Set(await outcomesOf(next))).toEqual(new Set(['ERR_LIFEGUARD_LEASE_ENDED']));
    });
    expect(pool.snapshot().leased).toBe(0);
  });

  test('hears of a loss between two statements from the next one', async ({ database }) => {
    const pool = openPool(database.connection);
    await pinned(pool, async (db) => {
      await database.query('select pg_terminate_backend($1)', [await pidOf(db)]);
      await database.waitFor('the backend to be gone', (all) => all.length === 0);
      const error = await errorOf(db.query('select 1'));
      expect(error).toMatchObject({ consequence: 'nothing-sent' });
      expect(await outcomesOf([db.query('select 1')])).not.toEqual(['ok']);
    });
    expect(await answerOf(pool, 'select 1')).toBe(1);
  });

  test('gives the connection up with a statement that was given up', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    await pinned(pool, async (db) => {
      await db.query('select 1');
      const caller = new AbortController();
      const given = outcomesOf([db.query('select pg_sleep(30)', [], { signal: caller.signal })]);
      await database.waitFor('the sleeper', (all) => all.some(({ state }) => state === 'active'));
      caller.abort();
      expect(await given).toEqual(['ERR_LIFEGUARD_ABORTED']);
      expect(await outcomesOf([db.query('select 1')])).toEqual(['ERR_LIFEGUARD_LEASE_ENDED']);
    });
    expect(await answerOf(pool, 'select 1')).toBe(1);
  });

  test('stands still behind a dead network for no longer than its deadline', async ({ database }) => {
    const proxy = await startProxy(database.connection);
    onTestFinished(() => proxy.close());
    const pool = openPool(proxy.connection(), { closeTimeoutMillis: 100 });
    const inside = pinned(
      pool,
      async (db) => {
        await db.query('select 1');
        proxy.set({ blackhole: 'both' });
        return outcomesOf([db.query('select 2')]);
      },
      { timeoutMillis: 300 },
    );
    expect(await inside).toEqual(['ERR_LIFEGUARD_DEADLINE']);
    await waitUntil(() => pool.snapshot().leased === 0, { what: 'the lease to end' });
  });

  test('keeps its place in the line of its own scope while others wait for its turn', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    await pinned(pool, async (db) => {
      await db.query('select 1');
      const other = pool.outside(() => answerOf(pool, 'select 2'));
      expect(await answerOf(db, 'select 3')).toBe(3);
      expect(pool.snapshot().waiting).toBe(1);
      return { other };
    }).then(async ({ other }) => expect(await other).toBe(2));
  });
});
