/** Knex in Lifeguard's transactions, unchanged. */
import { createPool } from '@lifeguard/core';
import { startPostgres } from '@lifeguard/testkit';
import knex from 'knex';
import pg from 'pg';

const server = process.env['DATABASE_URL'] ? undefined : await startPostgres();
const connectionString = server?.url() ?? process.env['DATABASE_URL'];
const pool = createPool({ connectionString, name: 'knex', max: 5 });

interface Account {
  readonly owner: string;
  readonly balance: number;
}

// The one line. It needs Knex 3.3.
const db = knex({ client: 'pg', connectionPool: pool.asPgPool({ pg }) });

try {
  await pool.query('create table example_knex (owner text primary key, balance int not null check (balance >= 0))');
  await open('ada', 100);

  await pool.transaction(async () => {
    await open('grace', 0);
    await move('ada', 'grace', 30);
  });
  await show('committed together');

  await pool
    .transaction(async () => {
      await open('linus', 0);
      await move('ada', 'linus', 1_000);
    })
    .catch(() => show('rolled back together, the new account and all'));

  await pool.transaction(async () => {
    await move('ada', 'grace', 1_000).catch(() => console.log('no overdraft, and the transaction goes on'));
    await move('ada', 'grace', 10);
  });
  await show('of the last two only the first was undone');
} finally {
  await pool.query('drop table if exists example_knex');
  await db.destroy();
  await pool.close();
  await server?.stop();
}

/** Knows nothing of the transaction that it is part of. */
async function open(owner: string, balance: number): Promise<void> {
  await db('example_knex').insert({ owner, balance });
}

/** A transaction of Knex's own: a real one where it stands alone, a savepoint inside another. */
async function move(from: string, to: string, amount: number): Promise<void> {
  await db.transaction(async (tx) => {
    await tx('example_knex').where({ owner: to }).increment('balance', amount);
    await tx('example_knex').where({ owner: from }).decrement('balance', amount);
  });
}

async function show(what: string): Promise<void> {
  const rows = await db<Account>('example_knex').orderBy('owner');
  console.log(`${what}: ${rows.map(({ owner, balance }) => `${owner} ${balance}`).join(', ')}`);
}
