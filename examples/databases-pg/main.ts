/** @databases/pg in Lifeguard's transactions. */
import databases, { sql } from '@databases/pg';
import { createPool } from '@lifeguard/core';
import { databasesOn } from '@lifeguard/core/orms';
import { startPostgres } from '@lifeguard/testkit';
import pg from 'pg';

const server = process.env['DATABASE_URL'] ? undefined : await startPostgres();
const connectionString = server?.url() ?? process.env['DATABASE_URL'];
const pool = createPool({ connectionString, name: 'databases-pg', max: 5 });

// The one line. It opens one connection of its own, to learn how it works, and closes it again.
const own = databases.default({ connectionString: connectionString ?? '', bigIntMode: 'bigint' });
const db = await databasesOn(own, pool, { pg });

try {
  await pool.query(
    'create table example_databases_pg (owner text primary key, balance int not null check (balance >= 0))',
  );
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
  await pool.query('drop table if exists example_databases_pg');
  await db.dispose();
  await pool.close();
  await server?.stop();
}

/** Knows nothing of the transaction that it is part of. */
async function open(owner: string, balance: number): Promise<void> {
  await db.query(sql`insert into example_databases_pg values (${owner}, ${balance})`);
}

/** A transaction of @databases/pg's own: a real one where it stands alone, a savepoint inside another. */
async function move(from: string, to: string, amount: number): Promise<void> {
  await db.tx(async (tx) => {
    await tx.query(sql`update example_databases_pg set balance = balance + ${amount} where owner = ${to}`);
    await tx.query(sql`update example_databases_pg set balance = balance - ${amount} where owner = ${from}`);
  });
}

async function show(what: string): Promise<void> {
  const rows: { owner: string; balance: number }[] = await db.query(
    sql`select * from example_databases_pg order by owner`,
  );
  console.log(`${what}: ${rows.map(({ owner, balance }) => `${owner} ${balance}`).join(', ')}`);
}
