import { waitUntil } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool } from '../../src/index.ts';
import { answerOf, errorOf, listen, Notes, openPool, outcomesOf, pidOf } from './rig.ts';

/** Takes all connections of a pool; the answer gives them back. */
async function occupy(pool: LifeguardPool, count: number): Promise<() => Promise<void>> {
  const leases = await Promise.all(Array.from({ length: count }, () => pool.outside(() => pool.lease())));
  return async () => void (await Promise.all(leases.map((lease) => lease.release())));
}

describe('a scope', () => {
  test('that never queries takes no connection and asks for none', async ({ database }) => {
    const pool = openPool(database.connection);
    const answer = await pool.scope({ name: 'idle', settings: { 'app.tenant': 'a' } }, async (db) => {
      await db.transaction(() => undefined);
      return db.name;
    });
    expect(answer).toBe('idle');
    expect(pool.snapshot()).toMatchObject({ size: 0, acquired: 0 });
    expect(await database.backends()).toEqual([]);
  });

  test('answers what its function answers, and rejects with what that throws', async ({ database }) => {
    const pool = openPool(database.connection);
    const mistake = new Error('mine');
    expect(await pool.scope(async (db) => answerOf(db, 'select 7'))).toBe(7);
    expect(await errorOf(pool.scope(() => Promise.reject(mistake)))).toBe(mistake);
    const thrown = pool.scope({}, () => {
      throw mistake;
    });
    expect(await errorOf(thrown)).toBe(mistake);
  });

  test('borrows a connection for each statement and keeps none between them', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const between = await pool.scope(async (db) => {
      await db.query('select 1');
      const { leased } = pool.snapshot();
      return [leased, await pool.outside(() => answerOf(pool, 'select 2')), await answerOf(db, 'select 3')];
    });
    expect(between).toEqual([0, 2, 3]);
  });

  test('runs statements, batches, transactions and leases', async ({ database }) => {
    const pool = openPool(database.connection);
    await pool.scope(async (db) => {
      expect((await db.query('select $1::int as n', [1])).rows).toEqual([{ n: 1 }]);
      const batch = await db.batch(['select 1 as n', { text: 'select $1::int as n', values: [2] }]);
      expect(batch.flatMap(({ rows }) => rows)).toEqual([{ n: 1 }, { n: 2 }]);
      expect(await db.batch([])).toEqual([]);
      expect(await db.transaction((tx) => answerOf(tx, 'select 3'))).toBe(3);
      const lease = await db.lease();
      expect(await answerOf(lease, 'select 4')).toBe(4);
    });
    expect(pool.snapshot().leased).toBe(0);
  });

  test('lets what is asked of it in its own transaction be part of that', async ({ database }) => {
    await database.query('create table part (id int)');
    const pool = openPool(database.connection, { max: 1 });
    const outcome = pool.scope((db) =>
      db.transaction(async () => {
        await db.query('insert into part values (1)');
        await db.batch(['insert into part values (2)', 'insert into part values (3)']);
        await db.transaction((joined) => joined.query('insert into part values (4)'));
        expect(await answerOf(db, 'select count(*)::int from part')).toBe(4);
        throw new Error('mine');
      }),
    );
    expect(await errorOf(outcome)).toMatchObject({ message: 'mine' });
    expect(await database.query('select from part')).toEqual([]);
  });

  test('runs its statements side by side on as many connections as there are', async ({ database }) => {
    const pool = openPool(database.connection, { max: 3 });
    await pool.scope(async (db) => {
      const sleepers = Array.from({ length: 3 }, () => db.query('select pg_sleep(30)', [], { timeoutMillis: 10_000 }));
      const outcomes = outcomesOf(sleepers);
      const all = await database.waitFor('three at once', (seen) => seen.filter(sleeps).length === 3);
      for (const { pid } of all) await database.query('select pg_cancel_backend($1)', [pid]);
      expect(await outcomes).toEqual(['57014', '57014', '57014']);
    });
  });

  test('gives its name to its leases, its transactions and the errors about it', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const started = listen('lifeguard:lease:started', pool);
    const transactions = listen('lifeguard:transaction:started', pool);
    const error = await pool.scope({ name: 'GET /users' }, async (db) => {
      await db.query('select 1');
      return db.transaction(async (tx) => {
        await tx.query('select 1');
        return errorOf(pool.outside(() => pool.query('select 1', [], { timeoutMillis: 20 })));
      });
    });
    expect(started.map(({ name }) => name)).toEqual(['GET /users', 'GET /users']);
    expect(transactions.map(({ name }) => name)).toEqual(['GET /users']);
    expect(error).toMatchObject({ figures: { longest: { name: 'GET /users' } } });
  });

  test('refuses options that it does not know, and what is no function', async ({ database }) => {
    const pool = openPool(database.connection);
    const calls = [
      { timeoutMilis: 5 },
      { timeoutMillis: 0 },
      { deadline: 500 },
      { deadline: new Date('nonsense') },
      { readOnly: 1 },
      { mode: 'sticky' },
      { priority: 'urgent' },
      { signal: {} },
    ].map((options) => pool.scope(options as never, () => 1));
    calls.push(pool.scope({}, undefined as never), pool.scope(undefined as never));
    expect(new Set(await outcomesOf(calls))).toEqual(new Set(['ERR_LIFEGUARD_ARGUMENT']));
    expect(pool.snapshot().acquired).toBe(0);
  });
});

function sleeps({ query, state }: { readonly query: string; readonly state: string | null }): boolean {
  return state === 'active' && query.includes('pg_sleep');
}

describe('the standing of a scope in the line', () => {
  test('goes by its priority', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const release = await occupy(pool, 1);
    const log: string[] = [];
    const ask = (name: string, priority: 'high' | 'normal' | 'low'): Promise<unknown> =>
      pool.scope({ name, priority }, (db) => db.query('select 1').then(() => log.push(name)));
    const asked = [ask('third', 'low'), ask('second', 'normal'), ask('first', 'high')];
    await release();
    await Promise.all(asked);
    expect(log).toEqual(['first', 'second', 'third']);
  });

  test('goes ahead of newcomers once it was admitted', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const log: string[] = [];
    await pool.scope(async (db) => {
      await db.query('select 1');
      const release = await occupy(pool, 1);
      const newcomers = ['a', 'b'].map((name) =>
        pool.outside(() => pool.scope((other) => other.query('select 1'))).then(() => log.push(name)),
      );
      const own = db.query('select 1').then(() => log.push('admitted'));
      await release();
      await Promise.all([own, ...newcomers]);
    });
    expect(log).toEqual(['admitted', 'a', 'b']);
  });

  test('is not shed once it was admitted, while newcomers are', async ({ database }) => {
    const overload = { targetWaitMillis: 1, intervalMillis: 1 };
    const pool = openPool(database.connection, { max: 1, overload, logger: new Notes() });
    await pool.scope(async (db) => {
      await db.query('select 1');
      const release = await occupy(pool, 1);
      const newcomers: Promise<unknown>[] = [];
      const isShedding = (): boolean => {
        newcomers.push(outcomesOf([pool.outside(() => pool.scope((other) => other.query('select 1')))]));
        return pool.snapshot().shed > 0;
      };
      await waitUntil(isShedding, { what: 'a newcomer that is turned away' });
      const own = [answerOf(db, 'select 3'), db.transaction((tx) => answerOf(tx, 'select 4'))];
      await release();
      expect(await Promise.all(own)).toEqual([3, 4]);
      expect((await Promise.all(newcomers)).flat()).toContain('ERR_LIFEGUARD_OVERLOADED');
    });
  });

  test('holds a scope to the bulkhead of its group', async ({ database }) => {
    const pool = openPool(database.connection, { max: 3, groups: { reports: { maxConcurrent: 1 } } });
    await pool.scope({ group: 'reports' }, async (db) => {
      const lease = await db.lease();
      const second = db.transaction((tx) => pidOf(tx));
      const other = await pool.scope(({ query }) => typeof query);
      expect(await pool.outside(() => answerOf(pool, 'select 1'))).toBe(1);
      expect([other, pool.snapshot().waiting]).toEqual(['function', 1]);
      const pid = await pidOf(lease);
      await lease.release();
      expect(await second).toBeGreaterThan(0);
      expect(pid).toBeGreaterThan(0);
    });
  });
});
