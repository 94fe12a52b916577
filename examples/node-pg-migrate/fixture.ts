import { fileURLToPath } from 'node:url';
import { runner } from 'node-pg-migrate';
import type pg from 'pg';

/** Runs the migrations that are missing on a connection of the façade, and names them. */
export async function migrate(pgPool: pg.Pool): Promise<string[]> {
  const dbClient = await pgPool.connect();
  try {
    const ran = await runner({
      dbClient,
      dir: fileURLToPath(new URL('migrations', import.meta.url)),
      direction: 'up',
      migrationsTable: 'migrations',
      log: () => undefined,
    });
    return ran.map(({ name }) => name);
  } finally {
    dbClient.release();
  }
}
