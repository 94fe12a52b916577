import type * as net from 'node:net';
import type { PgClient } from './pg-subset.ts';

/** Where the server is, as the socket knows it. */
export function addressOf(client: PgClient): net.NetConnectOpts {
  const { remoteAddress, remotePort } = client.connection.stream;
  if (remoteAddress !== undefined && remotePort !== undefined) return { host: remoteAddress, port: remotePort };
  const isSocketFile = client.host.startsWith('/');
  return isSocketFile ? { path: `${client.host}/.s.PGSQL.${client.port}` } : { host: client.host, port: client.port };
}
