import { expectNothingLeft, openHost } from '@lifeguard/conformance';
import { expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import { migrate } from '../fixture.ts';

test('migrations run outside of all transactions', async ({ database }) => {
  const { pool, pgPool } = await start(database);
  expect(await migrate(pgPool)).toEqual(['1700000000001_notes', '1700000000002_first-note']);
  expect(await database.query('select id from notes')).toEqual([{ id: 1 }]);
  await expectNothingLeft(pool, database);
});

test('migrations go with the transaction that rolls back and can run again', async ({ database }) => {
  const { pool, pgPool } = await start(database);
  const failed = pool.transaction(async () => {
    expect(await migrate(pgPool)).toHaveLength(2);
    throw new Error('changed my mind');
  });
  await expect(failed).rejects.toThrow('changed my mind');
  expect(await database.query("select to_regclass('notes') as notes")).toEqual([{ notes: null }]);
  expect(await pool.transaction(() => migrate(pgPool))).toHaveLength(2);
  expect(await database.query('select id from notes')).toEqual([{ id: 1 }]);
});

test('a migration that fails undoes its own part and lets the transaction go on', async ({ database }) => {
  const { pool, pgPool } = await start(database);
  await pool.transaction(async () => {
    await pgPool.query('create table notes (id text primary key)');
    await expect(migrate(pgPool)).rejects.toThrow('already exists');
    await pgPool.query("insert into notes values ('kept')");
  });
  expect(await database.query('select id from notes')).toEqual([{ id: 'kept' }]);
  expect(await database.query('select 1 from pg_locks where locktype = $1', ['advisory'])).toEqual([]);
});

async function start(database: Parameters<typeof openHost>[0]): ReturnType<typeof openHost> {
  await database.query('drop table if exists notes, migrations');
  const host = await openHost(database);
  onTestFinished(() => host.pool.close({ graceMillis: 0 }));
  return host;
}
