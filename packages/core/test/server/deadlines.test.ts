import { startProxy, waitUntil } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import type { Scope, Transaction } from '../../src/index.ts';
import { answerOf, errorOf, openPool, outcomesOf, pidOf } from './rig.ts';

const LIMIT = "select setting::int from pg_settings where name = 'statement_timeout'";
const limit = (asker: Pick<Scope, 'query'> | Transaction): Promise<number> => answerOf<number>(asker, LIMIT);
const NEVER: Promise<never> = new Promise(() => undefined);

describe('what the server is told of the time that is left', () => {
  test('is one instant, from the scope to the statement', async ({ database }) => {
    const pool = openPool(database.connection);
    await pool.scope({ timeoutMillis: 20_000 }, async (db) => {
      const inScope = await limit(db);
      const inTransaction = await db.transaction((tx) => limit(tx), { timeoutMillis: 25_000 });
      const inStatement = await db.query<{ setting: number }>(LIMIT, [], { timeoutMillis: 1_000 });
      expect(inScope).toBeLessThanOrEqual(20_000);
      expect(inTransaction).toBeLessThanOrEqual(inScope);
      expect(inStatement.rows[0]?.setting).toBeLessThanOrEqual(1_000);
    });
  });

  test('is told anew when it fell by more than a tenth', async ({ database }) => {
    const pool = openPool(database.connection);
    const [before, after] = await pool.transaction(
      async (tx) => [await limit(tx), await tx.query('select pg_sleep(0.5)').then(() => limit(tx))],
      { timeoutMillis: 4_000 },
    );
    expect(before).toBeLessThanOrEqual(4_000);
    expect(after).toBeLessThanOrEqual((before as number) - 490);
  });

  test('is not told anew for less, which saves the statement', async ({ database }) => {
    const pool = openPool(database.connection);
    const seen = await pool.transaction(async (tx) => [await limit(tx), await limit(tx), await limit(tx)], {
      timeoutMillis: 29_000,
    });
    expect(new Set(seen).size).toBe(1);
  });

  test('is widened again after a statement with less time', async ({ database }) => {
    const pool = openPool(database.connection);
    await pool.transaction(async (tx) => {
      const tight = await tx.query<{ setting: number }>(LIMIT, [], { timeoutMillis: 900 });
      expect(tight.rows[0]?.setting).toBeLessThanOrEqual(900);
      expect(await limit(tx)).toBe(30_000);
    });
    expect(await pool.transaction((tx) => limit(tx), { timeoutMillis: 90_000 })).toBe(30_000);
  });

  test('shrinks in a nested transaction and grows again after it', async ({ database }) => {
    const pool = openPool(database.connection);
    await pool.transaction(
      async (tx) => {
        const inside = await tx.transaction((nested) => limit(nested), { timeoutMillis: 2_000 });
        expect(inside).toBeLessThanOrEqual(2_000);
        expect(await limit(tx)).toBeGreaterThan(2_000);
        expect(await tx.transaction((nested) => limit(nested), { timeoutMillis: 60_000 })).toBeLessThanOrEqual(20_000);
      },
      { timeoutMillis: 20_000 },
    );
  });

  test('is told anew when the server has taken it back with a savepoint', async ({ database }) => {
    const pool = openPool(database.connection);
    await pool.transaction(async (tx) => {
      const tight = { timeoutMillis: 5_000 };
      await tx.query('select 1');
      const nested = tx.transaction((inner) => inner.query('select 1/0'), tight);
      expect(await outcomesOf([nested])).toEqual(['22012']);
      const after = await tx.query<{ setting: number }>(LIMIT, [], tight);
      expect(after.rows[0]?.setting).toBeLessThanOrEqual(5_000);
    });
  });
});

describe('a deadline', () => {
  test.for([
    ['a Date', () => new Date(Date.now() + 20_000)],
    ['a number', () => Date.now() + 20_000],
  ] as const)('may be given as %s', async ([, deadline], { database }) => {
    const pool = openPool(database.connection);
    await pool.scope({ deadline: deadline(), timeoutMillis: 25_000 }, async (db) => {
      expect(await limit(db)).toBeLessThanOrEqual(20_000);
      expect(db.remainingMillis).toBeLessThanOrEqual(20_000);
      expect(db.remainingMillis).toBeGreaterThan(0);
    });
    await pool.scope({ deadline: deadline(), timeoutMillis: 5_000 }, async (db) => {
      expect(await db.transaction((tx) => tx.remainingMillis)).toBeLessThanOrEqual(5_000);
    });
  });

  test('that has passed lets nothing be sent', async ({ database }) => {
    const pool = openPool(database.connection);
    await pool.scope({ deadline: new Date(Date.now() - 1_000) }, async (db) => {
      const calls = [
        db.query('select 1'),
        db.transaction((tx) => tx.query('select 1')),
        db.lease(),
        db.batch(['select 1']),
      ];
      expect(new Set(await outcomesOf(calls))).toEqual(new Set(['ERR_LIFEGUARD_DEADLINE']));
      expect(db.remainingMillis).toBe(0);
      await waitUntil(() => db.signal.aborted, { what: 'the signal' });
    });
  });

  test('is Infinity where there is none, and its signal is quiet', async ({ database }) => {
    const pool = openPool(database.connection);
    await pool.scope(async (db) => {
      expect([db.remainingMillis, db.signal.aborted]).toEqual([Number.POSITIVE_INFINITY, false]);
      await db.transaction((tx) => expect([tx.remainingMillis, tx.signal.aborted]).toEqual([Infinity, false]));
    });
  });

  test('aborts the signal for what is done beside statements', async ({ database }) => {
    const pool = openPool(database.connection);
    const aborted = await pool.scope({ timeoutMillis: 30 }, ({ signal }) => {
      const heard = Promise.withResolvers<unknown>();
      signal.addEventListener('abort', () => heard.resolve(signal.reason));
      return heard.promise;
    });
    expect(aborted).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE' });
  });

  test('leaves the signal of the caller in force', async ({ database }) => {
    const pool = openPool(database.connection);
    const caller = new AbortController();
    await pool.scope({ signal: caller.signal, timeoutMillis: 20_000 }, async (db) => {
      const sleeping = errorOf(db.query('select pg_sleep(30)'));
      await database.waitFor('the sleeper', (all) => all.some(({ state }) => state === 'active'));
      caller.abort(new Error('gone'));
      expect(await sleeping).toMatchObject({ code: 'ERR_LIFEGUARD_ABORTED', cause: { message: 'gone' } });
      expect(db.signal.reason).toMatchObject({ message: 'gone' });
      expect(await outcomesOf([db.query('select 1')])).toEqual(['ERR_LIFEGUARD_ABORTED']);
    });
  });
});

describe('a deadline that passes', () => {
  test('in the line refuses who waits there', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    await using lease = await pool.lease();
    await lease.query('select 1');
    const outcomes = await pool.scope({ timeoutMillis: 40 }, (db) =>
      outcomesOf([db.query('select 1'), db.transaction((tx) => tx.query('select 1')), db.lease()]),
    );
    expect(outcomes).toEqual(Array(3).fill('ERR_LIFEGUARD_DEADLINE'));
    expect(pool.snapshot().waiting).toBe(0);
  });

  test('during a dial refuses the caller, and the dial goes on for others', async ({ database }) => {
    const proxy = await startProxy(database.connection);
    onTestFinished(() => proxy.close());
    proxy.set({ blackhole: 'toServer' });
    const pool = openPool(proxy.connection(), { max: 1 });
    const error = await pool.scope({ timeoutMillis: 40 }, (db) => errorOf(db.query('select 1')));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE', consequence: 'nothing-sent' });
    proxy.heal();
    expect(await answerOf(pool, 'select 1')).toBe(1);
    expect(pool.snapshot().opened).toBe(1);
  });

  test('during a statement is the word of the server, and costs no connection', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const pid = await pidOf(pool);
    const sleep = 'select pg_sleep(30)';
    const errors = await pool.scope({ name: 'slow' }, async (db) => [
      await errorOf(db.query(sleep, [], { timeoutMillis: 30 })),
      await errorOf(db.transaction((tx) => tx.query(sleep), { timeoutMillis: 30 })),
      await errorOf(db.transaction((tx) => tx.query(sleep, [], { timeoutMillis: 30 }))),
    ]);
    for (const error of errors)
      expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE', cause: { code: '57014' } });
    expect([await pidOf(pool), pool.snapshot().size]).toEqual([pid, 1]);
  });

  test('while a lock is waited for is the same', async ({ database }) => {
    await database.query('create table door (id int)');
    const pool = openPool(database.connection, { max: 2 });
    const error = await pool.transaction(async (tx) => {
      await tx.query('lock table door in access exclusive mode');
      return pool.outside(() => errorOf(pool.scope({ timeoutMillis: 40 }, (db) => db.query('select from door'))));
    });
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE', cause: { code: '57014' } });
    expect(pool.snapshot().size).toBe(2);
  });

  test('between two statements gives the connection back while the function still runs', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const pid = await pidOf(pool);
    const ended = errorOf(
      pool.transaction(async (tx) => void (await tx.query('select 1').then(() => NEVER)), { timeoutMillis: 60 }),
    );
    expect(await answerOf(pool, 'select 2')).toBe(2);
    expect(await ended).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE', consequence: 'nothing-sent' });
    expect(await pidOf(pool)).toBe(pid);
  });

  test('is not what a stranger did who cancelled the statement', async ({ database }) => {
    const pool = openPool(database.connection);
    const error = pool.scope({ timeoutMillis: 20_000 }, (db) => errorOf(db.query('select pg_sleep(30)')));
    const [sleeper] = await database.waitFor('the sleeper', (all) => all.some(({ state }) => state === 'active'));
    await database.query('select pg_cancel_backend($1)', [sleeper?.pid]);
    expect((await error).code).toBe('57014');
  });
});

describe('a deadline that the server does not keep', () => {
  test('is kept by the client behind a half-open connection', async ({ database }) => {
    const proxy = await startProxy(database.connection);
    onTestFinished(() => proxy.close());
    const pool = openPool(proxy.connection(), { max: 2, closeTimeoutMillis: 100 });
    await pool.query('select 1');
    proxy.halfOpen('client');
    const error = await pool.scope({ timeoutMillis: 50 }, (db) => errorOf(db.query('select 1')));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE', consequence: 'may-have-run' });
    await waitUntil(async () => (await outcomesOf([pool.query('select 1')]))[0] === 'ok', {
      what: 'the pool to recover',
    });
  });

  test('is kept by the client inside of a transaction too', async ({ database }) => {
    const proxy = await startProxy(database.connection);
    onTestFinished(() => proxy.close());
    const pool = openPool(proxy.connection(), { max: 2, closeTimeoutMillis: 100 });
    const outcome = pool.transaction(
      async (tx) => {
        await tx.query('select 1');
        proxy.halfOpen('client');
        await tx.query('select 2');
      },
      { timeoutMillis: 100, retry: false },
    );
    expect(await errorOf(outcome)).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE' });
    await waitUntil(() => pool.snapshot().leased === 0, { what: 'the lease to end' });
  });
});
