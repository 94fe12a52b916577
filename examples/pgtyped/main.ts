/** PgTyped in Lifeguard's transactions, unchanged. */
import { createPool } from '@lifeguard/core';
import { startPostgres } from '@lifeguard/testkit';
import { sql } from '@pgtyped/runtime';
import pg from 'pg';

const server = process.env['DATABASE_URL'] ? undefined : await startPostgres();
const connectionString = server?.url() ?? process.env['DATABASE_URL'];
const pool = createPool({ connectionString, name: 'pgtyped', max: 5 });

// PgTyped's generator writes these types from the queries.
interface Account {
  owner: string;
  balance: number;
}

const insert = sql<{ params: Account; result: undefined }>`insert into example_pgtyped values ($owner!, $balance!)`;
const add = sql<{
  params: Account;
  result: undefined;
}>`update example_pgtyped set balance = balance + $balance! where owner = $owner!`;
const select = sql<{ params: undefined; result: Account }>`select owner, balance from example_pgtyped order by owner`;

// The one line. PgTyped is given it with each query.
const pgPool = pool.asPgPool({ pg });

try {
  await pool.query('create table example_pgtyped (owner text primary key, balance int not null check (balance >= 0))');
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
  await pool.query('drop table if exists example_pgtyped');
  await pool.close();
  await server?.stop();
}

/** Knows nothing of the transaction that it is part of. */
async function open(owner: string, balance: number): Promise<void> {
  await insert.run({ owner, balance }, pgPool);
}

/** PgTyped has no transactions of its own. This one is nested where it is called in another. */
async function move(from: string, to: string, amount: number): Promise<void> {
  const both = async (): Promise<void> => {
    await add.run({ owner: to, balance: amount }, pgPool);
    await add.run({ owner: from, balance: -amount }, pgPool);
  };
  await pool.transaction(both, { propagation: 'nested' });
}

async function show(what: string): Promise<void> {
  const rows = await select.run(undefined, pgPool);
  console.log(`${what}: ${rows.map(({ owner, balance }) => `${owner} ${balance}`).join(', ')}`);
}
