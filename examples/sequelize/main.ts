/** Sequelize 6 in Lifeguard's transactions. */
import { createPool } from '@lifeguard/core';
import { sequelizeOn } from '@lifeguard/core/orms';
import { startPostgres } from '@lifeguard/testkit';
import pg from 'pg';
import { DataTypes, type Model, type ModelStatic, Sequelize } from 'sequelize';

const server = process.env['DATABASE_URL'] ? undefined : await startPostgres();
const connectionString = server?.url() ?? process.env['DATABASE_URL'];
const pool = createPool({ connectionString, name: 'sequelize', max: 5 });

type Accounts = ModelStatic<Model<{ owner: string; balance: number }>>;

// The one line. From now on Sequelize opens no connection of its own.
const options = { dialect: 'postgres', dialectModule: pg, logging: false } as const;
const sequelize = sequelizeOn(new Sequelize(options), pool, { pg });
const columns = { owner: { type: DataTypes.STRING, primaryKey: true }, balance: DataTypes.INTEGER };
const accounts: Accounts = sequelize.define('Account', columns, { tableName: 'example_sequelize', timestamps: false });

try {
  await pool.query(
    'create table example_sequelize (owner text primary key, balance int not null check (balance >= 0))',
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
  await pool.query('drop table if exists example_sequelize');
  await sequelize.close();
  await pool.close();
  await server?.stop();
}

/** Knows nothing of the transaction that it is part of. */
async function open(owner: string, balance: number): Promise<void> {
  await accounts.create({ owner, balance });
}

/** A transaction of Sequelize's own: a real one where it stands alone, a savepoint inside another. */
async function move(from: string, to: string, amount: number): Promise<void> {
  await sequelize.transaction(async (transaction) => {
    await accounts.increment('balance', { by: amount, where: { owner: to }, transaction });
    await accounts.decrement('balance', { by: amount, where: { owner: from }, transaction });
  });
}

async function show(what: string): Promise<void> {
  const rows = (await accounts.findAll({ order: ['owner'] })).map((account) => account.get());
  console.log(`${what}: ${rows.map(({ owner, balance }) => `${owner} ${balance}`).join(', ')}`);
}
