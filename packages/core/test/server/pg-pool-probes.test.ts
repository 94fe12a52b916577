import { passes, startProxy, waitUntil } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import { accidents, answerOf, errorOf, openPool, outcomesOf, pidOf } from './rig.ts';

/** What pg-pool 3.14 does wrong, one probe each: research/pools.md §0.1. */
describe('where pg-pool goes wrong', () => {
  test('A: a plain SQL error costs no connection', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const pids = new Set<number>();
    for (let round = 0; round < 20; round += 1) {
      expect(await errorOf(pool.query('select 1/0'))).toMatchObject({ code: '22012' });
      pids.add(await pidOf(pool));
    }
    expect(pids.size).toBe(1);
  });

  test('B: a connection that comes back inside a transaction is not lent again', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const lease = await pool.lease();
    await lease.query('begin');
    await lease.query('create temp table probe_b (x int)');
    const before = await pidOf(lease);
    await lease.release();
    expect(await pidOf(pool)).not.toBe(before);
    expect(await answerOf(pool, "select to_regclass('probe_b')")).toBeNull();
    expect(pool.snapshot().closed).toEqual({ 'in-transaction': 1 });
  });

  test('C: a connection that comes back inside a failed transaction is not lent again', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const lease = await pool.lease();
    await lease.query('begin');
    await errorOf(lease.query('select 1/0'));
    await lease.release();
    expect(await answerOf<number>(pool, 'select 1')).toBe(1);
  });

  test('D: after a statement has timed out the next borrower waits for nobody', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1, acquireTimeoutMillis: 600 });
    const lease = await pool.lease();
    const error = await errorOf(lease.query('select pg_sleep(30)', [], { timeoutMillis: 50 }));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE', consequence: 'may-have-run' });
    await lease.release();
    expect(await answerOf<number>(pool, 'select 1')).toBe(1);
  });

  test('E: a statement that is given up is cancelled on the server', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const caller = new AbortController();
    const call = errorOf(pool.query('select pg_sleep(30)', [], { signal: caller.signal }));
    await database.waitFor('the sleeper', (all) => all.some(({ state }) => state === 'active'));
    caller.abort();
    expect(await call).toMatchObject({ code: 'ERR_LIFEGUARD_ABORTED' });
    await database.waitFor('no statement runs', (all) => all.every(({ state }) => state !== 'active'));
    expect(pool.snapshot().cancels).toBe(1);
  });

  test('F: close() settles those who wait', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const lease = await pool.lease();
    const waiters = [pool.query('select 1'), pool.lease(), pool.query('select 1')];
    const closed = pool.close({ graceMillis: 5_000 });
    expect(await outcomesOf(waiters)).toEqual(Array(3).fill('ERR_LIFEGUARD_POOL_CLOSED'));
    await lease.release();
    await closed;
  });

  test('G: close() ends although a lease is never released', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const lease = await pool.lease();
    await pool.close({ graceMillis: 20 });
    expect(await database.backends()).toEqual([]);
    expect(await errorOf(lease.query('select 1'))).toMatchObject({ code: 'ERR_LIFEGUARD_LEASE_ENDED' });
  });

  test('H: what a borrower has set does not reach the next one', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const lease = await pool.lease();
    await lease.query("set app.tenant = 'a'");
    await lease.query('set statement_timeout = 7');
    const before = await pidOf(lease);
    await lease.release();
    expect(await answerOf(pool, "select nullif(current_setting('app.tenant', true), '')")).toBeNull();
    expect(await answerOf(pool, "select current_setting('statement_timeout')")).toBe('30s');
    expect(await pidOf(pool)).toBe(before);
  });

  test('I: nobody waits for ever in front of an exhausted pool', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1, acquireTimeoutMillis: 30 });
    await pool.lease({ name: 'GET /slow' });
    const error = await errorOf(pool.query('select 1'));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_ACQUIRE_TIMEOUT', statusCode: 503, retryable: true });
    expect(error.message).toMatch(/size 1 of 1: 1 leased, 0 idle.*"GET \/slow"/);
    expect(openPool(database.connection).snapshot()).toMatchObject({ max: 10 });
  });

  test('J: the minimum is really opened, and opened again', async ({ database }) => {
    const pool = openPool(database.connection, { min: 5 });
    await pool.ready();
    expect(await database.backends()).toHaveLength(5);
    await database.query('select pg_terminate_backend($1)', [(await database.backends())[0]?.pid]);
    await waitUntil(() => pool.snapshot().closed.lost === 1 && pool.snapshot().idle === 5, { what: 'the fifth again' });
  });

  test('K: half a second of traffic against a server that refuses makes few dials', async ({ database }) => {
    const proxy = await startProxy(database.connection);
    onTestFinished(() => proxy.close());
    const pool = openPool(proxy.connection(), { max: 10 });
    proxy.refuse();
    const asked: Promise<unknown>[] = [];
    let phase: 'traffic' | 'over' = 'traffic';
    passes(500, 'the traffic that the probe of pg-pool had').then(() => {
      phase = 'over';
    });
    await waitUntil(
      () => {
        asked.push(errorOf(pool.query('select 1', [], { timeoutMillis: 100 })));
        return phase === 'over';
      },
      { what: 'half a second of traffic', everyMillis: 1 },
    );
    await Promise.all(asked);
    expect(asked.length).toBeGreaterThan(50);
    expect(pool.snapshot().failedDials).toBeLessThanOrEqual(15);
  });

  test('L: a backend that is terminated while it is lent crashes nothing', async ({ database }) => {
    const seen = accidents();
    const pool = openPool(database.connection, { max: 1 });
    const lease = await pool.lease();
    await database.query('select pg_terminate_backend($1)', [await pidOf(lease)]);
    await database.waitFor('the backend has gone', (all) => all.length === 0);
    const error = await errorOf(lease.query('select 1'));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_CONNECTION_LOST' });
    await lease.release();
    expect(await answerOf<number>(pool, 'select 1')).toBe(1);
    expect(seen).toEqual([]);
  });
});
