import type { Database } from '@lifeguard/testkit';
import { waitUntil } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type pg from 'pg';
import { accidents, answerOf, errorOf, pidOf } from '../server/rig.ts';
import { openFacade, withClient } from './peers.ts';

/** Ends the backend of somebody, and waits until it has gone. */
async function terminate(database: Database, pid: number): Promise<void> {
  await database.query('select pg_terminate_backend($1)', [pid]);
  await database.waitFor('the backend has gone', (all) => all.every((one) => one.pid !== pid));
}

describe('a client whose server ends it', () => {
  test('crashes nothing while it is lent and nobody listens, and is told at the next statement', async ({
    database,
  }) => {
    const seen = accidents();
    const { pool, pgPool } = openFacade(database.connection, { max: 1 });
    const client = await pgPool.connect();
    const pid = await pidOf(client);
    await terminate(database, pid);
    expect(await errorOf(client.query('select 1'))).toMatchObject({ code: 'ERR_LIFEGUARD_CONNECTION_LOST' });
    client.release();
    expect(await pidOf(pgPool)).not.toBe(pid);
    expect(pool.snapshot().closed).toEqual({ lost: 1 });
    expect(seen).toEqual([]);
  });

  test('tells its own listeners, and fails what runs', async ({ database }) => {
    const { pgPool } = openFacade(database.connection, { max: 1 });
    const client = await pgPool.connect();
    const heard: unknown[] = [];
    client.on('error', (error) => heard.push(error));
    const pid = await pidOf(client);
    const running = errorOf(client.query('select pg_sleep(30)'));
    const behind = errorOf(client.query('select 1'));
    await database.waitFor('the sleeper', (all) => all.some(({ state }) => state === 'active'));
    await terminate(database, pid);
    expect(await running).toBeInstanceOf(Error);
    expect(await behind).toMatchObject({ code: 'ERR_LIFEGUARD_CONNECTION_LOST' });
    await waitUntil(() => heard.length > 0, { what: 'the error event' });
    client.release();
    expect(await answerOf(pgPool, 'select 7')).toBe(7);
  });

  test('costs the pool nothing while it is idle', async ({ database }) => {
    const seen = accidents();
    const { pool, pgPool } = openFacade(database.connection, { max: 1 });
    pgPool.removeAllListeners('error');
    const pid = await pidOf(pgPool);
    await terminate(database, pid);
    expect(await answerOf(pgPool, 'select 7')).toBe(7);
    expect(pool.snapshot().closed).toEqual({ lost: 1 });
    expect(seen).toEqual([]);
  });

  test('calls back with the loss, once', async ({ database }) => {
    const { pgPool } = openFacade(database.connection, { max: 1 });
    const pid = await pidOf(pgPool);
    const told: unknown[] = [];
    void pgPool.query('select pg_sleep(30)', (error: unknown) => told.push(error));
    await database.waitFor('the sleeper', (all) => all.some(({ state }) => state === 'active'));
    await terminate(database, pid);
    expect(await answerOf(pgPool, 'select 7')).toBe(7);
    expect(told).toEqual([expect.any(Error)]);
  });
});

/** What a borrower does without putting it back. */
const LEFT_BEHIND: Readonly<Record<string, (client: pg.PoolClient) => Promise<unknown>>> = {
  'an open transaction': (client) => client.query('begin; create temp table left_behind (x int)'),
  'a failed transaction': async (client) => {
    await client.query('begin; create temp table left_behind (x int)');
    await errorOf(client.query('select 1/0'));
  },
  'a setting': (client) => client.query("set search_path = 'nowhere'; set app.tenant = 'a'"),
  'a role': (client) => client.query('set role pg_monitor'),
  'a lock, a channel and a table': (client) =>
    client.query('select pg_advisory_lock(7); listen tidings; create temp table left_behind (x int)'),
  'a statement that still runs': async (client) => {
    errorOf(client.query('select pg_sleep(0.05)')).catch(() => undefined);
  },
};

const REMAINS = `select to_regclass('left_behind') is null
  and current_user = session_user
  and coalesce(current_setting('app.tenant', true), '') = ''
  and current_setting('search_path') <> 'nowhere'
  and not exists (select from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())
  and not exists (select from pg_listening_channels()) as clean`;

describe('what a borrower leaves behind', () => {
  for (const [what, leave] of Object.entries(LEFT_BEHIND)) {
    test(`does not reach the next one: ${what}`, async ({ database }) => {
      const { pool, pgPool } = openFacade(database.connection, { max: 1 });
      await withClient(pgPool, leave);
      expect(await answerOf(pgPool, REMAINS)).toBe(true);
      expect(await withClient(pgPool, (client) => answerOf(client, REMAINS))).toBe(true);
      expect(await database.query("select from pg_stat_activity where state like 'idle in transaction%'")).toEqual([]);
      expect(pool.snapshot().leased).toBe(0);
    });
  }

  test('a transaction of a client is its own, until it commits', async ({ database }) => {
    const { pgPool } = openFacade(database.connection);
    await pgPool.query('create table if not exists committed (x int)');
    await withClient(pgPool, async (client) => {
      await client.query('begin');
      await client.query('insert into committed values (1)');
      expect(await answerOf(pgPool, 'select count(*)::int from committed')).toBe(0);
      await client.query('commit');
    });
    expect(await answerOf(pgPool, 'select count(*)::int from committed')).toBe(1);
  });

  test('a BEGIN that is asked of the pool makes no transaction, and fails nothing after it', async ({ database }) => {
    const { pgPool } = openFacade(database.connection, { max: 1 });
    await pgPool.query('create table if not exists unbegun (x int)');
    await pgPool.query('begin');
    expect(await errorOf(pgPool.query('select 1/0'))).toMatchObject({ code: '22012' });
    await pgPool.query('insert into unbegun values (1)');
    await pgPool.query('rollback');
    expect(await answerOf(pgPool, 'select count(*)::int from unbegun')).toBe(1);
    expect(await database.query("select from pg_stat_activity where state like 'idle in transaction%'")).toEqual([]);
  });

  test('a whole transaction in one text is one, and a failing one leaves nothing', async ({ database }) => {
    const { pool, pgPool } = openFacade(database.connection, { max: 1 });
    await pgPool.query('create table if not exists scripted (x int)');
    await pgPool.query('begin; insert into scripted values (1); commit');
    const failing = pgPool.query('begin; insert into scripted values (2); select 1/0; commit');
    expect(await errorOf(failing)).toMatchObject({ code: '22012' });
    expect(await answerOf(pgPool, 'select array_agg(x) from scripted')).toEqual([1]);
    expect(pool.snapshot().leased).toBe(0);
  });

  test('a time limit of its own ends a statement, and the next borrower waits for nobody', async ({ database }) => {
    const { pool, pgPool } = openFacade(database.connection, { max: 1, acquireTimeoutMillis: 5_000 });
    const config = { text: 'select pg_sleep(30)', query_timeout: 40 };
    expect(await errorOf(pgPool.query(config))).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE' });
    const client = await pgPool.connect();
    expect(await errorOf(client.query(config))).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE' });
    client.release();
    expect(await answerOf(pgPool, 'select 7')).toBe(7);
    expect(pool.snapshot().leased).toBe(0);
  });
});
