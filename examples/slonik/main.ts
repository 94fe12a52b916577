/** Slonik in Lifeguard's transactions. */
import { createPool } from '@lifeguard/core';
import { slonikOptions } from '@lifeguard/core/orms';
import { startPostgres } from '@lifeguard/testkit';
import pg from 'pg';
import * as slonik from 'slonik';
import { z } from 'zod';

const server = process.env['DATABASE_URL'] ? undefined : await startPostgres();
const connectionString = server?.url() ?? process.env['DATABASE_URL'];
const pool = createPool({ connectionString, name: 'slonik', max: 5 });

// The one line. Where the server is, the pool knows.
const db = await slonik.createPool('postgres://', slonikOptions(pool, { pg, slonik }));
const { sql } = slonik;
const account = z.object({ owner: z.string(), balance: z.number() });

try {
  await pool.query('create table example_slonik (owner text primary key, balance int not null check (balance >= 0))');
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
  await pool.query('drop table if exists example_slonik');
  await db.end();
  await pool.close();
  await server?.stop();
}

/** Knows nothing of the transaction that it is part of. */
async function open(owner: string, balance: number): Promise<void> {
  await db.query(sql.unsafe`insert into example_slonik values (${owner}, ${balance})`);
}

/** A transaction of Slonik's own: a real one where it stands alone, a savepoint inside another. */
async function move(from: string, to: string, amount: number): Promise<void> {
  await db.transaction(async (tx) => {
    const add = (owner: string, sum: number) =>
      tx.query(sql.unsafe`update example_slonik set balance = balance + ${sum} where owner = ${owner}`);
    await add(to, amount);
    await add(from, -amount);
  });
}

async function show(what: string): Promise<void> {
  const rows = await db.any(sql.type(account)`select owner, balance from example_slonik order by owner`);
  console.log(`${what}: ${rows.map(({ owner, balance }) => `${owner} ${balance}`).join(', ')}`);
}
