/** Zapatos in Lifeguard's transactions, unchanged. */
import { createPool } from '@lifeguard/core';
import { startPostgres } from '@lifeguard/testkit';
import pg from 'pg';
import * as db from 'zapatos/db';

const server = process.env['DATABASE_URL'] ? undefined : await startPostgres();
const connectionString = server?.url() ?? process.env['DATABASE_URL'];
const pool = createPool({ connectionString, name: 'zapatos', max: 5 });

interface Account {
  readonly owner: string;
  readonly balance: number;
}

// The one line. Zapatos is given it with each query.
const pgPool = pool.asPgPool({ pg });

try {
  await pool.query('create table example_zapatos (owner text primary key, balance int not null check (balance >= 0))');
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
  await pool.query('drop table if exists example_zapatos');
  await pool.close();
  await server?.stop();
}

/** Knows nothing of the transaction that it is part of. */
async function open(owner: string, balance: number): Promise<void> {
  await db.sql`insert into example_zapatos values (${db.param(owner)}, ${db.param(balance)})`.run(pgPool);
}

/** A transaction of Zapatos's own: a real one where it stands alone, a savepoint inside another. */
async function move(from: string, to: string, amount: number): Promise<void> {
  await db.readCommitted(pgPool, async (tx) => {
    const add = (owner: string, sum: number) =>
      db.sql`update example_zapatos set balance = balance + ${db.param(sum)} where owner = ${db.param(owner)}`.run(tx);
    await add(to, amount);
    await add(from, -amount);
  });
}

async function show(what: string): Promise<void> {
  const rows = await db.sql<db.SQL, Account[]>`select owner, balance from example_zapatos order by owner`.run(pgPool);
  console.log(`${what}: ${rows.map(({ owner, balance }) => `${owner} ${balance}`).join(', ')}`);
}
