import { describeLibrary, errorOf, openHost, storedIn } from '@lifeguard/conformance';
import type { LifeguardPool } from '@lifeguard/core';
import type { Database } from '@lifeguard/testkit';
import { expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import knex, { type Knex } from 'knex';
import { fixture } from '../fixture.ts';

describeLibrary(fixture);

test('a transaction without a callback is a savepoint until it is committed', async ({ database }) => {
  const { pool, db } = await open(database);
  await pool.transaction(async () => {
    const kept = await db.transaction();
    await kept('t').insert({ id: 1 });
    await kept.commit();
    const dropped = await db.transaction();
    await dropped('t').insert({ id: 2 });
    await dropped.rollback();
  });
  expect(await storedIn(database)).toEqual([1]);
});

test('a transaction that nobody ends goes with the one around it', async ({ database }) => {
  const { pool, db } = await open(database);
  const whole = pool.transaction(async () => {
    const forgotten = await db.transaction();
    await forgotten('t').insert({ id: 1 });
  });
  await errorOf(whole.then(() => Promise.reject(new Error('It may commit without it.'))));
  expect(await storedIn(database)).toEqual([]);
  expect(pool.snapshot().leased).toBe(0);
});

test('the double release after its streams frees nothing of others', async ({ database }) => {
  const { pool, db } = await open(database);
  const read = async (): Promise<number> => {
    let rows = 0;
    for await (const _row of db.raw('select n from generate_series(1, 100) as n').stream()) rows += 1;
    return rows;
  };
  const work = Array.from({ length: 10 }, (_, id) => [read(), db('t').insert({ id })]).flat();
  await Promise.all(work);
  expect(await storedIn(database)).toHaveLength(10);
  expect(pool.snapshot().leased).toBe(0);
});

async function open(database: Database): Promise<{ pool: LifeguardPool; db: Knex }> {
  const { pool, pgPool } = await openHost(database);
  const db = knex({ client: 'pg', connectionPool: pgPool });
  onTestFinished(async () => {
    await db.destroy();
    await pool.close({ graceMillis: 0 });
  });
  return { pool, db };
}
