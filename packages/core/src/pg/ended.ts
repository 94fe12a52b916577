import type { PgConnection } from './pg-connection.ts';

/**
 * Which sessions the server has no more. One that is left is told to end: its client, who may do so as the same role,
 * has given it up. A process number is used again some day, so the process must also be as old as our session is.
 */
export async function endedAmong(
  side: PgConnection,
  connections: readonly PgConnection[],
  now: number,
): Promise<readonly PgConnection[]> {
  const pids = connections.map(({ client }) => client.processID);
  const ages = connections.map(({ session }) => now - (session.openedAt ?? now));
  const { rows } = await side.query<{ pid: number }>({ text: END_SESSIONS, values: [pids, ages] });
  const alive = new Set(rows.map(({ pid }) => pid));
  return connections.filter(({ client }) => client.processID === null || !alive.has(client.processID));
}

const END_SESSIONS = `SELECT a.pid, pg_terminate_backend(a.pid)
 FROM unnest($1::int[], $2::float8[]) AS ours (pid, age) JOIN pg_stat_activity a ON a.pid = ours.pid
 WHERE extract(epoch FROM clock_timestamp() - a.backend_start) * 1000 >= ours.age`;
