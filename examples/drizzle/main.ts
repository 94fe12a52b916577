/** Drizzle in Lifeguard's transactions, unchanged. */
import { createPool } from '@lifeguard/core';
import { startPostgres } from '@lifeguard/testkit';
import { eq, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { integer, pgTable, text } from 'drizzle-orm/pg-core';
import pg from 'pg';

const server = process.env['DATABASE_URL'] ? undefined : await startPostgres();
const connectionString = server?.url() ?? process.env['DATABASE_URL'];
const pool = createPool({ connectionString, name: 'drizzle', max: 5 });

// The one line. Drizzle takes it for a pg.Pool, and it is one.
const db = drizzle({ client: pool.asPgPool({ pg }) });
const accounts = pgTable('example_drizzle', { owner: text().primaryKey(), balance: integer().notNull() });

try {
  await pool.query('create table example_drizzle (owner text primary key, balance int not null check (balance >= 0))');
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
  await pool.query('drop table if exists example_drizzle');
  await pool.close();
  await server?.stop();
}

/** Knows nothing of the transaction that it is part of. */
async function open(owner: string, balance: number): Promise<void> {
  await db.insert(accounts).values({ owner, balance });
}

/** A transaction of Drizzle's own: a real one where it stands alone, a savepoint inside another. */
async function move(from: string, to: string, amount: number): Promise<void> {
  await db.transaction(async (tx) => {
    const plus = (sum: number) => ({ balance: sql`${accounts.balance} + ${sum}` });
    await tx.update(accounts).set(plus(amount)).where(eq(accounts.owner, to));
    await tx.update(accounts).set(plus(-amount)).where(eq(accounts.owner, from));
  });
}

async function show(what: string): Promise<void> {
  const rows = await db.select().from(accounts).orderBy(accounts.owner);
  console.log(`${what}: ${rows.map(({ owner, balance }) => `${owner} ${balance}`).join(', ')}`);
}
