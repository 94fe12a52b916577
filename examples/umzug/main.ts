/** Umzug in one transaction of Lifeguard's: all migrations that are missing, or none of them. */
import { createPool } from '@lifeguard/core';
import { startPostgres } from '@lifeguard/testkit';
import pg from 'pg';
import { Umzug, type UmzugStorage } from 'umzug';

const server = process.env['DATABASE_URL'] ? undefined : await startPostgres();
const connectionString = server?.url() ?? process.env['DATABASE_URL'];
const pool = createPool({ connectionString, name: 'umzug', max: 5 });

const storage: UmzugStorage<pg.Pool> = {
  async logMigration({ name, context }) {
    await context.query('insert into example_umzug values ($1)', [name]);
  },
  async unlogMigration({ name, context }) {
    await context.query('delete from example_umzug where name = $1', [name]);
  },
  async executed({ context }) {
    const { rows } = await context.query<{ name: string }>('select name from example_umzug order by name');
    return rows.map(({ name }) => name);
  },
};
const steps = [
  ['1-books', 'create table example_books (id int primary key)'],
  ['2-first', 'insert into example_books values (1)'],
  ['3-again', 'insert into example_books values (1)'],
] as const;

try {
  await pool.query('create table example_umzug (name text primary key)');
  await pool
    .transaction(() => upTo('3-again'))
    .catch((error: Error) => console.log(`nothing is left: ${error.message}`));
  await pool.transaction(() => upTo('2-first'));
  const { rows } = await pool.query<{ name: string }>('select name from example_umzug order by name');
  console.log(`ran: ${rows.map(({ name }) => name).join(', ')}`);
} finally {
  await pool.query('drop table if exists example_umzug, example_books');
  await pool.close();
  await server?.stop();
}

async function upTo(last: string): Promise<void> {
  const migrations = steps.map(([name, text]) => ({
    name,
    up: ({ context }: { context: pg.Pool }) => context.query(text),
  }));
  // The one line: Umzug hands its context to the migrations and to the storage.
  const umzug = new Umzug({ migrations, storage, context: pool.asPgPool({ pg }), logger: undefined });
  await umzug.up({ to: last });
}
