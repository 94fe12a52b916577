import { waitUntil } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { accidents, answerOf, errorOf, pidOf } from '../server/rig.ts';
import { alike, openFacade, withClient } from './peers.ts';

const PATH = "select current_setting('search_path')";

describe('what a connect listener sets', () => {
  test('is there before the first statement of anybody, awaited or not', async ({ database }) => {
    const seen = await alike(database, async (pgPool) => {
      pgPool.on('connect', (client) => void client.query('set search_path = greeted'));
      return [await answerOf(pgPool, PATH), await withClient(pgPool, (client) => answerOf(client, PATH))];
    });
    expect(seen).toEqual(['greeted', 'greeted']);
  });

  test('holds on every connection, also when many are opened at once', async ({ database }) => {
    const seen = await alike(
      database,
      async (pgPool) => {
        pgPool.on('connect', (client) => client.query('set search_path = greeted', () => undefined));
        const clients = await Promise.all([1, 2, 3].map(() => pgPool.connect()));
        const paths = await Promise.all(clients.map((client) => answerOf(client, PATH)));
        for (const client of clients) client.release();
        return paths;
      },
      { max: 3 },
    );
    expect(seen).toEqual(['greeted', 'greeted', 'greeted']);
  });

  test('holds again when a borrower had changed it, in a session that was cleaned', async ({ database }) => {
    const { pool, pgPool } = openFacade(database.connection, { max: 1 });
    pgPool.on('connect', (client) => void client.query('set search_path = greeted'));
    const pids = new Set<number>();
    for (let round = 0; round < 3; round += 1) {
      expect(await answerOf(pgPool, PATH)).toBe('greeted');
      await withClient(pgPool, (client) => client.query('set search_path = changed'));
      pids.add(await pidOf(pgPool));
    }
    expect(await answerOf(pool, PATH)).toBe('greeted');
    expect(pids.size).toBe(1);
  });

  test('holds on sessions that begin after it came, and on older ones when they begin anew', async ({ database }) => {
    const { pool } = openFacade(database.connection, { min: 1, max: 1 });
    await pool.ready();
    const pgPool = pool.asPgPool({ pg });
    pgPool.on('connect', (client) => void client.query('set search_path = greeted'));
    expect(await answerOf(pgPool, PATH)).not.toBe('greeted');
    pool.invalidate('the libraries are there');
    expect(await answerOf(pgPool, PATH)).toBe('greeted');
    expect(await withClient(pgPool, (client) => answerOf(client, PATH))).toBe('greeted');
  });

  test('holds on the connections that follow a lost one', async ({ database }) => {
    const { pool, pgPool } = openFacade(database.connection, { max: 1 });
    pgPool.on('connect', (client) => void client.query('set search_path = greeted'));
    const pid = await pidOf(pgPool);
    await database.query('select pg_terminate_backend($1)', [pid]);
    await waitUntil(() => pool.snapshot().closed.lost === 1, { what: 'the loss' });
    expect([await answerOf(pgPool, PATH), (await pidOf(pgPool)) === pid]).toEqual(['greeted', false]);
  });

  test('holds in transactions of the pool itself', async ({ database }) => {
    const { pool, pgPool } = openFacade(database.connection, { max: 1 });
    pgPool.on('connect', (client) => void client.query('set search_path = greeted'));
    expect(await pool.transaction((tx) => answerOf(tx, PATH))).toBe('greeted');
  });

  test('is of each façade that has a listener, and of none that has ended', async ({ database }) => {
    const { pool, pgPool } = openFacade(database.connection, { max: 1 });
    const other = pool.asPgPool({ pg });
    pgPool.on('connect', (client) => void client.query("set app.one = 'x'"));
    other.on('connect', (client) => void client.query("set app.other = 'y'"));
    const both = "select current_setting('app.one', true) || current_setting('app.other', true)";
    expect(await answerOf(other, both)).toBe('xy');
    await other.end();
    pool.invalidate('a new session');
    expect(await answerOf(pgPool, "select current_setting('app.one', true)")).toBe('x');
    expect(await answerOf(pgPool, "select current_setting('app.other', true)")).toBeNull();
  });
});

describe('a connect listener', () => {
  test('hears of sessions that were open before the façade was made, when they begin anew', async ({ database }) => {
    const { pool } = openFacade(database.connection, { max: 1 });
    await pool.query('select 1');
    const late = pool.asPgPool({ pg });
    const heard: unknown[] = [];
    late.on('connect', () => heard.push('connect'));
    await withClient(late, (client) => client.query('set search_path = changed'));
    expect(await answerOf(late, PATH)).not.toBe('changed');
    expect(heard).toEqual(['connect']);
  });

  test('may use type parsers and listen to notices', async ({ database }) => {
    const { pgPool } = openFacade(database.connection, { max: 1 });
    const seen: unknown[] = [];
    pgPool.on('connect', async (client) => {
      client.on('notice', ({ message }) => seen.push(message));
      client.setTypeParser(23, (value) => `<${value}>`);
      seen.push((await client.query('select 1 as n')).rows[0].n);
      await client.query("do $$ begin raise notice 'welcome'; end $$");
    });
    await pgPool.query('select 1');
    expect(seen).toEqual(['<1>', 'welcome']);
  });

  test('that awaits one statement after the other is waited for to its last', async ({ database }) => {
    const { pool, pgPool } = openFacade(database.connection, { max: 1 });
    pgPool.on('connect', async (client) => {
      for (const n of [1, 2, 3, 4]) {
        await client.query(`set app.step = '${n}'`);
        await Promise.resolve().then(() => undefined);
      }
    });
    const step = "select current_setting('app.step', true)";
    expect(await answerOf(pgPool, step)).toBe('4');
    await withClient(pgPool, (client) => client.query("set app.step = 'changed'"));
    expect(await answerOf(pool, step)).toBe('4');
  });

  test('may do other things between its statements', async ({ database }) => {
    const seen = accidents();
    const { pgPool } = openFacade(database.connection, { max: 1 });
    pgPool.on('connect', async (client) => {
      await client.query("set app.step = '1'");
      const [row] = await database.query<{ step: string }>('select 2 as step');
      await client.query(`set app.step = '${row?.step}'`);
    });
    expect(await answerOf(pgPool, "select current_setting('app.step', true)")).toBe('2');
    expect(seen).toEqual([]);
  });

  test('whose statement fails is told so, and the connection serves', async ({ database }) => {
    const { pgPool } = openFacade(database.connection, { max: 1 });
    const told: unknown[] = [];
    pgPool.on('connect', (client) => client.query('selekt', (error: unknown) => told.push((error as Error).message)));
    expect(await answerOf(pgPool, 'select 7')).toBe(7);
    expect(told).toEqual([expect.stringContaining('selekt')]);
  });

  test('that leaves a transaction open has no connection spoilt for others', async ({ database }) => {
    const { pgPool } = openFacade(database.connection, { max: 1, acquireTimeoutMillis: 500 });
    pgPool.once('connect', (client) => void client.query('begin'));
    await pgPool.query('select 1').catch(errorOf);
    const client = await pgPool.connect();
    expect(client.getTransactionStatus()).toBe('I');
    client.release();
  });
});
