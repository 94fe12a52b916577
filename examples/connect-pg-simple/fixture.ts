import type { LifeguardPool } from '@lifeguard/core';
import connectPgSimple, { type PGStore } from 'connect-pg-simple';
import session from 'express-session';
import type pg from 'pg';

const Store = connectPgSimple(session);

/**
 * A store whose statements stay outside of the request's transaction: a session is saved when the answer is sent, which is
 * after the end of that, and it must outlive a request that fails.
 */
export function openStore(pool: LifeguardPool, pgPool: pg.Pool): PGStore {
  const query = (text: string, values?: unknown[]): Promise<pg.QueryResult> =>
    pool.outside(() => pgPool.query(text, values));
  return new Store({ pool: { query } as pg.Pool, createTableIfMissing: true, pruneSessionInterval: false });
}
