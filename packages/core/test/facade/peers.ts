import type { EventEmitter } from 'node:events';
import type { ConnectionParameters } from '@lifeguard/testkit';
import { expect, onTestFinished } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import type { LifeguardPool, PoolOptions } from '../../src/index.ts';
import { openPool } from '../server/rig.ts';

/** `query()` in spellings that no type knows. */
export interface Asker {
  query(...args: readonly unknown[]): unknown;
}

/** A façade, and the pool behind it. */
export interface Facade {
  readonly pool: LifeguardPool;
  readonly pgPool: pg.Pool;
}

/** What is told is heard, and ends no process. */
function mute(pgPool: pg.Pool): pg.Pool {
  pgPool.on('error', () => undefined);
  return pgPool;
}

/** pg's own pool, which ends with its test. */
export function openPgPool(connection: ConnectionParameters | object, options: pg.PoolConfig = {}): pg.Pool {
  const pgPool = mute(new pg.Pool({ ...connection, ...options }));
  onTestFinished(() => (pgPool.ending ? undefined : pgPool.end()));
  return pgPool;
}

export function openFacade(connection: ConnectionParameters | object, options: PoolOptions = {}): Facade {
  const pool = openPool(connection, options);
  return { pool, pgPool: mute(pool.asPgPool({ pg })) };
}

export interface Both<T> {
  readonly theirs: T;
  readonly ours: T;
}

type Setting = Pick<PoolOptions, 'max' | 'min' | 'maxUses'>;

/** Runs a program with pg's own pool, then with the façade, and has what it answers each time. */
export async function onBoth<T>(
  { connection }: { readonly connection: ConnectionParameters },
  program: (pgPool: pg.Pool) => Promise<T>,
  { max = 2, ...rest }: Setting = {},
): Promise<Both<T>> {
  const theirs = await program(openPgPool(connection, { max, ...(rest as pg.PoolConfig) }));
  const ours = await program(openFacade(connection, { max, ...rest }).pgPool);
  return { theirs, ours };
}

/** The same, where both must answer alike; that is what it answers with. */
export async function alike<T>(
  database: { readonly connection: ConnectionParameters },
  program: (pgPool: pg.Pool) => Promise<T>,
  setting?: Setting,
): Promise<T> {
  const { theirs, ours } = await onBoth(database, program, setting);
  expect(ours).toEqual(theirs);
  return ours;
}

/** With a client that is given back whatever happens. */
export async function withClient<T>(pgPool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pgPool.connect();
  try {
    return await work(client);
  } finally {
    client.release();
  }
}

/** Resolves at an event, whatever else happens until then. */
export async function happened(emitter: EventEmitter, event: string): Promise<void> {
  await new Promise((resolve) => emitter.once(event, resolve));
}
