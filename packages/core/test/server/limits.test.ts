import { missing, type PgBouncerOptions, startPgBouncer } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import type { PoolOptions } from '../../src/index.ts';
import { answerOf, errorOf, listen, Notes, openPool, outcomesOf, pidOf } from './rig.ts';

const LIMITS: PoolOptions = {
  statementTimeoutMillis: 1_234,
  lockTimeoutMillis: 2_345,
  idleInTransactionTimeoutMillis: 3_456,
  clientCheckMillis: 4_567,
  transactionTimeoutMillis: 5_678,
};

const SHOWN: Readonly<Record<string, string>> = {
  statement_timeout: '1234ms',
  lock_timeout: '2345ms',
  idle_in_transaction_session_timeout: '3456ms',
  client_connection_check_interval: '4567ms',
  transaction_timeout: '5678ms',
};

describe('the limits of a direct connection', () => {
  for (const [name, shown] of Object.entries(SHOWN)) {
    test(`are known to the server: ${name}`, async ({ database }) => {
      const pool = openPool(database.connection, { ...LIMITS, max: 1 });
      expect(await answerOf(pool, `show ${name}`)).toBe(shown);
      await pool.query('reset all');
      expect(await answerOf(pool, `show ${name}`)).toBe(shown);
    });
  }

  test('have defaults, and none where they are switched off', async ({ database }) => {
    const defaults = openPool(database.connection);
    expect(await answerOf(defaults, 'show statement_timeout')).toBe('30s');
    expect(await answerOf(defaults, 'show idle_in_transaction_session_timeout')).toBe('1min');
    const off = { statementTimeoutMillis: 0, clientCheckMillis: 0, idleInTransactionTimeoutMillis: 0 };
    const none = openPool(database.connection, off);
    expect(await answerOf(none, 'show statement_timeout')).toBe('0');
    expect(await answerOf(none, 'show client_connection_check_interval')).toBe('0');
  });

  test('are taken in the spelling of pg', async ({ database }) => {
    const pool = openPool(database.connection, { statement_timeout: 1_234 });
    expect(await answerOf(pool, 'show statement_timeout')).toBe('1234ms');
  });

  test('of a connection string win, and nobody is warned of a pooler', async ({ database }) => {
    const logger = new Notes();
    const connectionString = `${database.url}?statement_timeout=1234&options=-c%20work_mem%3D1234kB`;
    const pool = openPool({}, { connectionString, max: 1, transactionTimeoutMillis: 5_678, logger });
    expect(await answerOf(pool, 'show work_mem')).toBe('1234kB');
    expect(await answerOf(pool, 'show statement_timeout')).toBe('1234ms');
    expect(await answerOf(pool, 'show transaction_timeout')).toBe('5678ms');
    expect(logger.codes).toEqual([]);
  });

  test('stand beside the options that the user gives', async ({ database }) => {
    const pool = openPool(database.connection, { ...LIMITS, options: '-c work_mem=1234kB' });
    expect(await answerOf(pool, 'show work_mem')).toBe('1234kB');
    expect(await answerOf(pool, 'show transaction_timeout')).toBe('5678ms');
  });

  test('cost one round trip for the first connection and none for the others', async ({ database }) => {
    const pool = openPool(database.connection, { ...LIMITS, min: 3, logger: new Notes() });
    await pool.ready();
    const asked = await database.backends();
    expect(asked.filter(({ query }) => query.includes('pg_settings'))).toHaveLength(1);
  });

  test('end a statement on the server and keep the connection', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1, statementTimeoutMillis: 30 });
    const before = await pidOf(pool);
    const error = await errorOf(pool.query('select pg_sleep(30)'));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE', statusCode: 504, cause: { code: '57014' } });
    expect(error.message).toContain('30 ms (statement_timeout)');
    expect(await pidOf(pool)).toBe(before);
  });

  test('are not blamed for a statement that somebody else cancels', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1, statementTimeoutMillis: 20_000 });
    const answer = errorOf(pool.query('select pg_sleep(30)'));
    await database.waitFor('it runs', (all) => all.some(({ query }) => query.includes('pg_sleep')));
    await database.query(`select pg_cancel_backend(pid) from pg_stat_activity where query like 'select pg_sleep%'`);
    expect(await answer).toMatchObject({ code: '57014', message: expect.stringContaining('user request') });
  });

  test('are not blamed for a shorter limit of the user', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1, statementTimeoutMillis: 20_000 });
    const lease = await pool.lease();
    await lease.query('set statement_timeout = 20');
    expect(await errorOf(lease.query('select pg_sleep(30)'))).toMatchObject({ code: '57014' });
    await lease.release();
  });

  test('end a transaction that lasts too long, and say so', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1, transactionTimeoutMillis: 50 });
    const lease = await pool.lease();
    await lease.query('begin');
    const error = await errorOf(lease.query('select pg_sleep(30)'));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE', cause: { code: '25P04' } });
    await lease.release();
    expect(await answerOf<number>(pool, 'select 1')).toBe(1);
  });

  test('end a lease that sits in a transaction, and its slot is free again', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1, idleInTransactionTimeoutMillis: 30 });
    const lease = await pool.lease();
    await lease.query('begin');
    await database.waitFor('the session is ended', (all) => all.length === 0);
    const error = await errorOf(lease.query('select 1'));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE', consequence: 'nothing-sent' });
    expect(error.cause).toMatchObject({ code: '25P03' });
    await lease.release();
    expect(await answerOf<number>(pool, 'select 1')).toBe(1);
  });
});

describe('a setting of the user that the server does not know', () => {
  test('fails the login under its own name, and costs none of our limits', async ({ database }) => {
    const logger = new Notes();
    const pool = openPool(database.connection, { ...LIMITS, options: '-c no_such_thing=1', logger });
    const error = await errorOf(pool.query('select 1'));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_REJECTED', cause: { code: '42704' } });
    expect((error.cause as Error).message).toMatch(/no_such_thing/);
    expect(logger.codes).toEqual([]);
  });
});

const withBouncer = test.extend<{ bouncer: (options?: Partial<PgBouncerOptions>) => Promise<object> }>({
  bouncer: async ({ database }, use) => {
    await use(async (options = {}) => {
      const bouncer = await startPgBouncer({ target: database.connection, ...options });
      onTestFinished(() => bouncer?.stop());
      return bouncer?.connection() ?? {};
    });
  },
});

const IGNORING = {
  ignore_startup_parameters:
    'extra_float_digits, options, statement_timeout, lock_timeout, idle_in_transaction_session_timeout',
};

describe.skipIf(missing('pgbouncer'))('behind PgBouncer', () => {
  withBouncer('a pool whose limits are refused goes on without them and says so once', async ({ bouncer }) => {
    const logger = new Notes();
    const pool = openPool(await bouncer(), { min: 3, logger });
    const refused = listen('lifeguard:pool:pooler', pool);
    await pool.ready();
    expect(await answerOf<number>(pool, 'select 1')).toBe(1);
    expect(refused).toMatchObject([{ how: 'refused' }]);
    expect(logger.codes).toEqual(['LIFEGUARD_PARAMETER_REFUSED']);
    expect(pool.snapshot().health).toBe('healthy');
  });

  withBouncer('a pool whose limits are ignored notices and says so once each', async ({ bouncer }) => {
    const logger = new Notes();
    const limits = { statementTimeoutMillis: 1_234, idleInTransactionTimeoutMillis: 0, logger };
    const pool = openPool(await bouncer({ settings: IGNORING }), { min: 3, ...limits });
    await pool.ready();
    expect(logger.lines).toMatchObject([
      { fields: { code: 'LIFEGUARD_PARAMETER_IGNORED', parameter: 'statement_timeout', wanted: 1_234 } },
    ]);
  });

  for (const poolMode of ['session'] as const) {
    withBouncer(`in ${poolMode} mode a pool works, cancels and cleans`, async ({ bouncer }) => {
      const pool = openPool(await bouncer({ poolMode, poolSize: 5 }), { max: 2, logger: new Notes() });
      const calls = Array.from({ length: 10 }, () => pool.query('select 1'));
      expect(new Set(await outcomesOf(calls))).toEqual(new Set(['ok']));
      const error = await errorOf(pool.query('select pg_sleep(30)', [], { timeoutMillis: 50 }));
      expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE' });
      const lease = await pool.lease();
      await lease.query("set app.t = 'a'");
      await lease.release();
      expect(await answerOf<number>(pool, 'select 1')).toBe(1);
      expect(pool.snapshot()).toMatchObject({ leased: 0, waiting: 0 });
    });
  }

  withBouncer("a pool does not end sessions that are the pooler's", async ({ bouncer, database }) => {
    const pool = openPool(await bouncer({ poolSize: 1 }), { max: 1, closeTimeoutMillis: 20, logger: new Notes() });
    await pool.query('select 1');
    const before = await database.backends();
    const lease = await pool.lease();
    await lease.discard('unfit');
    await pool.query('select 1');
    expect(await database.backends()).toMatchObject([{ pid: before[0]?.pid }]);
  });
});
