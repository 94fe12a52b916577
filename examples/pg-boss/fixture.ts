import type pg from 'pg';
import { PgBoss } from 'pg-boss';

/** A started queue named `notes`, without the timers of maintenance. */
export async function openQueue(pgPool: pg.Pool): Promise<PgBoss> {
  const db = { executeSql: (text: string, values?: unknown[]) => pgPool.query(text, values) };
  const boss = new PgBoss({ db, supervise: false, schedule: false });
  await boss.start();
  await boss.createQueue('notes');
  return boss;
}
