import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, Transaction, TransactionOptions } from '../../src/index.ts';
import { answerOf, errorOf, listen, openPool } from './rig.ts';

/** A statement that fails with this code. */
const raising = (code: string): string => `do $$ begin raise exception using errcode = '${code}'; end $$`;

const NO_PAUSE = { baseMillis: 0, maxMillis: 0 };

/** How often a transaction was tried that fails with a code each time, and what it rejected with. */
async function attemptsOf(
  pool: LifeguardPool,
  code: string,
  options: TransactionOptions,
): Promise<readonly [attempts: number, error: unknown]> {
  let attempts = 0;
  const error = await errorOf(
    pool.transaction(async (tx) => {
      attempts += 1;
      expect(tx.attempt).toBe(attempts);
      await tx.query('select 1');
      await tx.query(raising(code));
    }, options),
  );
  expect(pool.snapshot().leased).toBe(0);
  return [attempts, error['code']];
}

/** One that fails twice in this way, and then succeeds: which attempt it was. */
async function thirdTime(pool: LifeguardPool, fail: (tx: Transaction) => Promise<unknown>): Promise<number> {
  return await pool.transaction(async (tx) => {
    await tx.query('select 1');
    if (tx.attempt < 3) await fail(tx);
    return tx.attempt;
  });
}

describe('a transaction is tried again', () => {
  test.for(['40001', '40P01'])('after %s, until it succeeds', async (code, { database }) => {
    const pool = openPool(database.connection);
    const retries = listen('lifeguard:transaction:retry', pool);
    expect(await thirdTime(pool, (tx) => tx.query(raising(code)))).toBe(3);
    const { name } = pool;
    expect(retries).toEqual(
      [1, 2].map((attempt) => ({ pool: name, name: 'transaction', attempt, code, delayMillis: expect.any(Number) })),
    );
    expect(retries.every(({ delayMillis }, at) => delayMillis >= 0 && delayMillis <= 10 * 2 ** at)).toBe(true);
    expect(pool.snapshot()).toMatchObject({ retries: 2, commits: { committed: 1 } });
  });

  test('though the error was caught, or became another one', async ({ database }) => {
    const pool = openPool(database.connection);
    expect(await thirdTime(pool, (tx) => errorOf(tx.query(raising('40001'))))).toBe(3);
    const renaming = (tx: Transaction): Promise<unknown> =>
      tx.query(raising('40001')).catch((cause) => Promise.reject(new Error('mine', { cause })));
    expect(await thirdTime(pool, renaming)).toBe(3);
    const wrapped = (tx: Transaction): Promise<unknown> => tx.batch(['select 1', raising('40P01')]);
    expect(await thirdTime(pool, wrapped)).toBe(3);
  });

  test('where COMMIT says so, alone or with the last statement', async ({ database }) => {
    const pool = openPool(database.connection);
    await pool.query(`create table late (x int);
      create function refuse() returns trigger language plpgsql as $$
        begin if new.x < 3 then raise exception using errcode = '40001'; end if; return null; end $$;
      create constraint trigger refuse after insert on late deferrable initially deferred
        for each row execute function refuse()`);
    const insert = (tx: Transaction): [string, number[]] => ['insert into late values ($1)', [tx.attempt]];
    await pool.transaction((tx) => tx.query(...insert(tx)));
    await pool.transaction((tx) => tx.last(...insert(tx)));
    expect(await answerOf(pool, "select string_agg(x::text, ' ') from late")).toBe('3 3');
    expect(pool.snapshot()).toMatchObject({ retries: 4, commits: { committed: 2, notCommitted: 4, unknown: 0 } });
  });

  test('after a real conflict of two who wrote what the other had read', async ({ database }) => {
    const pool = openPool(database.connection);
    await pool.query('create table pair (x int)');
    const met = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const one = (me: number): Promise<number> =>
      pool.transaction(
        async (tx) => {
          await tx.query('select count(*) from pair');
          met[me]?.resolve();
          await met[1 - me]?.promise;
          await tx.query('insert into pair values ($1)', [me]);
          return tx.attempt;
        },
        { isolation: 'serializable' },
      );
    const attempts = await Promise.all([one(0), one(1)]);
    expect(Math.max(...attempts)).toBeGreaterThan(1);
    expect(await answerOf(pool, 'select count(*)::int from pair')).toBe(2);
  });

  test('as a whole where a nested one met the conflict', async ({ database }) => {
    const pool = openPool(database.connection);
    const depths: string[] = [];
    const attempt = await thirdTime(pool, (tx) =>
      tx.transaction((nested) => {
        depths.push(`${nested.attempt}/${nested.depth}`);
        return nested.query(raising('40001'));
      }),
    );
    expect([attempt, depths]).toEqual([3, ['1/1', '2/1']]);
  });

  test('so that 32 writers on 4 rows all succeed with the defaults', async ({ database }) => {
    const pool = openPool(database.connection, { max: 8 });
    await pool.query('create table account (id int primary key, balance int)');
    await pool.query('insert into account select id, 0 from generate_series(0, 3) id');
    const writers = Array.from({ length: 32 }, (_, writer) =>
      pool.transaction(
        async (tx) => {
          const id = [writer % 4];
          const { rows } = await tx.query<{ balance: number }>('select balance from account where id = $1', id);
          await tx.query('update account set balance = $2 where id = $1', [...id, (rows[0]?.balance ?? 0) + 1]);
        },
        { isolation: 'serializable' },
      ),
    );
    await Promise.all(writers);
    expect(await answerOf(pool, "select string_agg(balance::text, ' ') from account")).toBe('8 8 8 8');
  });
});

describe('how often a transaction is tried', () => {
  const COUNTS: readonly (readonly [attempts: number, retry: TransactionOptions['retry']])[] = [
    [1, false],
    [1, 0],
    [2, 1],
    [4, 3],
    [1, { attempts: 1 }],
    [3, { attempts: 3, backoff: NO_PAUSE }],
    [10, { backoff: NO_PAUSE }],
  ];

  test.for(COUNTS)('is %i times with retry %o', async ([attempts, retry], { database }) => {
    const pool = openPool(database.connection);
    expect(await attemptsOf(pool, '40001', { retry })).toEqual([attempts, '40001']);
    expect(pool.snapshot().retries).toBe(attempts - 1);
  });

  test('is ten times when nothing is said', async ({ database }) => {
    const pool = openPool(database.connection);
    expect(await attemptsOf(pool, '40001', {})).toEqual([10, '40001']);
  });

  test.for(['55P03', '23505', 'P0001', 'X1234'])(
    'is more than once for %s only where it was asked',
    async (code, { database }) => {
      const pool = openPool(database.connection);
      expect(await attemptsOf(pool, code, {})).toEqual([1, code]);
      expect(await attemptsOf(pool, code, { retry: { on: [code], attempts: 3, backoff: NO_PAUSE } })).toEqual([
        3,
        code,
      ]);
    },
  );

  test('is bounded by its deadline', async ({ database }) => {
    const pool = openPool(database.connection);
    const retry = { attempts: 1_000_000, backoff: { baseMillis: 20, maxMillis: 20 } };
    const [attempts, code] = await attemptsOf(pool, '40001', { retry, timeoutMillis: 200 });
    expect(attempts).toBeLessThan(1_000);
    expect(['40001', 'ERR_LIFEGUARD_DEADLINE']).toContain(code);
  });

  test('is once where its deadline would pass before the next time', async ({ database }) => {
    const pool = openPool(database.connection);
    const retry = { backoff: { baseMillis: 1e15, maxMillis: 1e15 } };
    expect(await attemptsOf(pool, '40001', { retry, timeoutMillis: 10_000 })).toEqual([1, '40001']);
    expect(pool.snapshot().retries).toBe(0);
  });

  test('is no more when its caller has left', async ({ database }) => {
    const pool = openPool(database.connection);
    const caller = new AbortController();
    let attempts = 0;
    const work = pool.transaction(
      async (tx) => {
        attempts += 1;
        tx.afterRollback(() => caller.abort());
        await tx.query(raising('40001'));
      },
      { signal: caller.signal },
    );
    expect(['40001', 'ERR_LIFEGUARD_ABORTED']).toContain((await errorOf(work))['code']);
    expect(attempts).toBe(1);
  });
});

describe('a transaction is not tried again', () => {
  test('once last() has committed, whatever is thrown after it', async ({ database }) => {
    const pool = openPool(database.connection);
    await pool.query('create table once (x int)');
    const work = pool.transaction(async (tx) => {
      await tx.last('insert into once values (1)');
      throw Object.assign(new Error('looks like one'), { code: '40001', severity: 'ERROR' });
    });
    expect((await errorOf(work)).message).toBe('looks like one');
    expect(await answerOf(pool, 'select count(*)::int from once')).toBe(1);
  });

  test('where it was rolled back on purpose, or an error of its own was thrown', async ({ database }) => {
    const pool = openPool(database.connection);
    let calls = 0;
    await pool.transaction(async (tx) => {
      calls += 1;
      await errorOf(tx.query(raising('40001')));
      await tx.rollback();
    });
    const own = pool.transaction(async (tx) => {
      calls += 1;
      await tx.query('select 1');
      throw new Error('mine');
    });
    await errorOf(own);
    expect(calls).toBe(2);
    expect(pool.snapshot().retries).toBe(0);
  });

  test('where a nested one made the conflict good by failing alone', async ({ database }) => {
    const pool = openPool(database.connection);
    const attempt = await pool.transaction(async (tx) => {
      await tx.query('select 1');
      await errorOf(tx.transaction((nested) => nested.query(raising('40001'))));
      return tx.attempt;
    });
    expect(attempt).toBe(1);
  });
});
