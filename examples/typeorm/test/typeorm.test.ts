import { codesOf, describeLibrary, errorOf, openHost, storedIn } from '@lifeguard/conformance';
import type { LifeguardPool } from '@lifeguard/core';
import { typeormDriver } from '@lifeguard/core/orms';
import type { Database } from '@lifeguard/testkit';
import { expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { fixture, Notes } from '../fixture.ts';

describeLibrary(fixture);

test('a save that fails undoes what it did itself and nothing else', async ({ database }) => {
  const { pool, source } = await open(database);
  await pool.transaction(async () => {
    await source.manager.insert(Notes, { id: 1 });
    const both = source.manager.getRepository(Notes).insert([{ id: 2 }, { id: 1 }]);
    expect(codesOf(await errorOf(both))).toContain('23505');
    await source.manager.save(Notes, { id: 3 });
  });
  expect(await storedIn(database)).toEqual([1, 3]);
});

test('a query runner that begins by word is a part of the transaction', async ({ database }) => {
  const { pool, source } = await open(database);
  await pool.transaction(async () => {
    const runner = source.createQueryRunner();
    await runner.startTransaction();
    await runner.manager.insert(Notes, { id: 1 });
    await runner.rollbackTransaction();
    await runner.startTransaction('READ COMMITTED');
    await runner.manager.insert(Notes, { id: 2 });
    await runner.commitTransaction();
    await runner.release();
  });
  expect(await storedIn(database)).toEqual([2]);
});

test('an isolation level that a savepoint cannot have is refused', async ({ database }) => {
  const { pool, source } = await open(database);
  const serializable = (id: number): Promise<unknown> =>
    source.transaction('SERIALIZABLE', (manager) => manager.insert(Notes, { id }));
  const error = await errorOf(pool.transaction(() => serializable(1)));
  expect(codesOf(error)).toContainEqual(expect.stringMatching(/^ERR_LIFEGUARD_/));
  await pool.transaction(() => serializable(2), { isolation: 'serializable' });
  expect(await storedIn(database)).toEqual([2]);
});

test('a query runner that is never released takes nothing from the pool', async ({ database }) => {
  const { pool, source } = await open(database);
  await pool.transaction(async () => {
    const runner = source.createQueryRunner();
    await runner.startTransaction();
    await runner.manager.insert(Notes, { id: 1 });
    await runner.commitTransaction();
  });
  expect(pool.snapshot().leased).toBe(0);
  expect(await storedIn(database)).toEqual([1]);
});

async function open(database: Database): Promise<{ pool: LifeguardPool; source: DataSource }> {
  const { pool } = await openHost(database);
  const source = new DataSource({ type: 'postgres', driver: typeormDriver(pool, { pg }), entities: [Notes] });
  await source.initialize();
  onTestFinished(async () => {
    await source.destroy();
    await pool.close({ graceMillis: 0 });
  });
  return { pool, source };
}
