import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { mikroOrmOptions, typeormDriver } from '../../src/orms/index.ts';
import { errorOf, openPool } from '../server/rig.ts';
import { silentPool } from './doctored.ts';

const PID = 'select pg_backend_pid() as pid';

describe('the driver for TypeORM', () => {
  test('is the package pg with another pool in it, and no pg-native', () => {
    const driver = typeormDriver(silentPool(), { pg });
    expect(driver).toMatchObject({ Client: pg.Client, types: pg.types, native: undefined });
    expect(driver.Pool).not.toBe(pg.Pool);
    expect(new driver.Pool()).toBeInstanceOf(pg.Pool);
  });

  test('gives each data source a pool that it may end', async ({ database }) => {
    const pool = openPool(database.connection);
    const { Pool } = typeormDriver(pool, { pg });
    const [first, second] = [new Pool(), new Pool()] as [pg.Pool, pg.Pool];
    await first.end();
    expect(await errorOf(first.query(PID))).toMatchObject({ code: 'ERR_LIFEGUARD_POOL_CLOSED' });
    const [ours, theirs] = await pool.transaction((tx) => Promise.all([tx.query(PID), second.query(PID)]));
    expect(theirs.rows).toEqual(ours.rows);
  });

  test('passes on what becomes of late work', async ({ database }) => {
    const pool = openPool(database.connection);
    const orm = new (typeormDriver(pool, { pg, late: 'pool' }).Pool)() as pg.Pool;
    const late = await pool.transaction(async () => pool.bind(() => orm.query('select 7 as n')));
    expect((await late()).rows).toEqual([{ n: 7 }]);
  });
});

describe('the options for MikroORM', () => {
  /** Its own pool, of its own copy of pg. */
  function ownPool(): pg.Pool {
    const getTypeParser = (): ((text: string) => string) => (text) => `its ${text}`;
    const own = new pg.Pool({ port: 1, types: { getTypeParser } as never });
    onTestFinished(async () => {
      if (!own.ended) await own.end();
    });
    return own;
  }

  test('send its pool to ours, with the types that it has', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const own = ownPool();
    mikroOrmOptions(pool, { pg }).onPoolCreated(own);
    await pool.transaction(async (tx) => {
      const { rows } = await tx.query(PID);
      const client = await own.connect();
      expect((await client.query(PID)).rows).toEqual([{ pid: `its ${rows[0]?.['pid']}` }]);
      client.release();
    });
    expect(own.totalCount).toBe(0);
  });

  test('let it end its own pool, and leave ours alone', async ({ database }) => {
    const pool = openPool(database.connection);
    const own = ownPool();
    mikroOrmOptions(pool, { pg }).onPoolCreated(own);
    await own.end();
    expect(own.ended).toBe(true);
    expect(await errorOf(own.connect())).toMatchObject({ code: 'ERR_LIFEGUARD_POOL_CLOSED' });
    expect((await pool.query('select 7 as n')).rows).toEqual([{ n: 7 }]);
  });
});
