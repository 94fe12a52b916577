import { type FaultProxy, type PostgresServer, passes, startProxy, startStandby, waitUntil } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test, vi } from '@lifeguard/testkit/vitest';
import { systemClock } from '../../src/clock.ts';
import type { LifeguardPool, PoolOptions } from '../../src/index.ts';
import { accidents, answerOf, errorOf, listen, openPool, outcomesOf, pidOf } from './rig.ts';

describe('a stale idle connection', () => {
  test('is replaced before it is lent when its line is dead', async ({ server }) => {
    const { pool, proxy } = await pooled(server, { max: 1, validateAfterIdleMillis: 1, checkTimeoutMillis: 50 });
    const before = await pidOf(pool);
    await passes(3, 'validateAfterIdleMillis');
    proxy.halfOpen('client');
    const next = await pool.lease();
    expect(await pidOf(next)).not.toBe(before);
    expect(pool.snapshot().closed).toEqual({ 'check-failed': 1 });
    await next.release();
  });

  test('is not checked when it was used just now', async ({ server }) => {
    const { pool, proxy } = await pooled(server, { max: 1, validateAfterIdleMillis: 10_000 });
    await pool.query('select 1');
    proxy.resetCounts();
    for (let round = 0; round < 10; round += 1) await pool.query('select 1');
    expect(proxy.counts().roundTrips).toBe(10);
  });

  test('makes the others suspect', async ({ server }) => {
    const { pool, proxy } = await pooled(server, { min: 4, validateAfterIdleMillis: 1, checkTimeoutMillis: 50 });
    await pool.ready();
    await passes(3, 'validateAfterIdleMillis');
    proxy.halfOpen('client');
    expect(await answerOf<number>(pool, 'select 1')).toBe(1);
    await waitUntil(() => pool.snapshot().closed['check-failed'] === 4, { what: 'all four to be given up' });
    await waitUntil(() => pool.snapshot().idle === 4, { what: 'four new ones', timeoutMillis: 8_000 });
  });

  test('is found by the keepalive where it lies', async ({ server }) => {
    const { pool, proxy } = await pooled(server, { max: 1, keepaliveMillis: 40, checkTimeoutMillis: 50 });
    const before = await pidOf(pool);
    proxy.halfOpen('client');
    await waitUntil(() => pool.snapshot().closed['check-failed'] === 1, { what: 'the keepalive to notice' });
    expect(await pidOf(pool)).not.toBe(before);
    expect(pool.snapshot()).toMatchObject({ size: 1, opened: 2, closed: { 'check-failed': 1 } });
  });

  test('whose check is answered late is not lent', async ({ server }) => {
    const { pool, proxy } = await pooled(server, { max: 1, validateAfterIdleMillis: 1, checkTimeoutMillis: 40 });
    const before = await pidOf(pool);
    await passes(3, 'validateAfterIdleMillis');
    proxy.set({ latencyMillis: 60 });
    const next = pidOf(pool);
    await waitUntil(() => pool.snapshot().closed['check-failed'] === 1, { what: 'the check to fail' });
    proxy.heal();
    expect(await next).not.toBe(before);
  });

  test('is closed at the end of its idle time down to the minimum', async ({ database }) => {
    const pool = openPool(database.connection, { max: 5, min: 2, idleTimeoutMillis: 50 });
    await Promise.all(Array.from({ length: 5 }, () => pool.query('select pg_sleep(0.05)')));
    await waitUntil(() => pool.snapshot().closed.idle === 3, { what: 'three to be closed' });
    await database.waitFor('two are left', (all) => all.length === 2);
    await passes(120, 'the idle time of the two that are left, twice');
    expect(pool.snapshot()).toMatchObject({ size: 2, idle: 2, opened: 5, closed: { idle: 3 } });
  });

  test('is checked before it is lent after the process was asleep', async ({ server }) => {
    const { pool, proxy } = await pooled(server, { max: 1, validateAfterIdleMillis: 0, checkTimeoutMillis: 50 });
    const before = await pidOf(pool);
    proxy.halfOpen('client');
    timePasses(4_500);
    expect(await pidOf(pool)).not.toBe(before);
    expect(pool.snapshot().closed).toEqual({ 'check-failed': 1 });
  });
});

describe('a connection whose time has come', () => {
  test('is replaced between two leases and never during one', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1, maxLifetimeSeconds: 0.1 });
    const lease = await pool.lease();
    const before = await pidOf(lease);
    await lease.query('select pg_sleep(0.25)');
    expect(await pidOf(lease)).toBe(before);
    await lease.release();
    expect(await pidOf(pool)).not.toBe(before);
    await waitUntil(() => pool.snapshot().closed.lifetime === 2, { what: 'the idle one to end as well' });
  });

  test('is replaced after as many leases as it may have', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1, maxUses: 3 });
    const pids: number[] = [];
    for (let round = 0; round < 6; round += 1) pids.push(await pidOf(pool));
    expect(new Set(pids).size).toBe(2);
    expect(pool.snapshot().closed['max-uses']).toBe(2);
  });

  test('is replaced with its whole generation by invalidate()', async ({ database }) => {
    const pool = openPool(database.connection, { max: 2 });
    const [leased, idle] = [await pool.lease(), await pool.lease()];
    const before = [await pidOf(leased), await pidOf(idle)];
    await idle.release();
    pool.invalidate('new credentials');
    expect(await pidOf(leased)).toBe(before[0]);
    await leased.release();
    expect(before).not.toContain(await pidOf(pool));
    expect(pool.snapshot().closed).toEqual({ invalidated: 2 });
  });

  test('goes when the pool is made smaller, and may come when it is made greater', async ({ database }) => {
    const pool = openPool(database.connection, { max: 4 });
    const leases = await Promise.all(Array.from({ length: 4 }, () => pool.lease()));
    pool.resize({ max: 1 });
    for (const lease of leases) await lease.release();
    await database.waitFor('one is left', (all) => all.length === 1);
    pool.resize({ max: 3, min: 3 });
    await database.waitFor('three are there', (all) => all.length === 3);
    expect(pool.snapshot()).toMatchObject({ max: 3, min: 3, closed: { surplus: 3 } });
  });

  test('is waited for while the pool is paused', async ({ database }) => {
    const pool = openPool(database.connection, { max: 2 });
    await using lease = await pool.lease();
    pool.pause();
    const waiting = pool.query('select 1');
    await lease.query('select 1');
    expect(pool.snapshot()).toMatchObject({ state: 'paused', waiting: 1 });
    pool.resume();
    await waiting;
  });
});

describe('a write that is refused because the server only reads', () => {
  const WRITE = 'insert into written values (1)';

  test('retires the generation after a failover, and writes go on', async ({ server }) => {
    const standby = await startStandby(server);
    onTestFinished(() => standby.stop());
    await server.query('create table if not exists written (x int)');
    await standby.replayed();
    const pool = openPool(standby.connection(), { max: 1 });
    const before = await pidOf(pool);
    const invalidated = listen('lifeguard:pool:invalidated', pool);
    expect(await errorOf(pool.query(WRITE))).toMatchObject({ code: '25006' });
    expect(invalidated).toEqual([]);
    timePasses(5_000);
    expect(await errorOf(pool.query(WRITE))).toMatchObject({ code: '25006' });
    expect(invalidated).toMatchObject([{ reason: 'stale' }]);
    await standby.promote();
    await pool.query(WRITE);
    expect(await pidOf(pool)).not.toBe(before);
  });

  test('retires the generation on a lane too, whatever a lease has done there before', async ({ database }) => {
    await database.query(`create or replace function refuses() returns int language plpgsql as $$
      begin raise 'as by a server that has become a standby' using errcode = 'read_only_sql_transaction'; end $$`);
    const pool = openPool(database.connection, { max: 2, closeTimeoutMillis: 100 });
    await pool.query('select 1');
    const late = listen('lifeguard:pool:late-tick', pool);
    timePasses(6_000);
    // A check of what lay idle for so long would hide what the lease has done.
    await waitUntil(() => late.length > 0, { what: 'the tick that looks after the time' });
    const lease = await pool.lease();
    for (const text of ['begin', 'select 1', 'commit']) await lease.query(text);
    await lease.release();
    const invalidated = listen('lifeguard:pool:invalidated', pool);
    expect(await errorOf(pool.query('select refuses()', [], { lane: true }))).toMatchObject({ code: '25006' });
    expect([invalidated, pool.snapshot()]).toMatchObject([[{ reason: 'stale' }], { boarded: 1 }]);
  });

  const WISHES: Readonly<Record<string, (pool: LifeguardPool) => Promise<unknown>>> = {
    'in a transaction that was opened read-only': async (pool) => {
      await using lease = await pool.lease();
      await lease.query('begin read only');
      return await errorOf(lease.query('create table never (x int)'));
    },
    'in a session that was set read-only': async (pool) => {
      await using lease = await pool.lease();
      await lease.query('set default_transaction_read_only = on');
      return await errorOf(lease.query('create table never (x int)'));
    },
    'by one text that opens its own transaction': async (pool) =>
      await errorOf(pool.query('begin read only; create table never (x int)')),
  };

  for (const [where, write] of Object.entries(WISHES)) {
    test(`${where} retires no generation`, async ({ database }) => {
      const pool = openPool(database.connection, { max: 2, logger: { warn: () => undefined } });
      const invalidated = listen('lifeguard:pool:invalidated', pool);
      timePasses(6_000);
      expect(await write(pool)).toMatchObject({ code: '25006' });
      expect(invalidated).toEqual([]);
    });
  }

  test('by the role itself retires nothing', async ({ server }) => {
    await server.query('create role reader login');
    await server.query('alter role reader set default_transaction_read_only = on');
    const pool = openPool({ ...server.connection(), user: 'reader' }, { max: 1 });
    const invalidated = listen('lifeguard:pool:invalidated', pool);
    timePasses(6_000);
    expect(await errorOf(pool.query('create table never (x int)'))).toMatchObject({ code: '25006' });
    expect(invalidated).toEqual([]);
  });
});

describe('a server that cannot be reached', () => {
  const STARTUPS = { lazy: 'lazy', wait: 'wait', fail: 'fail' } as const;

  test('fails at once a pool that is to fail', async ({ server }) => {
    const { pool, proxy } = await pooled(server, { startup: STARTUPS.fail }, 'refusing');
    const error = await errorOf(pool.query('select 1'));
    expect(error).toMatchObject({
      code: 'ERR_LIFEGUARD_UNAVAILABLE',
      cause: { code: 'ECONNREFUSED' },
      statusCode: 503,
    });
    expect(await outcomesOf([pool.ready()])).toEqual(['ERR_LIFEGUARD_UNAVAILABLE']);
    await proxy.accept();
  });

  test('is waited for by a pool that is to wait', async ({ server }) => {
    const limits = { startup: STARTUPS.wait, acquireTimeoutMillis: 8_000 };
    const { pool, proxy } = await pooled(server, limits, 'refusing');
    const calls = [pool.query('select 1'), pool.ready()];
    await waitUntil(() => pool.snapshot().failedDials > 2, { what: 'some dials to fail' });
    await proxy.accept();
    expect(await outcomesOf(calls)).toEqual(['ok', 'ok']);
  });

  test('fails ready() with the figures and the last dial when its time is up', async ({ server }) => {
    const { pool } = await pooled(server, { startup: STARTUPS.wait }, 'refusing');
    const error = await errorOf(pool.ready({ timeoutMillis: 60 }));
    expect(error).toMatchObject({
      ...{ code: 'ERR_LIFEGUARD_UNAVAILABLE', statusCode: 503, retryAfterSeconds: 1 },
      ...{ figures: { max: 10, idle: 0 }, cause: { code: 'ECONNREFUSED' } },
    });
    expect(error.message).toMatch(/not ready within 60 ms; size \d of 10.*ECONNREFUSED/);
  });

  test('fails ready() as given up when its caller leaves', async ({ server }) => {
    const { pool } = await pooled(server, { startup: STARTUPS.wait }, 'refusing');
    const signal = AbortSignal.timeout(20);
    expect(await errorOf(pool.ready({ signal, timeoutMillis: 5_000 }))).toMatchObject({
      code: 'ERR_LIFEGUARD_ABORTED',
      cause: { name: 'TimeoutError' },
    });
  });

  test('breaks the circuit of a lazy pool, which mends it alone', async ({ server }) => {
    const { pool, proxy } = await pooled(server, { startup: STARTUPS.lazy }, 'refusing');
    const breaker = listen('lifeguard:pool:breaker', pool);
    expect(await errorOf(pool.query('select 1'))).toMatchObject({
      code: 'ERR_LIFEGUARD_UNAVAILABLE',
      retryAfterSeconds: 1,
    });
    expect(await outcomesOf([pool.query('select 1')])).toEqual(['ERR_LIFEGUARD_UNAVAILABLE']);
    expect(breaker).toMatchObject([{ state: 'open' }]);
    await proxy.accept();
    await waitUntil(() => pool.snapshot().health !== 'broken', { what: 'the prober to find it' });
    expect(await answerOf<number>(pool, 'select 1')).toBe(1);
    expect(breaker).toMatchObject([{ state: 'open' }, { state: 'closed' }]);
  });

  test('because it is silent costs a dial the connect timeout and no more', async ({ server }) => {
    const limits = { connectionTimeoutMillis: 100, acquireTimeoutMillis: 5_000 };
    const { pool, proxy } = await pooled(server, limits);
    proxy.set({ blackhole: 'both' });
    const failed = listen('lifeguard:pool:dial-failed', pool);
    const error = await errorOf(pool.query('select 1'));
    expect(error).toMatchObject({
      code: 'ERR_LIFEGUARD_UNAVAILABLE',
      cause: { code: 'ERR_LIFEGUARD_CONNECT_TIMEOUT' },
    });
    expect(failed.length).toBeGreaterThan(2);
    expect(pool.snapshot().size).toBeLessThanOrEqual(10);
    proxy.heal();
  });

  test('because it is stopped costs no caller more than its deadline', async ({ server }) => {
    const pool = openPool(server.connection(), { max: 2, closeTimeoutMillis: 50 });
    await pool.query('select 1');
    server.pause();
    onTestFinished(() => server.resume());
    const calls = Array.from({ length: 5 }, () => pool.query('select 1', [], { timeoutMillis: 60 }));
    expect(await outcomesOf(calls)).toEqual(Array(5).fill('ERR_LIFEGUARD_DEADLINE'));
    server.resume();
    expect(await answerOf<number>(pool, 'select 1')).toBe(1);
  });

  test('leaves a dial running whose caller has gone', async ({ server }) => {
    const { pool, proxy } = await pooled(server, {});
    proxy.set({ latencyMillis: 30 });
    expect(await outcomesOf([pool.query('select 1', [], { timeoutMillis: 20 })])).toEqual(['ERR_LIFEGUARD_DEADLINE']);
    await waitUntil(() => pool.snapshot().idle === 1, { what: 'the dial to bring a connection' });
    expect(pool.snapshot()).toMatchObject({ opened: 1, failedDials: 0, size: 1 });
  });

  test('is asked by one prober while traffic goes on', async ({ server }) => {
    const { pool, proxy } = await pooled(server, { max: 10 });
    proxy.refuse();
    const asked: Promise<unknown>[] = [];
    let phase: 'traffic' | 'over' = 'traffic';
    passes(2_500, 'the breaker opens after two seconds of failure').then(() => {
      phase = 'over';
    });
    const ask = (): boolean => {
      asked.push(errorOf(pool.query('select 1', [], { timeoutMillis: 200 })));
      return phase === 'over';
    };
    await waitUntil(ask, { what: 'the traffic', everyMillis: 2 });
    await Promise.all(asked);
    expect(pool.snapshot().failedDials).toBeLessThan(25);
    await proxy.accept();
    await waitUntil(() => pool.snapshot().health !== 'broken', { what: 'the prober to find it' });
    expect(proxy.counts().opened).toBeLessThanOrEqual(2);
  });

  test('for the time of a restart costs waiting and no refusals', async ({ server }) => {
    const seen = accidents();
    const pool = openPool(server.connection(), { max: 5, maxWaiting: 0 });
    await pool.query('select 1');
    await server.halt('immediate');
    const calls = Array.from({ length: 100 }, () => pool.query('select 1'));
    const outcomes = outcomesOf(calls);
    await waitUntil(() => pool.snapshot().failedDials > 2, { what: 'some dials to fail' });
    await server.start();
    expect(new Set(await outcomes)).toEqual(new Set(['ok']));
    expect(pool.snapshot().size).toBeLessThanOrEqual(5);
    expect(seen).toEqual([]);
  });

  test('is not stormed when it is back', async ({ server }) => {
    const { pool, proxy } = await pooled(server, { max: 20 });
    proxy.refuse();
    const calls = Array.from({ length: 100 }, () => pool.query('select pg_sleep(0.02)'));
    const outcomes = outcomesOf(calls);
    await waitUntil(() => pool.snapshot().failedDials > 1, { what: 'some dials to fail' });
    proxy.set({ latencyMillis: 5 });
    await proxy.accept();
    let first = 0;
    await waitUntil(
      () => {
        first = Math.max(first, pool.snapshot().opened < 1 ? pool.snapshot().connecting : 0);
        return pool.snapshot().opened > 0;
      },
      { what: 'the first connection', everyMillis: 1 },
    );
    expect(first).toBeLessThanOrEqual(1);
    expect(new Set(await outcomes)).toEqual(new Set(['ok']));
  });
});

test('a slot whose end was not seen is freed when the server says that it is gone', async ({ server }) => {
  const { pool, proxy } = await pooled(server, { max: 1, closeTimeoutMillis: 60, acquireTimeoutMillis: 10_000 });
  const lease = await pool.lease();
  const before = await pidOf(lease);
  const overdue = listen('lifeguard:pool:overdue', pool);
  proxy.set({ blackhole: 'both' });
  await lease.discard('unfit');
  await waitUntil(() => pool.snapshot().overdue === 1, { what: 'the slot to be overdue' });
  const next = pidOf(pool);
  expect(pool.snapshot()).toMatchObject({ size: 1, waiting: 1 });
  proxy.heal();
  expect(await next).not.toBe(before);
  expect(overdue).toMatchObject([{ reason: 'discarded' }]);
  await waitUntil(async () => !(await server.backends()).some(({ pid }) => pid === before), { what: 'its end' });
});

/** For the pools of this process so much time has passed at once, as in a laptop that was shut. */
function timePasses(millis: number): void {
  const now = systemClock.now.bind(systemClock);
  const spy = vi.spyOn(systemClock, 'now').mockImplementation(() => now() + millis);
  onTestFinished(() => spy.mockRestore());
}

async function pooled(
  server: PostgresServer,
  options: PoolOptions,
  entrance: 'open' | 'refusing' = 'open',
): Promise<{ pool: LifeguardPool; proxy: FaultProxy }> {
  const proxy = await startProxy(server.connection());
  onTestFinished(() => proxy.close());
  if (entrance === 'refusing') proxy.refuse();
  return { pool: openPool(proxy.connection(), { closeTimeoutMillis: 100, ...options }), proxy };
}
