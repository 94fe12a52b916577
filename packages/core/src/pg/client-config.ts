import * as os from 'node:os';
import type { Settings } from '../options.ts';
import type { StartupLimits } from './startup.ts';
import { guarded } from './type-parsers.ts';

/** All keys that decide where and how to connect are own ones: pg would take absent ones from a polluted prototype. */
export function clientConfig({ forPg, name }: Settings, startup: StartupLimits): object {
  return {
    ...EXPLICIT,
    ...forPg,
    ...startup.config(),
    connectionString: forPg.connectionString,
    password: forPg.password,
    ssl: forPg.ssl,
    types: guarded(forPg.types),
    application_name: forPg.application_name ?? process.env['PGAPPNAME'] ?? applicationName(name),
  };
}

/** PostgreSQL shows printable ASCII, and 63 bytes of it. */
function applicationName(pool: string): string {
  return `${pool}@${os.hostname()}`.replace(/[^\x20-\x7e]/g, '?').slice(0, 63);
}

/** Keys that pg reads and that are not ours to give: named here so that no prototype can give them. */
const EXPLICIT = {
  binary: undefined,
  client_encoding: undefined,
  connection: undefined,
  connectionTimeoutMillis: undefined,
  fallback_application_name: undefined,
  pipeline: undefined,
  Promise: undefined,
  query_timeout: undefined,
  replication: undefined,
  scramMaxIterations: undefined,
} as const;
