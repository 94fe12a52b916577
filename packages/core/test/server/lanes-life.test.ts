import { type Database, waitUntil } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool } from '../../src/index.ts';
import {
  HELD,
  heldBackend,
  hold,
  lanePool,
  NAME,
  namesOf,
  namesUpTo,
  placeOf,
  readMany,
  routesOf,
  tally,
} from './lanes-rig.ts';
import { accidents, errorOf, listen, outcomesOf, pidOf } from './rig.ts';

const REFUSED = { code: 'ERR_LIFEGUARD_POOL_CLOSED', consequence: 'nothing-sent' };

/** Reads without a pause until it is told to stop; how many there were. */
function readOn(pool: LifeguardPool, callers: number): { stop(): Promise<number> } {
  let isOver = false;
  let reads = 0;
  const all = Array.from({ length: callers }, async (_, index) => {
    for (; !isOver; reads += 1) {
      const { rows } = await pool.query<{ name: string }>(NAME, [index + 1]);
      expect(rows).toEqual([{ name: `number ${index + 1}` }]);
    }
  });
  const stop = async (): Promise<number> => {
    isOver = true;
    await Promise.all(all);
    return reads;
  };
  for (const one of all) one.catch(() => undefined);
  return { stop };
}

async function mostBackends(database: Database, looks: number): Promise<number> {
  let most = 0;
  for (let look = 0; look < looks; look += 1) most = Math.max(most, (await database.backends()).length);
  return most;
}

describe('close()', () => {
  test('with grace lets what is on the lanes be answered, and refuses the rest', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const letGo = await hold(database.connection);
    const held = pool.query(HELD);
    const behind = readMany(pool, 63);
    const lease = await pool.lease();
    const waiting = errorOf(pool.query(NAME, [1]));
    const closed = pool.close({ graceMillis: 10_000 });
    expect(await waiting).toMatchObject(REFUSED);
    expect(await errorOf(pool.query(NAME, [1]))).toMatchObject(REFUSED);
    await letGo();
    expect([await outcomesOf([held]), await namesOf(behind)]).toEqual([['ok'], namesUpTo(63)]);
    await lease.release();
    await closed;
    expect(pool.snapshot()).toMatchObject({ state: 'closed', size: 0, onLanes: 0, closed: { 'pool-closed': 2 } });
    await database.waitFor('no backend to be left', (all) => all.length === 0);
  });

  test('without grace fails what is on the lanes at once, as it does what is leased', async ({ database }) => {
    const pool = await lanePool(database, database.connection, { max: 3, closeTimeoutMillis: 60_000 });
    const letGo = await hold(database.connection);
    const seen = accidents();
    const asked = tally([pool.query(HELD), ...readMany(pool, 20)]);
    const alone = tally([pool.query(HELD, [], { lane: false })]);
    await database.waitFor(
      'both to wait',
      (all) => all.filter(({ waitEvent }) => waitEvent === 'relation').length === 2,
    );
    await pool.close({ graceMillis: 0 });
    expect([await asked, await alone]).toEqual([{ ERR_LIFEGUARD_POOL_CLOSED: 21 }, { ERR_LIFEGUARD_POOL_CLOSED: 1 }]);
    expect(pool.snapshot()).toMatchObject({ state: 'closed', size: 0, onLanes: 0, leased: 0 });
    await letGo();
    await database.waitFor('no backend to be left', (all) => all.length === 0);
    expect(seen).toEqual([]);
  });

  test('ends empty lanes at once', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    await namesOf(readMany(pool, 20));
    await pool.close();
    expect(pool.snapshot()).toMatchObject({ lanes: 0, size: 0, closed: { 'pool-closed': 1 } });
  });
});

describe('invalidate()', () => {
  test('replaces the lanes under their users without failing any of them', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const before = await pidOf({ query: (text: string) => pool.query(text, [], { lane: true }) });
    const readers = readOn(pool, 30);
    pool.invalidate('as planned');
    await database.waitFor('the old lane to go', (all) => all.length > 0 && all.every(({ pid }) => pid !== before));
    expect(await readers.stop()).toBeGreaterThan(0);
    expect(pool.snapshot()).toMatchObject({ onLanes: 0, closed: { invalidated: expect.any(Number) } });
  });

  test('leaves a busy lane to its users and makes a new one for others', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const letGo = await hold(database.connection);
    const held = pool.query(HELD);
    const old = await heldBackend(database);
    pool.invalidate('as planned');
    expect(await namesOf(readMany(pool, 20))).toEqual(namesUpTo(20));
    await letGo();
    await held;
    await database.waitFor('the old lane to go', (all) => all.every(({ pid }) => pid !== old));
    expect(pool.snapshot().closed).toEqual({ invalidated: 1 });
  });
});

describe('a pool that is resized', () => {
  test('never has more connections than it may, and fails nobody', async ({ database }) => {
    const pool = await lanePool(database, database.connection, { max: 16 });
    const readers = readOn(pool, 200);
    for (const max of [16, 4, 8, 1, 2, 12, 1]) {
      pool.resize({ max });
      await waitUntil(() => pool.snapshot().size <= max, { what: `${max} connections` });
      expect(await mostBackends(database, 3)).toBeLessThanOrEqual(max);
    }
    await readers.stop();
    expect(pool.snapshot()).toMatchObject({ onLanes: 0, leased: 0, lanes: 0 });
  });

  test('to a single connection has no lanes, and gets them back', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const reads = readMany(pool, 5);
    pool.resize({ max: 1 });
    expect(await namesOf(reads)).toEqual(namesUpTo(5));
    expect(await routesOf(pool, () => namesOf(readMany(pool, 5)))).toEqual({ lane: 0, own: 5 });
    pool.resize({ max: 2 });
    expect(await placeOf(pool, () => namesOf(readMany(pool, 5)))).toBe('lanes');
  });
});

describe('pause() and resume()', () => {
  test('let what is on the lanes go on, and keep the rest waiting', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const reads = readMany(pool, 20);
    pool.pause();
    const waiting = readMany(pool, 200);
    expect(await namesOf(reads)).toEqual(namesUpTo(20));
    expect(pool.snapshot()).toMatchObject({ onLanes: 0, waiting: 200 });
    pool.resume();
    expect(await namesOf(waiting)).toEqual(namesUpTo(200));
  });
});

describe('a lane', () => {
  test('whose lifetime is over is replaced while it is in use, and fails nobody', async ({ database }) => {
    const pool = await lanePool(database, database.connection, { maxLifetimeSeconds: 1 });
    const closing = listen('lifeguard:pool:closing', pool);
    const readers = readOn(pool, 20);
    await waitUntil(() => closing.some(({ reason }) => reason === 'lifetime'), { what: 'an end by lifetime' });
    expect(await readers.stop()).toBeGreaterThan(100);
    expect(await mostBackends(database, 1)).toBeLessThanOrEqual(2);
  });

  test('that nobody uses is idle again and grows old as others do', async ({ database }) => {
    const pool = await lanePool(database, database.connection, { idleTimeoutMillis: 100 });
    await namesOf(readMany(pool, 20));
    await waitUntil(() => pool.snapshot().size === 0, { what: 'the idle timeout' });
    expect(pool.snapshot().closed).toEqual({ idle: 1 });
    expect(await namesOf(readMany(pool, 20))).toEqual(namesUpTo(20));
  });

  test('that is empty is leased to whoever needs a connection', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    await namesOf(readMany(pool, 20));
    expect(pool.snapshot()).toMatchObject({ lanes: 1, idle: 0, size: 1 });
    expect(await routesOf(pool, () => pool.query('select pg_backend_pid()'))).toEqual({ lane: 0, own: 1 });
    expect(pool.snapshot()).toMatchObject({ lanes: 0, idle: 1, opened: 1 });
  });

  test('is left as a lease left it: clean', async ({ database }) => {
    const pool = await lanePool(database, database.connection, { max: 2 });
    const lease = await pool.lease();
    await lease.query("set application_name = 'mine'; set search_path to nowhere");
    await lease.release();
    const ask = pool.query("select current_setting('search_path') as path", [], { lane: true });
    expect((await ask).rows).toEqual([{ path: '"$user", public' }]);
  });
});

describe('a transaction', () => {
  test('is served beside a thousand readers who never pause', async ({ database }) => {
    const pool = await lanePool(database, database.connection, { maxWaiting: 2_000, overload: false });
    await database.query('truncate notes');
    const readers = readOn(pool, 1_000);
    for (let id = 0; id < 20; id += 1) {
      await pool.transaction(async (tx) => {
        await tx.query('insert into notes values ($1)', [id]);
        await tx.query('update notes set body = $2 where id = $1', [id, 'seen']);
      });
    }
    expect(await readers.stop()).toBeGreaterThanOrEqual(1_000);
    expect(await database.query("select count(*)::int as n from notes where body = 'seen'")).toEqual([{ n: 20 }]);
    expect(await mostBackends(database, 1)).toBeLessThanOrEqual(2);
  });

  test('is served beside readers who never pause, also while all other connections are leased', async ({
    database,
  }) => {
    const pool = await lanePool(database, database.connection, { maxWaiting: 2_000, overload: false });
    const report = await pool.lease();
    const readers = readOn(pool, 200);
    const turns = [1, 2, 3].map((id) => pool.transaction((tx) => tx.query('select $1::int', [id])));
    expect(await outcomesOf(turns)).toEqual(['ok', 'ok', 'ok']);
    await report.release();
    expect(await readers.stop()).toBeGreaterThanOrEqual(200);
  });

  test('finds as many connections as the pool may have, whoever reads', async ({ database }) => {
    const pool = await lanePool(database, database.connection, { max: 8, maxWaiting: 2_000, overload: false });
    const readers = readOn(pool, 200);
    const leases = await Promise.all(Array.from({ length: 8 }, () => pool.lease()));
    expect(pool.snapshot()).toMatchObject({ leased: 8, lanes: 0 });
    await Promise.all(leases.map((lease) => lease.release()));
    expect(await readers.stop()).toBeGreaterThanOrEqual(200);
  });
});
