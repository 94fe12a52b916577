import { passes, waitUntil } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool } from '../../src/index.ts';
import { answerOf, errorOf, listen, Notes, openPool, outcomesOf, pidOf } from './rig.ts';

describe('a lease', () => {
  test('lets its statements take turns', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    await using lease = await pool.lease();
    const log: string[] = [];
    const run = async (name: string, text: string): Promise<void> => {
      await lease.query(text).catch(() => log.push(`${name} failed`));
      log.push(name);
    };
    await Promise.all([run('1', 'select pg_sleep(0.03)'), run('2', 'select 1/0'), run('3', 'select 1')]);
    expect(log).toEqual(['1', '2 failed', '2', '3']);
  });

  test('that is released twice is given back once', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const lease = await pool.lease();
    await Promise.all([lease.release(), lease.release()]);
    const next = await pool.lease();
    await lease.release();
    await lease.discard('late');
    expect(pool.snapshot()).toMatchObject({ leased: 1, idle: 0 });
    expect(await answerOf<number>(next, 'select 1')).toBe(1);
  });

  test('answers nothing more after its end', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const lease = await pool.lease();
    await lease.release();
    const error = await errorOf(lease.query('create table late (x int)'));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_LEASE_ENDED', consequence: 'nothing-sent', retryable: false });
    expect(lease.ended).toBe(true);
    expect(await answerOf(pool, "select to_regclass('late')")).toBeNull();
  });

  test('ends its running statement and those behind it with its release', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const lease = await pool.lease();
    const running = errorOf(lease.query('select pg_sleep(30)'));
    const queued = [errorOf(lease.query('create table queued (x int)')), errorOf(lease.query('select 2'))];
    await lease.release();
    expect(await running).toMatchObject({ code: 'ERR_LIFEGUARD_LEASE_ENDED', consequence: 'may-have-run' });
    for (const error of await Promise.all(queued)) {
      expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_LEASE_ENDED', consequence: 'nothing-sent' });
    }
    expect(await answerOf(pool, "select to_regclass('queued')")).toBeNull();
  });

  test('survives a statement that is given up before its turn', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    await using lease = await pool.lease();
    const running = lease.query('select pg_sleep(0.1)');
    const queued = errorOf(lease.query('create table patient (x int)', [], { timeoutMillis: 10 }));
    expect(await queued).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE', consequence: 'nothing-sent' });
    await running;
    expect(await answerOf(lease, "select to_regclass('patient')")).toBeNull();
  });

  test('ends when its running statement is given up', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const lease = await pool.lease();
    const error = await errorOf(lease.query('select pg_sleep(30)', [], { timeoutMillis: 20 }));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE', consequence: 'may-have-run', statusCode: 504 });
    expect(await errorOf(lease.query('select 1'))).toMatchObject({ code: 'ERR_LIFEGUARD_LEASE_ENDED' });
    expect(await answerOf<number>(pool, 'select 1')).toBe(1);
  });

  test('ends by itself with its block, also when that throws', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const handler = async (): Promise<void> => {
      await using lease = await pool.lease();
      await lease.query('begin');
      throw new Error('the handler broke');
    };
    expect(await errorOf(handler())).toMatchObject({ message: 'the handler broke' });
    expect(await answerOf<number>(pool, 'select 1')).toBe(1);
    expect(pool.snapshot().closed).toEqual({ 'in-transaction': 1 });
  });

  test('that is discarded is closed and replaced', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const lease = await pool.lease();
    const before = await pidOf(lease);
    await lease.discard('unfit');
    const error = await errorOf(lease.query('select 1'));
    expect(error.message).toMatch(/discarded \(unfit\)/);
    expect(await pidOf(pool)).not.toBe(before);
    expect(pool.snapshot().closed).toEqual({ discarded: 1 });
  });

  test('that nobody can reach any more is taken back', async ({ database }) => {
    const logger = new Notes();
    const pool = openPool(database.connection, { max: 1, logger });
    await forget(pool, 'GET /forgetful');
    await waitUntil(
      () => {
        globalThis.gc?.();
        return pool.snapshot().closed.collected === 1;
      },
      { what: 'the lease to be collected' },
    );
    expect(logger.codes).toEqual(['LIFEGUARD_LEASE_COLLECTED']);
    expect(logger.lines[0]).toMatchObject({ fields: { name: 'GET /forgetful', heldMillis: expect.any(Number) } });
    expect(logger.lines[0]?.message).toMatch(/"GET \/forgetful" was never released.*taken at\n.*leases\.test\.ts/s);
    expect(await answerOf<number>(pool, 'select 1')).toBe(1);
  });

  test('is found in the accounts under its name, also while it is held', async ({ database }) => {
    const pool = openPool(database.connection, { max: 2 });
    const held = await pool.lease({ name: 'GET /a' });
    const done = await pool.lease({ name: 'GET /b' });
    await done.query('select pg_sleep(0.05)');
    await done.release();
    const { held: accounts } = pool.snapshot();
    expect(accounts['GET /a']).toMatchObject({ leases: 1 });
    expect(accounts['GET /a']?.silentMillis).toBe(accounts['GET /a']?.heldMillis);
    const b = accounts['GET /b'] as { leases: number; heldMillis: number; silentMillis: number };
    expect(b.silentMillis).toBeLessThan(b.heldMillis - 40);
    await held.release();
    expect(Object.keys(pool.snapshot().held)).toEqual(['GET /b', 'GET /a']);
  });
});

describe('a lease that leaks', () => {
  const LIMITS = { max: 2, leakAfterMillis: 30, keepaliveMillis: 100 };

  test('is reported once with its last statement and where it was taken', async ({ database }) => {
    const logger = new Notes();
    const pool = openPool(database.connection, { ...LIMITS, logger });
    const leaks = listen('lifeguard:lease:leaked', pool);
    const lease = await pool.lease({ name: 'GET /leaky' });
    await lease.query('select 42 as answer');
    await waitUntil(() => leaks.length > 0, { what: 'the report' });
    expect(leaks[0]).toMatchObject({ name: 'GET /leaky', lastStatement: 'select 42 as answer' });
    expect(leaks[0]?.stack).toMatch(/leases\.test\.ts/);
    await passes(120, 'more ticks of the upkeep, none of which may report it again');
    expect([leaks.length, logger.codes]).toEqual([1, ['LIFEGUARD_LEASE_LEAKED']]);
  });

  test('is said to have come back after all', async ({ database }) => {
    const logger = new Notes();
    const pool = openPool(database.connection, { ...LIMITS, logger });
    const returned = listen('lifeguard:lease:returned', pool);
    const lease = await pool.lease({ name: 'GET /slow' });
    await waitUntil(() => logger.lines.length > 0, { what: 'the report' });
    await lease.release();
    expect(logger.codes).toEqual(['LIFEGUARD_LEASE_LEAKED', 'LIFEGUARD_LEASE_RETURNED']);
    expect(returned).toMatchObject([{ name: 'GET /slow' }]);
    expect(returned[0]?.heldMillis).toBeGreaterThanOrEqual(30);
  });

  test('is always traced when its name has leaked before', async ({ database }) => {
    const pool = openPool(database.connection, { ...LIMITS, logger: new Notes() });
    const leaks = listen('lifeguard:lease:leaked', pool);
    await (await pool.lease({ name: 'first' })).release();
    const untraced = await pool.lease({ name: 'again' });
    await waitUntil(() => leaks.length === 1, { what: 'the first report' });
    await untraced.release();
    await using _traced = await pool.lease({ name: 'again' });
    await waitUntil(() => leaks.length === 2, { what: 'the second report' });
    expect(leaks.map(({ stack }) => stack?.includes('leases.test.ts'))).toEqual([undefined, true]);
  });

  test('is taken back at the hard limit, and its connection closed', async ({ database }) => {
    const logger = new Notes();
    const pool = openPool(database.connection, { ...LIMITS, max: 1, reclaimAfterMillis: 60, logger });
    const lease = await pool.lease({ name: 'GET /leaky' });
    const before = await pidOf(lease);
    expect(await pidOf(pool)).not.toBe(before);
    expect(lease.ended).toBe(true);
    expect(await outcomesOf([lease.query('select 1')])).toEqual(['ERR_LIFEGUARD_LEASE_ENDED']);
    expect(logger.codes).toContain('LIFEGUARD_LEASE_RECLAIMED');
    expect(logger.codes).not.toContain('LIFEGUARD_LEASE_RETURNED');
    await lease.release();
    expect(pool.snapshot()).toMatchObject({ size: 1, idle: 1, closed: { reclaimed: 1 } });
  });

  test('is not one while a single statement takes its time', async ({ database }) => {
    const logger = new Notes();
    const pool = openPool(database.connection, { ...LIMITS, logger });
    await pool.query('select pg_sleep(0.2)');
    expect(logger.codes).toEqual([]);
  });
});

async function forget(pool: LifeguardPool, name: string): Promise<void> {
  const lease = await pool.lease({ name });
  await lease.query('select 1');
}
