/** MikroORM in Lifeguard's transactions. */
import { createPool } from '@lifeguard/core';
import { mikroOrmOptions } from '@lifeguard/core/orms';
import { startPostgres } from '@lifeguard/testkit';
import { EntitySchema, MikroORM } from '@mikro-orm/postgresql';
import pg from 'pg';

const server = process.env['DATABASE_URL'] ? undefined : await startPostgres();
const connectionString = server?.url() ?? process.env['DATABASE_URL'];
const pool = createPool({ connectionString, name: 'mikro-orm', max: 5 });

interface Account {
  owner: string;
  balance: number;
}

const Accounts = new EntitySchema<Account>({
  name: 'Account',
  tableName: 'example_mikro_orm',
  properties: { owner: { type: 'string', primary: true }, balance: { type: 'number' } },
});

// The one line. Where the server is, the pool knows.
const driverOptions = mikroOrmOptions(pool, { pg });
const orm = await MikroORM.init({ entities: [Accounts], dbName: 'postgres', driverOptions });

try {
  await pool.query(
    'create table example_mikro_orm (owner text primary key, balance int not null check (balance >= 0))',
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
  await pool.query('drop table if exists example_mikro_orm');
  await orm.close();
  await pool.close();
  await server?.stop();
}

/** Knows nothing of the transaction that it is part of. */
async function open(owner: string, balance: number): Promise<void> {
  await orm.em.fork().insert(Accounts, { owner, balance });
}

/** A transaction of MikroORM's own: a real one where it stands alone, a savepoint inside another. */
async function move(from: string, to: string, amount: number): Promise<void> {
  await orm.em.fork().transactional(async (em) => {
    const accounts = await em.find(Accounts, { owner: [from, to] });
    for (const account of accounts) account.balance += account.owner === to ? amount : -amount;
  });
}

async function show(what: string): Promise<void> {
  const rows = await orm.em.fork().find(Accounts, {}, { orderBy: { owner: 'asc' } });
  console.log(`${what}: ${rows.map(({ owner, balance }) => `${owner} ${balance}`).join(', ')}`);
}
