/** Sessions of express-session stay outside of the request's transaction: they outlive a request that fails. */
import { promisify } from 'node:util';
import { createPool } from '@lifeguard/core';
import { startPostgres } from '@lifeguard/testkit';
import connectPgSimple from 'connect-pg-simple';
import session, { type SessionData } from 'express-session';
import pg from 'pg';

const server = process.env['DATABASE_URL'] ? undefined : await startPostgres();
const connectionString = server?.url() ?? process.env['DATABASE_URL'];
const pool = createPool({ connectionString, name: 'connect-pg-simple', max: 5 });
const pgPool = pool.asPgPool({ pg });

// The store asks its pool for nothing but `query`. The session is saved when the answer is sent: after the transaction.
const query = (text: string, values?: unknown[]): Promise<pg.QueryResult> =>
  pool.outside(() => pgPool.query(text, values));
const Store = connectPgSimple(session);
const store = new Store({ pool: { query } as pg.Pool, tableName: 'example_sessions', createTableIfMissing: true });
const save = promisify(store.set.bind(store)) as (id: string, data: SessionData) => Promise<void>;
const load = promisify(store.get.bind(store)) as (id: string) => Promise<SessionData | null>;

try {
  await pool.query('create table example_visits (who text primary key)');
  await pool
    .transaction(async () => {
      await pool.query("insert into example_visits values ('ada')");
      await save('a-session', { cookie: { originalMaxAge: 60_000 } } as SessionData);
      throw new Error('the request failed');
    })
    .catch((error: Error) => console.log(error.message));
  const { rows } = await pool.query('select who from example_visits');
  console.log(`${rows.length} visits, and the session ${(await load('a-session')) ? 'is' : 'is not'} there`);
} finally {
  await store.close();
  await pool.query('drop table if exists example_visits, example_sessions');
  await pool.close();
  await server?.stop();
}
