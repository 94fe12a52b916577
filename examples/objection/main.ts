/** Objection in Lifeguard's transactions, unchanged. */
import { createPool } from '@lifeguard/core';
import { startPostgres } from '@lifeguard/testkit';
import knex from 'knex';
import { Model } from 'objection';
import pg from 'pg';

const server = process.env['DATABASE_URL'] ? undefined : await startPostgres();
const connectionString = server?.url() ?? process.env['DATABASE_URL'];
const pool = createPool({ connectionString, name: 'objection', max: 5 });

class Account extends Model {
  static override tableName = 'example_objection';
  static override idColumn = 'owner';
  declare owner: string;
  declare balance: number;
}

// The one line. It needs Knex 3.3.
const db = knex({ client: 'pg', connectionPool: pool.asPgPool({ pg }) });
Model.knex(db);

try {
  await pool.query(
    'create table example_objection (owner text primary key, balance int not null check (balance >= 0))',
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
  await pool.query('drop table if exists example_objection');
  await db.destroy();
  await pool.close();
  await server?.stop();
}

/** Knows nothing of the transaction that it is part of. */
async function open(owner: string, balance: number): Promise<void> {
  await Account.query().insert({ owner, balance });
}

/** A transaction of Objection's own: a real one where it stands alone, a savepoint inside another. */
async function move(from: string, to: string, amount: number): Promise<void> {
  await Account.transaction(async (tx) => {
    await Account.query(tx).findById(to).increment('balance', amount);
    await Account.query(tx).findById(from).decrement('balance', amount);
  });
}

async function show(what: string): Promise<void> {
  const rows = await Account.query().orderBy('owner');
  console.log(`${what}: ${rows.map(({ owner, balance }) => `${owner} ${balance}`).join(', ')}`);
}
