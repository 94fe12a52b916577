import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import Cursor from 'pg-cursor';
import { onBoth, openFacade, withClient } from './peers.ts';

const storage = new AsyncLocalStorage<string>();

/** In which context the callbacks of two callers run, who have one connection between them. */
async function contextsOf(pgPool: pg.Pool, ask: (pgPool: pg.Pool, called: () => void) => unknown): Promise<unknown[]> {
  const contexts: unknown[] = [];
  for (const caller of ['first', 'second']) {
    await storage.run(
      caller,
      () => new Promise<void>((resolve) => void ask(pgPool, () => resolve(void contexts.push(storage.getStore())))),
    );
  }
  return contexts;
}

const CALLERS = ['first', 'second'];

const ASKED: Readonly<Record<string, (pgPool: pg.Pool, called: () => void) => unknown>> = {
  'of a statement': (pgPool, called) => pgPool.query('select 1', () => called()),
  'of a statement with values': (pgPool, called) => pgPool.query('select $1::int', [1], () => called()),
  'of a statement that fails': (pgPool, called) => pgPool.query('select 1/0', () => called()),
  'of connect()': (pgPool, called) => {
    pgPool.connect((_error, _client, release) => {
      release();
      called();
    });
  },
  "of a client's statement": (pgPool, called) =>
    withClient(pgPool, (client) => new Promise<void>((done) => void client.query('select 1', () => done(called())))),
  "of a client's pg.Query": (pgPool, called) =>
    withClient(
      pgPool,
      (client) => new Promise<void>((done) => void client.query(new pg.Query('select 1', () => done(called())))),
    ),
  'of a cursor': (pgPool, called) =>
    withClient(pgPool, async (client) => {
      const cursor = client.query(new Cursor('select 1'));
      await new Promise<void>((done) => cursor.read(1, () => done(called())));
      await cursor.close();
    }),
  'for the notices of a client': (pgPool, called) =>
    withClient(pgPool, async (client) => {
      client.on('notice', called);
      await client.query("do $$ begin raise notice 'x'; end $$");
    }),
};

describe('callbacks run in the async context of whoever asked', () => {
  for (const [what, ask] of Object.entries(ASKED)) {
    test(`the callback ${what} has the caller's context`, async ({ database }) => {
      const { pgPool } = openFacade(database.connection, { max: 1 });
      expect(await contextsOf(pgPool, ask)).toEqual(CALLERS);
    });
  }

  test('where pg runs them in that of whoever opened the connection', async ({ database }) => {
    const ask = ASKED['of a statement'] as (pgPool: pg.Pool, called: () => void) => unknown;
    const { theirs, ours } = await onBoth(database, (pgPool) => contextsOf(pgPool, ask), { max: 1 });
    expect(theirs).toEqual(['first', 'first']);
    expect(ours).toEqual(CALLERS);
  });

  test('one who waits in the line has its own, and not that of whoever gives back', async ({ database }) => {
    const { pgPool } = openFacade(database.connection, { max: 1 });
    const holder = await pgPool.connect();
    const waiting = storage.run(
      'waiter',
      () =>
        new Promise((resolve) => {
          pgPool.connect((_error, _client, release) => {
            release();
            resolve(storage.getStore());
          });
        }),
    );
    storage.run('releaser', () => holder.release());
    expect(await waiting).toBe('waiter');
  });

  test('a transaction begun in a callback is that of the caller', async ({ database }) => {
    const { pool, pgPool } = openFacade(database.connection, { max: 1 });
    const seen = await pool.transaction(async (tx) => {
      const around = pool.current();
      const inside = await new Promise((resolve) => pgPool.query('select 1', () => resolve(pool.current())));
      return [inside === around, inside === tx];
    });
    expect(seen[0]).toBe(true);
  });
});
