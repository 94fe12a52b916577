import type { Database } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, TransactionOptions } from '../../src/index.ts';
import { cuttingProxy, type Fate } from './commit-rig.ts';
import { errorOf, openPool } from './rig.ts';

const MODES = ['resolve', 'token'] as const;

async function poolThatLoses(database: Database, fate: Fate): Promise<LifeguardPool> {
  await database.query('drop table if exists payment; create table payment (attempt int)');
  const pool = openPool(await cuttingProxy(database.connection, fate), { max: 2 });
  await pool.createCommitTokens();
  return pool;
}

function pay(pool: LifeguardPool, options: TransactionOptions): Promise<string> {
  return pool.transaction(async (tx) => {
    await tx.query('insert into payment values ($1)', [tx.attempt]);
    return `paid at attempt ${tx.attempt}`;
  }, options);
}

async function paid(database: Database): Promise<unknown[]> {
  const rows = await database.query('select attempt from payment');
  return rows.map(({ attempt }) => attempt);
}

describe('a transaction whose COMMIT is not answered', () => {
  test('says that it does not know, and is not tried again', async ({ database }) => {
    const pool = await poolThatLoses(database, 'answered in vain');
    const error = await errorOf(pay(pool, { retry: 3 }));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_COMMIT_UNKNOWN', retryable: false, statusCode: 500 });
    expect(error).not.toHaveProperty('retryAfterSeconds');
    expect(await paid(database)).toEqual([1]);
    expect(pool.snapshot()).toMatchObject({ retries: 0, commits: { committed: 0, notCommitted: 0, unknown: 1 } });
  });

  test('leaves no token behind when the pool is closed', async ({ database }) => {
    await database.query('drop table if exists payment; create table payment (attempt int)');
    const pool = openPool(database.connection);
    await pool.createCommitTokens();
    for (let round = 0; round < 3; round += 1) await pay(pool, { commitOutcome: 'token' });
    expect(await database.query('select from lifeguard_commit_tokens')).toHaveLength(3);
    await pool.close();
    expect(await database.query('select from lifeguard_commit_tokens')).toHaveLength(0);
  });

  test('says where the table of tokens is missing that it is missing', async ({ database }) => {
    await database.query('drop table if exists lifeguard_commit_tokens');
    const pool = openPool(database.connection);
    expect(await errorOf(pay(pool, { commitOutcome: 'token' }))).toMatchObject({
      code: 'ERR_LIFEGUARD_SETTING',
      cause: { code: '42P01' },
    });
  });
});

describe.each(MODES)('a transaction whose COMMIT is not answered, with %s', (commitOutcome) => {
  test('has committed where the server says so', async ({ database }) => {
    const pool = await poolThatLoses(database, 'answered in vain');
    const heard: string[] = [];
    const answer = pool.transaction(
      async (tx) => {
        tx.afterCommit(() => heard.push('committed'));
        await tx.query('insert into payment values (1)');
        return 'paid';
      },
      { commitOutcome },
    );
    expect(await answer).toBe('paid');
    expect(heard).toEqual(['committed']);
    expect(await paid(database)).toEqual([1]);
    expect(pool.snapshot().commits).toEqual({ committed: 1, notCommitted: 0, unknown: 0 });
  });

  test('is tried again where the server says that it is not', async ({ database }) => {
    const pool = await poolThatLoses(database, 'lost on its way');
    const error = await errorOf(pay(pool, { commitOutcome, retry: 1 }));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_ROLLED_BACK', retryable: true });
    expect(await paid(database)).toEqual([]);
    expect(pool.snapshot()).toMatchObject({ retries: 1, commits: { committed: 0, notCommitted: 2, unknown: 0 } });
  });

  test('sends its evidence before a last statement that commits', async ({ database }) => {
    const pool = await poolThatLoses(database, 'answered in vain');
    const work = pool.transaction((tx) => tx.last('insert into payment values (7)'), { commitOutcome });
    expect((await work).rowCount).toBe(1);
    expect(await paid(database)).toEqual([7]);
  });
});
