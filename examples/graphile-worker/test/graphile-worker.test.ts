import { expectNothingLeft, openHost } from '@lifeguard/conformance';
import type { LifeguardPool } from '@lifeguard/core';
import type { Database } from '@lifeguard/testkit';
import { expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import type { WorkerUtils } from 'graphile-worker';
import type pg from 'pg';
import { openQueue, openWorker } from '../fixture.ts';

test('a job is added with the transaction that commits and not with another', async ({ database }) => {
  const { pool, utils } = await start(database);
  const unsent = pool.transaction(async () => {
    await utils.addJob('note', { id: 1 });
    throw new Error('changed my mind');
  });
  await expect(unsent).rejects.toThrow('changed my mind');
  await pool.transaction(() => utils.addJob('note', { id: 2 }));
  expect(await payloads(database)).toEqual([{ id: 2 }]);
  await expectNothingLeft(pool, database);
});

test('the notice of a job wakes a worker when the transaction commits and not before', async ({ database }) => {
  const { pool, pgPool, utils } = await start(database);
  const log: string[] = [];
  const done = Promise.withResolvers<void>();
  const note = async (): Promise<void> => {
    log.push('done');
    done.resolve();
  };
  const runner = await openWorker(pgPool, { note });
  onTestFinished(() => runner.stop());
  await pool.transaction(async () => {
    await utils.addJob('note', { id: 1 });
    expect(await payloads(database)).toEqual([]);
    log.push('added');
  });
  await done.promise;
  expect(log).toEqual(['added', 'done']);
});

test('a job with a key is replaced within the transaction', async ({ database }) => {
  const { pool, utils } = await start(database);
  await pool.transaction(async () => {
    await utils.addJob('note', { id: 1 }, { jobKey: 'one' });
    await utils.addJob('note', { id: 2 }, { jobKey: 'one' });
  });
  expect(await payloads(database)).toEqual([{ id: 2 }]);
});

interface Queue {
  readonly pool: LifeguardPool;
  readonly pgPool: pg.Pool;
  readonly utils: WorkerUtils;
}

async function start(database: Database): Promise<Queue> {
  await database.query('drop schema if exists graphile_worker cascade');
  const { pool, pgPool } = await openHost(database);
  onTestFinished(() => pool.close({ graceMillis: 0 }));
  const utils = await openQueue(pgPool);
  onTestFinished(() => utils.release());
  return { pool, pgPool, utils };
}

async function payloads(database: Database): Promise<unknown[]> {
  const rows = await database.query('select payload from graphile_worker._private_jobs order by id');
  return rows.map(({ payload }) => payload);
}
