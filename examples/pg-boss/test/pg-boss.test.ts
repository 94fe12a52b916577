import { errorOf, expectNothingLeft, openHost } from '@lifeguard/conformance';
import type { LifeguardPool } from '@lifeguard/core';
import { expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import type { PgBoss } from 'pg-boss';
import { openQueue } from '../fixture.ts';

test('a job is sent with the transaction that commits and not with another', async ({ database }) => {
  const { pool, boss } = await start(database);
  const unsent = pool.transaction(async () => {
    await boss.send('notes', { id: 1 });
    throw new Error('changed my mind');
  });
  await expect(unsent).rejects.toThrow('changed my mind');
  await pool.transaction(() => boss.send('notes', { id: 2 }));
  const jobs = await boss.fetch<{ id: number }>('notes', { batchSize: 10 });
  expect(jobs.map(({ data }) => data)).toEqual([{ id: 2 }]);
  await expectNothingLeft(pool, database);
});

test('a job that was fetched in a transaction comes back with its rollback', async ({ database }) => {
  const { pool, boss } = await start(database);
  await boss.send('notes', { id: 1 });
  const failed = pool.transaction(async () => {
    const [job] = await boss.fetch('notes');
    await boss.complete('notes', job?.id ?? '');
    throw new Error('changed my mind');
  });
  await expect(failed).rejects.toThrow('changed my mind');
  expect(await boss.fetch('notes')).toHaveLength(1);
});

test('its scripts of BEGIN and COMMIT are part of the transaction around them', async ({ database }) => {
  const { pool, boss } = await start(database);
  const failed = pool.transaction(async () => {
    await boss.createQueue('letters', { partition: true });
    expect(await boss.getQueue('letters')).not.toBeNull();
    throw new Error('changed my mind');
  });
  await expect(failed).rejects.toThrow('changed my mind');
  expect(await boss.getQueue('letters')).toBeNull();
  await expectNothingLeft(pool, database);
});

test('a worker that was started outside gets what a transaction has sent', async ({ database }) => {
  const { pool, boss } = await start(database);
  const got = Promise.withResolvers<unknown>();
  await boss.work('notes', { pollingIntervalSeconds: 0.5 }, async ([job]) => got.resolve(job?.data));
  await pool.transaction(() => boss.send('notes', { id: 1 }));
  expect(await got.promise).toEqual({ id: 1 });
});

test('a failing job of the same transaction leaves the queue at work', async ({ database }) => {
  const { pool, boss } = await start(database);
  await pool.transaction(async () => {
    await errorOf(boss.send('no such queue', { id: 1 }));
    await boss.send('notes', { id: 2 });
  });
  expect(await boss.fetch('notes')).toMatchObject([{ data: { id: 2 } }]);
});

async function start(database: Parameters<typeof openHost>[0]): Promise<{ pool: LifeguardPool; boss: PgBoss }> {
  await database.query('drop schema if exists pgboss cascade');
  const { pool, pgPool } = await openHost(database);
  const boss = await openQueue(pgPool);
  onTestFinished(async () => {
    await boss.stop({ graceful: false });
    await pool.close({ graceMillis: 0 });
  });
  return { pool, boss };
}
