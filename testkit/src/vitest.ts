import { randomBytes } from 'node:crypto';
import { test as base, inject, type TestAPI } from 'vitest';
import { Database } from './database.ts';
import type {} from './global-setup.ts';
import { type PostgresServer, type ServerOptions, startPostgres } from './postgres-server.ts';
import { queryOnce } from './query-once.ts';

export interface Fixtures {
  /** A database of this test file's own on the shared server, made at its first use. */
  readonly database: Database;
  /** A server of this test file's own, started at its first use, with which the tests do as they please. */
  readonly server: PostgresServer;
}

/** vitest's `test` with a database, and a server, of this file's own. */
export const test: TestAPI<Fixtures> = testWithServer();

/** The same with options for the file's own server. */
export function testWithServer(options: ServerOptions = {}): TestAPI<Fixtures> {
  const fixtures = base.extend<Fixtures>({
    database: [databaseFixture, { scope: 'file' }],
    // biome-ignore lint/correctness/noEmptyPattern: vitest reads the names of the pattern
    server: [async ({}, use) => serverFixture(options, use), { scope: 'file' }],
  });
  return fixtures as TestAPI<Fixtures>;
}

// biome-ignore lint/correctness/noEmptyPattern: vitest reads the names of the pattern
async function databaseFixture({}: object, use: (database: Database) => Promise<void>): Promise<void> {
  const { admin, template } = inject('postgres');
  const name = `t_${process.pid}_${randomBytes(6).toString('hex')}`;
  await queryOnce(admin, `create database ${name} template ${template}`);
  await use(new Database({ ...admin, database: name }));
  await queryOnce(admin, `drop database ${name} with (force)`);
}

async function serverFixture(options: ServerOptions, use: (server: PostgresServer) => Promise<void>): Promise<void> {
  const server = await startPostgres(options);
  await use(server);
  await server.stop();
}

export { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, vi } from 'vitest';
