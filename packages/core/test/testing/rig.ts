import type { Database } from '@lifeguard/testkit';
import type { LifeguardPool, PoolOptions } from '../../src/index.ts';
import { openPool } from '../server/rig.ts';

/** A table of its own, and a pool that has never seen a sandbox. */
export async function shop(database: Database, options: PoolOptions = {}): Promise<LifeguardPool> {
  await database.query('drop table if exists orders, customers cascade');
  await database.query('create table customers (name text primary key)');
  await database.query(
    'create table orders (id serial, customer text references customers deferrable initially deferred)',
  );
  return openPool(database.connection, options);
}

/** As somebody sees them who is in no sandbox. */
export async function stored(database: Database, table = 'customers'): Promise<number> {
  const rows = await database.query<{ n: number }>(`select count(*)::int as n from ${table}`);
  return rows[0]?.n ?? 0;
}

type Asker = { query(text: string, values?: readonly unknown[]): Promise<{ rows: unknown[] }> };

export async function names(asker: Asker): Promise<string[]> {
  const { rows } = await asker.query('select name from customers order by name');
  return (rows as { name: string }[]).map(({ name }) => name);
}

export function add(asker: Asker, name: string): Promise<unknown> {
  return asker.query('insert into customers values ($1)', [name]);
}

/** What the server has open for the pools of this test, beside idle connections. */
export async function openTransactions(database: Database): Promise<number> {
  const rows = await database.query<{ n: number }>(
    "select count(*)::int as n from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database() and state like 'idle in transaction%'",
  );
  return rows[0]?.n ?? 0;
}
