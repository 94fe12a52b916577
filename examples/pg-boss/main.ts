/** pg-boss in Lifeguard's transactions: a job is sent when what it is about has committed, or never. */
import { createPool } from '@lifeguard/core';
import { startPostgres } from '@lifeguard/testkit';
import pg from 'pg';
import { PgBoss } from 'pg-boss';

const server = process.env['DATABASE_URL'] ? undefined : await startPostgres();
const connectionString = server?.url() ?? process.env['DATABASE_URL'];
const pool = createPool({ connectionString, name: 'pg-boss', max: 5 });

// The one line, and what pg-boss takes for a database.
const pgPool = pool.asPgPool({ pg });
const db = { executeSql: (text: string, values?: unknown[]) => pgPool.query(text, values) };
const boss = new PgBoss({ db, schema: 'example_pg_boss' });

try {
  await pool.query('create table example_orders (id int primary key)');
  await boss.start();
  await boss.createQueue('receipts');

  await order(1);
  await pool
    .transaction(async () => {
      await order(2);
      throw new Error('the card was refused');
    })
    .catch((error: Error) => console.log(`order 2 and its job are undone: ${error.message}`));
  await pool.transaction(() => order(3));

  // Workers start outside of every transaction and scope: they outlive them.
  const printed = Promise.withResolvers<void>();
  let left = 2;
  await boss.work<{ order: number }>('receipts', { pollingIntervalSeconds: 0.5 }, async (jobs) => {
    for (const { data } of jobs) console.log(`receipt for order ${data.order}`);
    left -= jobs.length;
    if (left === 0) printed.resolve();
  });
  await printed.promise;
} finally {
  await boss.stop();
  await pool.query('drop table if exists example_orders');
  await pool.query('drop schema if exists example_pg_boss cascade');
  await pool.close();
  await server?.stop();
}

/** Both or neither, whether there is a transaction already or not. */
async function order(id: number): Promise<void> {
  await pool.transaction(async () => {
    await pool.query('insert into example_orders values ($1)', [id]);
    await boss.send('receipts', { order: id });
  });
}
