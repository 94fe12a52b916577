import { createPool, type LifeguardPool } from '@lifeguard/core';
import { startPostgres } from '@lifeguard/testkit';
import PgPool from 'pg-pool';
import type { Benchmark, Figures, Findings, Say } from './benchmark.ts';
import { type Cost, measureCost } from './cpu-meter.ts';
import { interleave, ratiosOf } from './interleave.ts';
import { median } from './statistics.ts';
import { PEER_TIMEOUTS, type PeerPool, stubPgPool } from './stub-client.ts';
import { openStubHouse, type StubHouse } from './stub-house.ts';

const ROUNDS = 21;
const CYCLES = 60_000;
const MAX = 10;

/** Acquires and releases so many times. */
type Cycles = (count: number) => Promise<void>;

/** One situation, for both sides. */
interface Scene {
  readonly ours: Cycles;
  readonly pgPool: Cycles;
}

export const acquire: Benchmark = {
  name: 'acquire',
  question: 'What CPU does one acquire and release cost, with nothing behind the connection?',
  ratioOf: 'ours ÷ pg-pool with its time-outs set, one caller',
  target: { bound: 'at most', value: 0.35 },
  run,
};

async function run(say: Say): Promise<Findings> {
  const house = openStubHouse({ max: MAX });
  const peer = stubPgPool({ max: MAX });
  const alone = await measure({ ours: (n) => oursAlone(house, n), pgPool: (n) => peerByCallback(peer, n) });
  say('one caller measured');
  const byPromise = await measure({ ours: (n) => oursAlone(house, n), pgPool: (n) => peerAlone(peer, n) });
  say('the same by promise measured');
  const [of20, of1000] = [await measure(crowd(house, peer, 20)), await measure(crowd(house, peer, 1_000))];
  say('crowds measured');
  await house.close();
  const lease = await measureLeases();
  const scenes = { alone, byPromise, of20, of1000, lease };
  return {
    ratios: ratiosOf(nanos(alone.ours), nanos(alone.pgPool)),
    unit: 'ns of CPU per acquire and release (medians)',
    ours: sideFigures(scenes, 'ours'),
    peers: { 'pg-pool': sideFigures(scenes, 'pgPool') },
    extra: {
      ...Object.fromEntries(Object.entries(scenes).map(([name, sides]) => [`${name}Ratio`, ratio(sides)])),
      wallRatio: median(ratiosOf(walls(alone.ours), walls(alone.pgPool))),
    },
    notes: NOTES,
  };
}

const NOTES = [
  'alone: one caller after the other. Ours is the path of pool.query, which has the connection at once where one is idle;',
  '  pg-pool’s is `connect(callback)`, as in its own query(): its faster form. byPromise: its `await pool.connect()`.',
  'of20, of1000: so many callers at a time on 10 connections, each holding one for a turn of the microtask queue.',
  'lease: `pool.lease()` and `release()` as users hold it (stack samples, collector’s backstop), against `connect()` and',
  '  `release()`; both on open connections of a real server that are sent nothing.',
];

function crowd(house: StubHouse, peer: PeerPool, callers: number): Scene {
  return {
    ours: (count) => together(callers, count, () => oursHolding(house)),
    pgPool: (count) => together(callers, count, () => peerHolding(peer)),
  };
}

/** Against open connections, because only the real pool hands out leases. */
async function measureLeases(): Promise<Sides> {
  const server = await startPostgres();
  const pool = createPool({ ...server.connection(), max: MAX });
  const peer: PeerPool = new PgPool({ ...server.connection(), ...PEER_TIMEOUTS, max: MAX });
  try {
    return await measure({ ours: (n) => leaseAlone(pool, n), pgPool: (n) => peerAlone(peer, n) });
  } finally {
    await Promise.all([pool.close(), peer.end()]);
    await server.stop();
  }
}

async function oursAlone(house: StubHouse, count: number): Promise<void> {
  for (let done = 0; done < count; done += 1) {
    const { hold, begun } = house.borrow();
    if (begun !== undefined) await begun;
    hold.end();
  }
}

async function oursHolding(house: StubHouse): Promise<void> {
  const { hold, begun } = house.borrow();
  if (begun !== undefined) await begun;
  await undefined;
  hold.end();
}

async function leaseAlone(pool: LifeguardPool, count: number): Promise<void> {
  for (let done = 0; done < count; done += 1) {
    const lease = await pool.lease();
    await lease.release();
  }
}

async function peerAlone(peer: PeerPool, count: number): Promise<void> {
  for (let done = 0; done < count; done += 1) {
    const client = await peer.connect();
    client.release();
  }
}

function peerByCallback(peer: PeerPool, count: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = count;
    const next = (): void =>
      peer.connect((error, _client, done) => {
        if (error !== undefined) return reject(error);
        done?.();
        left -= 1;
        if (left === 0) resolve();
        else next();
      });
    next();
  });
}

async function peerHolding(peer: PeerPool): Promise<void> {
  const client = await peer.connect();
  await undefined;
  client.release();
}

/** So many callers who go on until `count` cycles are done between them. */
async function together(callers: number, count: number, cycle: () => Promise<void>): Promise<void> {
  let left = count;
  const caller = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await cycle();
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
}

interface Sides {
  readonly ours: readonly Cost[];
  readonly pgPool: readonly Cost[];
}

async function measure({ ours, pgPool }: Scene): Promise<Sides> {
  const side = (cycles: Cycles) => () => measureCost(CYCLES, () => cycles(CYCLES));
  // Twice for nothing: the compiler watches before it optimises.
  for (const cycles of [ours, pgPool, ours, pgPool]) await side(cycles)();
  return await interleave(ROUNDS, { ours: side(ours), pgPool: side(pgPool) });
}

function sideFigures(scenes: Readonly<Record<string, Sides>>, side: keyof Sides): Figures {
  return Object.fromEntries(Object.entries(scenes).map(([name, sides]) => [name, median(nanos(sides[side]))]));
}

function ratio({ ours, pgPool }: Sides): number {
  return median(ratiosOf(nanos(ours), nanos(pgPool)));
}

function nanos(costs: readonly Cost[]): number[] {
  return costs.map(({ cpuNanos }) => cpuNanos);
}

function walls(costs: readonly Cost[]): number[] {
  return costs.map(({ wallNanos }) => wallNanos);
}
