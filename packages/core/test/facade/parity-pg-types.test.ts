import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg, { Pool as NamedPool } from 'pg';
import Cursor from 'pg-cursor';
import { openFacade } from './peers.ts';

/** Where a library says that it takes pg's pool. */
interface Wants {
  readonly pool: pg.Pool;
  readonly client: pg.PoolClient | pg.ClientBase;
}

/** Read by the compiler: `tsc -b` fails where a line of it is not true of the types. */
describe('the type of a façade', () => {
  test('is the pg.Pool of the package that was given', async ({ database }) => {
    const { pool } = openFacade(database.connection);
    const plain: pg.Pool = pool.asPgPool({ pg });
    const named: NamedPool = pool.asPgPool({ pg: { Pool: NamedPool } });
    const wants: Wants = { pool: pool.asPgPool({ pg }), client: await plain.connect() };
    (wants.client as pg.PoolClient).release();
    expect([plain, named, wants.pool].every((one) => one instanceof pg.Pool)).toBe(true);
  });

  test('is that of a subclass, with what that one has beside', ({ database }) => {
    class Counting extends pg.Pool {
      readonly extra: number = 7;
    }
    const { pool } = openFacade(database.connection);
    const counting: Counting = pool.asPgPool({ pg: { Pool: Counting } });
    expect(counting.extra).toBe(7);
  });

  test('has every form of query() that pg has', async ({ database }) => {
    const { pool } = openFacade(database.connection);
    const pgPool = pool.asPgPool({ pg });
    const typed: pg.QueryResult<{ n: number }> = await pgPool.query<{ n: number }>('select 1 as n');
    const arrays: pg.QueryArrayResult<[number]> = await pgPool.query<[number]>({ text: 'select 1', rowMode: 'array' });
    const cursor: Cursor<{ n: number }> = pgPool.query(new Cursor<{ n: number }>('select 1 as n'));
    expect([typed.rows[0]?.n, arrays.rows[0]?.[0], await cursor.read(1)]).toEqual([1, 1, [{ n: 1 }]]);
    pgPool.query('select 1 as n', [], (_error, { rowCount }) => expect(rowCount).toBe(1));
    await cursor.close();
  });

  test('takes types, late and isolateStatements by their names only', ({ database }) => {
    const { pool } = openFacade(database.connection);
    const options = { pg, types: pg.types, late: 'pool', isolateStatements: false } as const;
    const pgPool: pg.Pool = pool.asPgPool(options);
    expect(pgPool).toBeInstanceOf(pg.Pool);
    // @ts-expect-error: there is no such option
    expect(() => pool.asPgPool({ pg, isolate: false })).toThrow('isolate');
    // @ts-expect-error: the package is what is asked for
    expect(() => pool.asPgPool({})).toThrow('pg');
    // @ts-expect-error: late has two words
    expect(() => pool.asPgPool({ pg, late: 'drop' })).toThrow('late');
  });
});
