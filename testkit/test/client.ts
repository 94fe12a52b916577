import type { ConnectionParameters } from '@lifeguard/testkit';
import { onTestFinished } from '@lifeguard/testkit/vitest';
import pg from 'pg';

/** A connected client of pg that ends with its test; what the server tells it while idle is kept in `errors`. */
export async function connectClient(
  connection: ConnectionParameters,
  options: pg.ClientConfig = {},
): Promise<pg.Client & { readonly errors: readonly Error[] }> {
  const errors: Error[] = [];
  const client = new pg.Client({ ...connection, connectionTimeoutMillis: 2_000, ...options });
  client.on('error', (error) => errors.push(error));
  onTestFinished(() => void client.end().catch(() => undefined));
  await client.connect();
  return Object.assign(client, { errors });
}
