import type pg from 'pg';
import type { PeerPool } from './stub-client.ts';

/** As pg's own documentation has it: https://node-postgres.com/features/transactions */
export async function inTransaction<Result>(
  pool: PeerPool,
  work: (client: pg.ClientBase) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}
