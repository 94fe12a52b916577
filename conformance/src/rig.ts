import { createPool, type LifeguardPool, type PoolOptions } from '@lifeguard/core';
import type { Database } from '@lifeguard/testkit';
import { expect, type Fixtures } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import type { Host, Library, Session } from './library.ts';

/** An open library on a pool of three connections, over an empty table. */
export interface Rig extends Host {
  readonly session: Session;
  readonly database: Database;
  /** What is stored, as another connection sees it. */
  stored(): Promise<number[]>;
}

/** The body of a test: plays on a new rig, looks whether anything was left behind, and puts everything away. */
export function playedOn(
  library: Library,
  play: (rig: Rig) => Promise<void>,
  options: PoolOptions = {},
): (fixtures: Fixtures) => Promise<void> {
  return async ({ database }) => {
    const { pool, pgPool, ...host } = await openHost(database, options);
    try {
      const session = await library.open({ pool, pgPool, ...host });
      const stored = (): Promise<number[]> => storedIn(database);
      await play({ pool, pgPool, ...host, session, database, stored });
      await expectNothingLeft(pool, database);
      await session.close();
      await expect(pool.query('select 1 as alive')).resolves.toMatchObject({ rows: [{ alive: 1 }] });
    } finally {
      await pool.close({ graceMillis: 0 });
    }
  };
}

/** A pool and its façade on a database with an empty table. */
export async function openHost(database: Database, options: PoolOptions = {}): Promise<Host> {
  await database.query('drop table if exists t');
  await database.query('create table t (id int primary key, note text)');
  const pool = createPool({ ...database.connection, name: 'conformance', max: 3, ...options });
  return { pool, pgPool: pool.asPgPool({ pg }), pg, connection: database.connection };
}

export async function storedIn(database: Database): Promise<number[]> {
  const rows = await database.query<{ id: number }>('select id from t order by id');
  return rows.map(({ id }) => id);
}

/** No lease is out, and the server has no transaction open and no more connections than it may have. */
export async function expectNothingLeft(pool: LifeguardPool, database: Database): Promise<void> {
  expect(pool.snapshot()).toMatchObject({ leased: 0, waiting: 0 });
  const backends = await database.backends();
  expect(backends.filter(({ transactionStartedAt }) => transactionStartedAt !== null)).toEqual([]);
  expect(backends.length).toBeLessThanOrEqual(pool.snapshot().max);
}
