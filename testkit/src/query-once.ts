import pg from 'pg';

/** The name by which the connections of the test kit are told from those under test. */
export const TESTKIT_APPLICATION: string = 'lifeguard-testkit';

/** Where a server is and who asks. */
export interface ConnectionParameters {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly password?: string;
}

/** The rows of one statement on a connection of its own, which survives nothing and so needs no care. */
export async function queryOnce<Row extends pg.QueryResultRow = Record<string, unknown>>(
  connection: ConnectionParameters,
  sql: string,
  values?: readonly unknown[],
): Promise<Row[]> {
  const client = new pg.Client({
    ...connection,
    application_name: TESTKIT_APPLICATION,
    connectionTimeoutMillis: 10_000,
  });
  client.on('error', () => undefined); // the statement's own promise tells
  try {
    await client.connect();
    return (await client.query<Row>(sql, values === undefined ? undefined : [...values])).rows;
  } finally {
    await client.end();
  }
}

/** A connection as a URL; a host that is a folder (a unix socket) goes into the query string. */
export function urlOf({ host, port, user, database, password }: ConnectionParameters): string {
  const secret = password === undefined ? '' : `:${encodeURIComponent(password)}`;
  return `postgres://${encodeURIComponent(user)}${secret}@${host}:${port}/${encodeURIComponent(database)}`;
}
