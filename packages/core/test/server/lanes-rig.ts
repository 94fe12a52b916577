import type { ConnectionParameters, Database } from '@lifeguard/testkit';
import { onTestFinished } from '@lifeguard/testkit/vitest';
import { systemClock } from '../../src/clock.ts';
import type { LifeguardPool, PoolOptions, QueryResult } from '../../src/index.ts';
import { openPool } from './rig.ts';

/** Asks for the name of one number. */
export const NAME = 'select name from numbers where id = $1';
/** A plain read that waits for as long as somebody locks the table. */
export const HELD = 'select id from held';
/** Places on a lane: what the loss of one may cost. */
export const DEPTH = 64;

type Asker = Pick<LifeguardPool, 'query'>;
type Admin = Pick<Database, 'query'>;

/**
 * A pool in front of numbers that have names, with one lane unless `max` says otherwise, and a connection at hand. It knows
 * the texts of this file already, and 'select 1'.
 */
export async function lanePool(
  admin: Admin,
  connection: ConnectionParameters | object,
  options: PoolOptions = {},
): Promise<LifeguardPool> {
  await makeNumbers(admin);
  const pool = openPool(connection, { max: 2, logger: { warn: () => undefined }, ...options });
  await known(pool, 'select 1');
  await known(pool, NAME, [1]);
  await known(pool, HELD);
  return pool;
}

/** What nobody knows has a connection to itself: afterwards this text may share, whether it fails or not. */
export async function known(asker: Asker, text: string, values?: readonly unknown[]): Promise<void> {
  let uses = 2;
  for (let use = 0; use < uses; use += 1) {
    const began = systemClock.now();
    await Promise.allSettled([asker.query(text, values, { lane: false })]);
    // A busy machine: it was taken for slow.
    if (systemClock.now() - began > 20) uses = 80;
  }
}

async function makeNumbers(admin: Admin): Promise<void> {
  await admin.query(`create table if not exists numbers (id int primary key, name text, written timestamptz default now());
    create table if not exists held (id int);
    create table if not exists notes (id int primary key, body text);
    insert into numbers select n, 'number ' || n from generate_series(1, 1000) n on conflict do nothing`);
}

/** How the statements of some work went: those on lanes, and those that had a connection to themselves. */
export async function routesOf(
  pool: LifeguardPool,
  work: () => Promise<unknown>,
): Promise<{ readonly lane: number; readonly own: number }> {
  const before = pool.snapshot();
  await work();
  const after = pool.snapshot();
  return { lane: after.boarded - before.boarded, own: after.acquired - before.acquired };
}

/** Where most of many statements went: a machine that is held up for 20 ms sends some of them past the lanes. */
export async function placeOf(pool: LifeguardPool, work: () => Promise<unknown>): Promise<'lanes' | 'own' | 'both'> {
  const { lane, own } = await routesOf(pool, work);
  if (lane === 0) return 'own';
  return lane > own ? 'lanes' : 'both';
}

/** Numbers asked for in one breath, from the first on. */
export function readMany(asker: Asker, count: number, options = {}): Promise<QueryResult<{ name: string }>>[] {
  return Array.from({ length: count }, (_, index) => asker.query<{ name: string }>(NAME, [index + 1], options));
}

/** Whether each of them was told the name of its own number. */
export async function namesOf(reads: readonly Promise<QueryResult<{ name: string }>>[]): Promise<string[]> {
  const results = await Promise.all(reads);
  return results.map(({ rows }) => rows.map(({ name }) => name).join());
}

export function namesUpTo(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `number ${index + 1}`);
}

/** Locks the table that `HELD` reads, until it is let go. */
export async function hold(connection: ConnectionParameters): Promise<() => Promise<void>> {
  const pool = openPool(connection, { max: 1, name: 'holder' });
  const lease = await pool.lease();
  await lease.query('begin');
  await lease.query('lock table held');
  const letGo = async (): Promise<void> => {
    await lease.release();
    await pool.close({ graceMillis: 0 });
  };
  onTestFinished(letGo);
  return letGo;
}

/** The backend of the lane whose first statement waits for the lock. */
export async function heldBackend(database: Pick<Database, 'waitFor'>): Promise<number> {
  const isHeld = ({ waitEvent, query }: { waitEvent: string | null; query: string }): boolean =>
    waitEvent === 'relation' && query === HELD;
  const backends = await database.waitFor('a lane to be held up', (all) => all.some(isHeld));
  return backends.find(isHeld)?.pid as number;
}

/** How often each outcome came: `ok`, or the code of an error. */
export async function tally(promises: readonly Promise<unknown>[]): Promise<Readonly<Record<string, number>>> {
  const count: Record<string, number> = {};
  for (const one of await Promise.allSettled(promises)) {
    const outcome = one.status === 'fulfilled' ? 'ok' : String((one.reason as { code?: string }).code ?? one.reason);
    count[outcome] = (count[outcome] ?? 0) + 1;
  }
  return count;
}
