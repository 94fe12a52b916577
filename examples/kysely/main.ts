/** Kysely in Lifeguard's transactions, unchanged. */
import { createPool } from '@lifeguard/core';
import { startPostgres } from '@lifeguard/testkit';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import Cursor from 'pg-cursor';

const server = process.env['DATABASE_URL'] ? undefined : await startPostgres();
const connectionString = server?.url() ?? process.env['DATABASE_URL'];
const pool = createPool({ connectionString, name: 'kysely', max: 5 });

interface Tables {
  example_kysely: { owner: string; balance: number };
}

// The one line.
const dialect = new PostgresDialect({ pool: pool.asPgPool({ pg }), cursor: Cursor });
const db = new Kysely<Tables>({ dialect });

try {
  await pool.query('create table example_kysely (owner text primary key, balance int not null check (balance >= 0))');
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
  await pool.query('drop table if exists example_kysely');
  await db.destroy();
  await pool.close();
  await server?.stop();
}

/** Knows nothing of the transaction that it is part of. */
async function open(owner: string, balance: number): Promise<void> {
  await db.insertInto('example_kysely').values({ owner, balance }).execute();
}

/** A transaction of Kysely's own: a real one where it stands alone, a savepoint inside another. */
async function move(from: string, to: string, amount: number): Promise<void> {
  await db.transaction().execute(async (tx) => {
    const add = (owner: string, sum: number) =>
      tx
        .updateTable('example_kysely')
        .set((it) => ({ balance: it('balance', '+', sum) }))
        .where('owner', '=', owner);
    await add(to, amount).execute();
    await add(from, -amount).execute();
  });
}

async function show(what: string): Promise<void> {
  const rows = await db.selectFrom('example_kysely').selectAll().orderBy('owner').execute();
  console.log(`${what}: ${rows.map(({ owner, balance }) => `${owner} ${balance}`).join(', ')}`);
}
