import type { Database } from '@lifeguard/testkit';
import { waitUntil } from '@lifeguard/testkit';
import { expect, onTestFinished } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import type { PgPoolOptions } from '../../src/facade/pg-pool-options.ts';
import type { LifeguardPool, PoolOptions } from '../../src/index.ts';
import { Notes, openPool } from '../server/rig.ts';

/** How a test wants its house. */
export interface Wishes {
  readonly pool?: PoolOptions;
  readonly facade?: Omit<PgPoolOptions, 'pg'>;
}

/** A pool, its façade as a library sees it, and an empty table. */
export interface House {
  readonly database: Database;
  readonly pool: LifeguardPool;
  readonly orm: pg.Pool;
  readonly notes: Notes;
  /** What is stored, as others see it. */
  stored(): Promise<number[]>;
}

/** At the end of its test nothing may be left over: no lease, and no transaction on the server. */
export async function prepared(database: Database, { pool: options, facade }: Wishes = {}): Promise<House> {
  await database.query('create table if not exists item (id int primary key)');
  await database.query('truncate item');
  const notes = new Notes();
  const pool = openPool(database.connection, { max: 4, logger: notes, ...options });
  const orm = pool.asPgPool({ pg, ...facade });
  onTestFinished(() => leavesNothing(database, pool));
  return { database, pool, orm, notes, stored: () => storedIn(database) };
}

/** Waits until all was given back, and nobody is inside a transaction. */
export async function leavesNothing(database: Database, pool: LifeguardPool): Promise<void> {
  await waitUntil(() => pool.snapshot().leased === 0, { what: 'all leases to be given back' });
  await database.waitFor('no open transaction', (backends) =>
    backends.every(({ state }) => state === null || !state.startsWith('idle in transaction')),
  );
}

async function storedIn(database: Database): Promise<number[]> {
  const rows = await database.query<{ id: number }>('select id from item order by id');
  return rows.map(({ id }) => id);
}

/** Whatever a library sends its statements to. */
export type Asker = Pick<pg.Pool | pg.PoolClient, 'query'>;

export function put(asker: { query(text: string, values: unknown[]): unknown }, id: number): Promise<unknown> {
  return asker.query('insert into item values ($1)', [id]) as Promise<unknown>;
}

/** Leaves its transaction, to be recognised outside. */
export class Mine extends Error {
  override readonly message: string = 'mine';
}

/** Runs work that is meant to be rolled back, by an error of its own. */
export async function undone(work: (fail: () => never) => Promise<unknown>): Promise<void> {
  const fail = (): never => {
    throw new Mine();
  };
  await expect(work(fail)).rejects.toBeInstanceOf(Mine);
}

/** Runs `fn` as one whole call of a library: what is asked for inside belongs to the transaction that it begins. */
export function wholly<T>(pool: LifeguardPool, fn: () => T | Promise<T>): Promise<T> {
  const { whereabouts } = pool as unknown as {
    readonly whereabouts: { whole<V>(fn: () => V | Promise<V>): Promise<V> };
  };
  return whereabouts.whole(fn);
}
