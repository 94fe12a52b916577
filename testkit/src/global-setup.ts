import type { TestProject } from 'vitest/node';
import { type PostgresServer, startPostgres } from './postgres-server.ts';
import { type ConnectionParameters, queryOnce } from './query-once.ts';
import { sweepLeftovers } from './scratch.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The server all test files share, and the database they copy theirs from. */
    postgres: { readonly admin: ConnectionParameters; readonly template: string };
  }
}

/** One server for the whole run: the user's by DATABASE_URL, else an embedded one. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const url = process.env['DATABASE_URL'];
  const server = url ? undefined : await startPostgres();
  const admin = server?.connection() ?? connectionOf(new URL(url as string));
  const template = `lifeguard_template_${process.pid}_${Date.now().toString(36)}`;
  await queryOnce(admin, `create database ${template}`);
  if (server) await queryOnce({ ...admin, database: template }, 'create extension pg_stat_statements');
  project.provide('postgres', { admin, template });
  return () => tearDown(server, admin, template);
}

async function tearDown(
  server: PostgresServer | undefined,
  admin: ConnectionParameters,
  template: string,
): Promise<void> {
  if (server) await server.stop();
  else await queryOnce(admin, `drop database ${template}`);
  sweepLeftovers(); // of workers that were killed
}

function connectionOf(url: URL): ConnectionParameters {
  const password = decodeURIComponent(url.password);
  return {
    host: url.hostname,
    port: Number(url.port || 5432),
    user: decodeURIComponent(url.username) || 'postgres',
    database: decodeURIComponent(url.pathname.slice(1)) || 'postgres',
    ...(password === '' ? {} : { password }),
  };
}
