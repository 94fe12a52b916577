/** node-pg-migrate in one transaction of Lifeguard's: all migrations and what is seeded after them, or nothing. */
import { fileURLToPath } from 'node:url';
import { createPool } from '@lifeguard/core';
import { startPostgres } from '@lifeguard/testkit';
import { runner } from 'node-pg-migrate';
import pg from 'pg';

const server = process.env['DATABASE_URL'] ? undefined : await startPostgres();
const connectionString = server?.url() ?? process.env['DATABASE_URL'];
const pool = createPool({ connectionString, name: 'node-pg-migrate', max: 5 });
const pgPool = pool.asPgPool({ pg });
const schema = 'example_migrate';

try {
  await pool
    .transaction(async () => {
      await migrate();
      await pool.query(`insert into ${schema}.notes values (1)`);
    })
    .catch((error: { code?: string }) =>
      console.log(`${error.code}: the seed was wrong, and nothing is left of it all`),
    );
  await show();

  await pool.transaction(async () => {
    await migrate();
    await pool.query(`insert into ${schema}.notes values (2)`);
  });
  await show();
} finally {
  await pool.query(`drop schema if exists ${schema} cascade`);
  await pool.close();
  await server?.stop();
}

/** Its BEGIN and COMMIT of each migration are savepoints here, and its advisory lock is given back. */
async function migrate(): Promise<void> {
  // The one line: a connection of the façade, which is the transaction's.
  const dbClient = await pgPool.connect();
  const dir = fileURLToPath(new URL('migrations', import.meta.url));
  const where = { dir, schema, createSchema: true, migrationsTable: 'migrations' };
  const ran = await runner({ dbClient, direction: 'up', log: () => undefined, ...where });
  dbClient.release();
  console.log(`ran ${ran.map(({ name }) => name).join(', ')}`);
}

async function show(): Promise<void> {
  const { rows } = await pool.query<{ notes: string | null }>(`select to_regclass('${schema}.notes')::text as notes`);
  console.log(`the table: ${rows[0]?.notes}`);
}
