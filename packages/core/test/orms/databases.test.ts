import type { Database } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { databasesOn } from '../../src/orms/index.ts';
import { errorOf, openPool } from '../server/rig.ts';
import { DatabasesDriver, databasesLike } from './doctored.ts';

interface Lent {
  readonly connection: { readonly client: pg.PoolClient };
  release(): void;
  dispose(): void;
}

interface Inside {
  readonly _pool: { getConnection(): Promise<Lent>; drain(): Promise<void> };
}

/** A pool of @databases/pg's own, which it is to use no more. */
function ownPool({ connection }: Database, options: pg.PoolConfig = {}): pg.Pool {
  const own = new pg.Pool({ ...connection, ...options });
  onTestFinished(async () => {
    if (!own.ended) await own.end();
  });
  return own;
}

const insideOf = (db: object): Inside => db as Inside;

describe('a pool of @databases/pg on ours', () => {
  test('dials once with its own options, and never again', async ({ database }) => {
    const own = ownPool(database);
    const db = databasesLike(own);
    const pool = openPool(database.connection);
    expect(await databasesOn(db, pool, { pg })).toBe(db);
    expect(own).toMatchObject({ ended: true, totalCount: 0 });
  });

  test('is hooked once, however often it is asked for', async ({ database }) => {
    const db = databasesLike(ownPool(database));
    const pool = openPool(database.connection);
    await Promise.all([databasesOn(db, pool, { pg }), databasesOn(db, pool, { pg })]);
    const { _pool } = insideOf(db);
    await databasesOn(db, pool, { pg });
    expect(insideOf(db)._pool).toBe(_pool);
    const other = openPool(database.connection);
    expect(await errorOf(databasesOn(db, other, { pg }))).toMatchObject({ code: 'ERR_LIFEGUARD_OPTION' });
  });

  test('has its connections in the transaction around whoever asks, and its types', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const db = await databasesOn(databasesLike(ownPool(database)), pool, { pg });
    await pool.transaction(async (tx) => {
      const { rows } = await tx.query('select pg_backend_pid()::text as pid');
      const { connection, release, dispose } = await insideOf(db)._pool.getConnection();
      expect(connection).toBeInstanceOf(DatabasesDriver);
      const { rows: seen } = await connection.client.query('select pg_backend_pid()::text as pid');
      expect(seen).toEqual([{ pid: `its ${rows[0]?.['pid']}` }]);
      release();
      dispose();
      expect(connection.client.listenerCount('error')).toBe(0);
    });
    expect(pool.snapshot().leased).toBe(0);
  });

  test('leaves ours alone when it is disposed of', async ({ database }) => {
    const pool = openPool(database.connection);
    const { _pool } = insideOf(await databasesOn(databasesLike(ownPool(database)), pool, { pg }));
    await Promise.all([_pool.drain(), _pool.drain()]);
    expect(await errorOf(_pool.getConnection())).toMatchObject({ code: 'ERR_LIFEGUARD_POOL_CLOSED' });
    expect((await pool.query('select 7 as n')).rows).toEqual([{ n: 7 }]);
  });

  test('is refused where it works in another schema, or another database', async ({ database }) => {
    const pool = openPool(database.connection);
    const elsewhere = ownPool(database, { options: '-c search_path=shop' });
    const error = await errorOf(databasesOn(databasesLike(elsewhere), pool, { pg }));
    expect(error.message).toMatch(/another place than the pool: database t_\w+, search_path shop, and not database t_/);
    expect(error.message).toContain('createPool({ options: "-c search_path=…" })');
    const other = ownPool(database, { database: 'postgres' });
    expect((await errorOf(databasesOn(databasesLike(other), pool, { pg }))).message).toMatch(
      /place.*: database postgres/,
    );
  });

  test('keeps its own pool where an option is refused', async ({ database }) => {
    const own = ownPool(database);
    const options = { pg, late: 'ignore' as never };
    const error = await errorOf(databasesOn(databasesLike(own), openPool(database.connection), options));
    expect(error.message).toContain('late is "refuse" or "pool"');
    expect(own.ended).toBe(false);
  });

  test('may be tried again where its server was not there', async ({ database }) => {
    const pool = openPool(database.connection);
    const own = ownPool(database);
    const db = databasesLike(own);
    own.options.port = 1;
    expect(await errorOf(databasesOn(db, pool, { pg }))).toMatchObject({ code: 'ECONNREFUSED' });
    own.options.port = database.connection.port;
    expect(await databasesOn(db, pool, { pg })).toBe(db);
  });

  test.for([
    ['of no client', { client: undefined }],
    ['of no handlers', { _handlers: undefined }],
    ['that does not hear of errors', { _onIdleError: undefined }],
  ] as const)('is refused with a driver %s, and keeps its own pool', async ([, parts], { database }) => {
    const own = ownPool(database);
    const client = await own.connect();
    const connection = Object.assign(new DatabasesDriver(client, {}, 1), parts);
    const db = databasesLike(own, { _pool: { getConnection: async () => lent(connection, client), drain() {} } });
    const error = await errorOf(databasesOn(db, openPool(database.connection), { pg }));
    expect(error.message).toMatch(/its driver is not what it was in @databases\/pg 6\.1/);
    expect(own).toMatchObject({ ended: false, idleCount: 1 });
  });
});

function lent(connection: object, client: pg.PoolClient): object {
  return { connection, release: () => client.release() };
}
