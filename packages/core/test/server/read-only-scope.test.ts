import { describe, expect, onTestFinished, test, vi } from '@lifeguard/testkit/vitest';
import { systemClock } from '../../src/clock.ts';
import { answerOf, errorOf, listen, openPool, outcomesOf, pidOf } from './rig.ts';

/** A connection that is as young as the failover is not suspected of it. */
function afterTheFirstSeconds(): void {
  const now = systemClock.now.bind(systemClock);
  const spy = vi.spyOn(systemClock, 'now').mockImplementation(() => now() + 5_000);
  onTestFinished(() => spy.mockRestore());
}

describe('a read-only scope', () => {
  test('has its writes refused by the server, however they are sent', async ({ database }) => {
    await database.query('create table shelf (id int)');
    const pool = openPool(database.connection, { max: 1 });
    const insert = 'insert into shelf values (1)';
    const outcomes = await pool.scope({ readOnly: true }, async (db) => [
      await outcomesOf([db.query(insert)]),
      await outcomesOf([db.transaction((tx) => tx.query(insert))]),
      await outcomesOf([db.query(`select 1; ${insert}`)]),
      (await errorOf(db.batch([insert]))).cause,
    ]);
    expect(outcomes).toMatchObject([['25006'], ['25006'], ['25006'], { code: '25006' }]);
    expect(await database.query('select from shelf')).toEqual([]);
  });

  test('does not make the pool think of a failover when a write was refused', async ({ database }) => {
    await database.query('create table cup (id int)');
    const pool = openPool(database.connection, { max: 1 });
    const invalidated = listen('lifeguard:pool:invalidated', pool);
    const pid = await pidOf(pool);
    afterTheFirstSeconds();
    await pool.scope({ readOnly: true }, async (db) => {
      await outcomesOf([db.query('insert into cup values (1)')]);
      await outcomesOf([db.transaction((tx) => tx.query('insert into cup values (1)'))]);
    });
    expect([await pidOf(pool), invalidated]).toEqual([pid, []]);
    expect(await outcomesOf([pool.query('insert into cup values (1)')])).toEqual(['ok']);
  });

  test('does not hide a failover from the pool where its work may write', async ({ database }) => {
    await database.query('create table jug (id int)');
    const pool = openPool(database.connection, { max: 1 });
    const invalidated = listen('lifeguard:pool:invalidated', pool);
    await pool.query('select 1');
    afterTheFirstSeconds();
    await database.query(`create function refuse() returns trigger language plpgsql as
      $$ begin raise 'read-only' using errcode = '25006'; end $$`);
    await database.query('create trigger refuse before insert on jug for each row execute function refuse()');
    const insert = 'insert into jug values (1)';
    await pool.scope({ timeoutMillis: 20_000 }, (db) => outcomesOf([db.query(insert)]));
    expect(invalidated).toMatchObject([{ reason: 'stale' }]);
  });

  test('refuses a transaction that asks to write', async ({ database }) => {
    const pool = openPool(database.connection);
    await pool.scope({ readOnly: true }, async (db) => {
      const error = await errorOf(db.transaction((tx) => tx.query('select 1'), { readOnly: false }));
      expect(error).toMatchObject({ consequence: 'nothing-sent', code: expect.stringMatching(/^ERR_LIFEGUARD_/) });
      expect(await db.transaction((tx) => answerOf(tx, 'show transaction_read_only'))).toBe('on');
    });
  });

  test('asks again where the connection was lost under a read', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    await pool.scope({ readOnly: true }, async (db) => {
      const answer = db.query<{ pid: number }>('select pg_backend_pid() as pid, pg_sleep(0.3)');
      const killed = await database.waitFor('the read', (all) => all.some(({ state }) => state === 'active'));
      await database.query('select pg_terminate_backend($1)', [killed[0]?.pid]);
      const { rows } = await answer;
      expect(rows[0]?.pid).not.toBe(killed[0]?.pid);
      expect(pool.snapshot().retries).toBe(1);
    });
  });

  test('differs in that from a scope that may write', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const lost = pool.scope((db) => errorOf(db.query('select pg_sleep(30)')));
    const killed = await database.waitFor('the read', (all) => all.some(({ state }) => state === 'active'));
    await database.query('select pg_terminate_backend($1)', [killed[0]?.pid]);
    expect(await lost).toMatchObject({ code: 'ERR_LIFEGUARD_CONNECTION_LOST', consequence: 'may-have-run' });
    expect(pool.snapshot().retries).toBe(0);
  });

  test('leaves no connection read-only behind it', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const show = 'show transaction_read_only';
    const inside = await pool.scope({ readOnly: true }, (db) => answerOf(db, show));
    expect([inside, await answerOf(pool, show)]).toEqual(['on', 'off']);
  });
});
