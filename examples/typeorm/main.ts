/** TypeORM in Lifeguard's transactions. */
import { createPool } from '@lifeguard/core';
import { typeormDriver } from '@lifeguard/core/orms';
import { startPostgres } from '@lifeguard/testkit';
import pg from 'pg';
import { DataSource, EntitySchema } from 'typeorm';

const server = process.env['DATABASE_URL'] ? undefined : await startPostgres();
const connectionString = server?.url() ?? process.env['DATABASE_URL'];
const pool = createPool({ connectionString, name: 'typeorm', max: 5 });

interface Account {
  owner: string;
  balance: number;
}

const Accounts = new EntitySchema<Account>({
  name: 'Account',
  tableName: 'example_typeorm',
  columns: { owner: { type: 'text', primary: true }, balance: { type: 'int' } },
});

// The one line. Where the server is, the pool knows.
const driver = typeormDriver(pool, { pg });
const source = await new DataSource({ type: 'postgres', driver, entities: [Accounts] }).initialize();

try {
  await pool.query('create table example_typeorm (owner text primary key, balance int not null check (balance >= 0))');
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
  await pool.query('drop table if exists example_typeorm');
  await source.destroy();
  await pool.close();
  await server?.stop();
}

/** Knows nothing of the transaction that it is part of. */
async function open(owner: string, balance: number): Promise<void> {
  await source.manager.insert(Accounts, { owner, balance });
}

/** A transaction of TypeORM's own: a real one where it stands alone, a savepoint inside another. */
async function move(from: string, to: string, amount: number): Promise<void> {
  await source.transaction(async (manager) => {
    await manager.increment(Accounts, { owner: to }, 'balance', amount);
    await manager.decrement(Accounts, { owner: from }, 'balance', amount);
  });
}

async function show(what: string): Promise<void> {
  const rows = await source.manager.find(Accounts, { order: { owner: 'asc' } });
  console.log(`${what}: ${rows.map(({ owner, balance }) => `${owner} ${balance}`).join(', ')}`);
}
