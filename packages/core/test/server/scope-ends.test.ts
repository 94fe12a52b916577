import { waitUntil } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, Scope } from '../../src/index.ts';
import { answerOf, errorOf, listen, openPool, outcomesOf } from './rig.ts';

/** Something that the test brings about when it wants to. */
function gate(): { readonly passed: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { passed: promise, open: resolve };
}

/** A scope that has ended, in the hands of somebody who has not noticed. */
async function endedScope(pool: LifeguardPool, options = {}): Promise<Scope> {
  return pool.scope(options, (db) => db);
}

function sleeps({ query, state }: { readonly query: string; readonly state: string | null }): boolean {
  return state === 'active' && query.includes('pg_sleep');
}

describe('what comes after the end of a scope', () => {
  test('goes to the pool where the scope was plain, and is told of once', async ({ database }) => {
    const pool = openPool(database.connection);
    const late = listen('lifeguard:statement:late', pool);
    const scope = await endedScope(pool, { name: 'POST /mail' });
    expect([await answerOf(scope, 'select 1'), await answerOf(scope, 'select 2')]).toEqual([1, 2]);
    expect((await scope.batch(['select 3 as n'])).flatMap(({ rows }) => rows)).toEqual([{ n: 3 }]);
    expect(late).toEqual([{ pool: pool.name, name: 'POST /mail' }]);
    expect(await answerOf(await endedScope(pool, { name: 'other' }), 'select 1')).toBe(1);
    expect(late).toHaveLength(2);
  });

  test('reaches the pool through the ambient context just so', async ({ database }) => {
    const pool = openPool(database.connection);
    const late = listen('lifeguard:statement:late', pool);
    const go = gate();
    let straggler: Promise<unknown> = Promise.resolve();
    await pool.scope(() => {
      straggler = go.passed.then(() => answerOf(pool, 'select 5'));
    });
    go.open();
    expect([await straggler, late.length]).toEqual([5, 1]);
  });

  test.for([
    ['had settings', { settings: { 'app.tenant': 'a' } }],
    ['had a role', { role: 'pg_monitor' }],
    ['was read-only', { readOnly: true }],
    ['was pinned', { mode: 'pinned' }],
  ] as const)('is refused where the scope %s', async ([, options], { database }) => {
    const pool = openPool(database.connection);
    const late = listen('lifeguard:statement:late', pool);
    const scope = await endedScope(pool, options);
    const error = await errorOf(scope.query('select 1'));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_SCOPE_ENDED', consequence: 'nothing-sent' });
    expect(await outcomesOf([scope.batch(['select 1'])])).toEqual(['ERR_LIFEGUARD_SCOPE_ENDED']);
    expect([late, pool.snapshot().acquired]).toEqual([[], 0]);
  });

  test('is refused where the scope has had a transaction', async ({ database }) => {
    const pool = openPool(database.connection);
    const scope = await pool.scope(async (db) => {
      await db.transaction((tx) => tx.query('select 1'));
      return db;
    });
    expect(await outcomesOf([scope.query('select 1')])).toEqual(['ERR_LIFEGUARD_SCOPE_ENDED']);
  });

  test('is refused where it would hold a connection: a transaction, a lease', async ({ database }) => {
    const pool = openPool(database.connection);
    const scope = await endedScope(pool);
    const calls = [scope.transaction((tx) => tx.query('select 1')), scope.lease()];
    expect(await outcomesOf(calls)).toEqual(['ERR_LIFEGUARD_SCOPE_ENDED', 'ERR_LIFEGUARD_SCOPE_ENDED']);
    expect(pool.snapshot().acquired).toBe(0);
  });
});

describe('the end of a scope', () => {
  test('rolls back a transaction that is still between two statements', async ({ database }) => {
    await database.query('create table between_two (id int)');
    const pool = openPool(database.connection);
    const written = gate();
    let running: Promise<unknown> = Promise.resolve();
    await pool.scope(async (db) => {
      const work = db.transaction(async (tx) => {
        await tx.query('insert into between_two values (1)');
        written.open();
        await new Promise(() => undefined);
      });
      running = errorOf(work);
      await written.passed;
    });
    expect(await running).toMatchObject({ code: 'ERR_LIFEGUARD_SCOPE_ENDED' });
    expect(await database.query('select from between_two')).toEqual([]);
    await waitUntil(() => pool.snapshot().leased === 0, { what: 'the connection to be back' });
  });

  test('rolls back a transaction whose statement still runs', async ({ database }) => {
    await database.query('create table mid_way (id int)');
    const pool = openPool(database.connection);
    let running: Promise<unknown> = Promise.resolve();
    await pool.scope(async (db) => {
      const work = db.transaction(async (tx) => {
        await tx.query('insert into mid_way values (1)');
        await tx.query('select pg_sleep(0.5)');
      });
      running = errorOf(work);
      await database.waitFor('the statement to run', (all) => all.some(sleeps));
    });
    expect(await running).toMatchObject({ code: expect.stringContaining('ERR_LIFEGUARD_') });
    await waitUntil(() => pool.snapshot().leased === 0, { what: 'the connection to be back' });
    expect(await database.query('select from mid_way')).toEqual([]);
  });

  test('ends a lease that was forgotten in it', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const lease = await pool.scope(async (db) => {
      const forgotten = await db.lease();
      await forgotten.query('select 1');
      return forgotten;
    });
    expect(pool.snapshot().leased).toBe(0);
    expect(await outcomesOf([lease.query('select 1')])).toEqual(['ERR_LIFEGUARD_LEASE_ENDED']);
    expect(await answerOf(pool, 'select 1')).toBe(1);
  });

  test('does not wait for a statement that nobody awaits, nor stop it', async ({ database }) => {
    const pool = openPool(database.connection);
    const lock = await pool.lease();
    await lock.query('select pg_advisory_lock(5)');
    const statement = await pool.scope((db) => ({ answer: answerOf(db, 'select pg_advisory_lock_shared(5), 6') }));
    await lock.release();
    await statement.answer;
    expect(pool.snapshot().leased).toBe(0);
  });

  test('comes to pass in the same way when its function throws', async ({ database }) => {
    const pool = openPool(database.connection, { max: 2 });
    const stray: Promise<unknown>[] = [];
    const thrown = pool.scope(async (db) => {
      await db.lease();
      stray.push(errorOf(db.transaction((tx) => tx.query('select 1').then(() => new Promise(() => undefined)))));
      await db.query('select 1');
      throw new Error('mine');
    });
    expect(await errorOf(thrown)).toMatchObject({ message: 'mine' });
    expect(await Promise.all(stray)).toMatchObject([{ code: 'ERR_LIFEGUARD_SCOPE_ENDED' }]);
    await waitUntil(() => pool.snapshot().leased === 0, { what: 'all connections to be back' });
  });
});
