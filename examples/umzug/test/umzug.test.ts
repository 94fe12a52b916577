import { expectNothingLeft, openHost } from '@lifeguard/conformance';
import { expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import { openUmzug } from '../fixture.ts';

test('migrations run outside of all transactions', async ({ database }) => {
  const { pool, pgPool } = await start(database);
  expect(await openUmzug(pgPool).up()).toHaveLength(2);
  expect(await database.query('select id from notes')).toEqual([{ id: 1 }]);
  await expectNothingLeft(pool, database);
});

test('migrations go with the transaction that rolls back and can run again', async ({ database }) => {
  const { pool, pgPool } = await start(database);
  const failed = pool.transaction(async () => {
    expect(await openUmzug(pgPool).up()).toHaveLength(2);
    throw new Error('changed my mind');
  });
  await expect(failed).rejects.toThrow('changed my mind');
  expect(await database.query("select to_regclass('notes') as notes")).toEqual([{ notes: null }]);
  expect(await pool.transaction(() => openUmzug(pgPool).up())).toHaveLength(2);
});

test('a migration that fails leaves the ones before it in the transaction', async ({ database }) => {
  const { pool, pgPool } = await start(database);
  await pool.transaction(async () => {
    await openUmzug(pgPool).up({ to: '1-notes' });
    await pgPool.query('insert into notes values (1)');
    await expect(openUmzug(pgPool).up()).rejects.toThrow('2-first-note');
  });
  expect(await database.query('select name from migrations')).toEqual([{ name: '1-notes' }]);
});

async function start(database: Parameters<typeof openHost>[0]): ReturnType<typeof openHost> {
  await database.query('drop table if exists notes, migrations');
  const host = await openHost(database);
  onTestFinished(() => host.pool.close({ graceMillis: 0 }));
  return host;
}
