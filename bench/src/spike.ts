import { setTimeout as pause } from 'node:timers/promises';
import { createPool } from '@lifeguard/core';
import { type PostgresServer, startPostgres } from '@lifeguard/testkit';
import PgPool from 'pg-pool';
import type { Benchmark, Figures, Findings, Say } from './benchmark.ts';
import { CountedDials } from './counted-dials.ts';
import { interleave, ratiosOf } from './interleave.ts';
import { median, medians, quantile } from './statistics.ts';
import { PEER_TIMEOUTS, stubPgPool } from './stub-client.ts';
import { openStubHouse } from './stub-house.ts';

const ROUNDS = 5;
const MAX = 50;
const MIN = 5;
const DIAL_MILLIS = 150;
const FAST_MILLIS = 2;
const SLOW_MILLIS = 500;

/** A pool under test. */
interface Spiked {
  query(millis: number): Promise<unknown>;
  /** The most connections at a time so far, those being dialled included. */
  peak(): number;
  close(): Promise<unknown>;
}

/** Opens one with its minimum open. */
type Open = () => Promise<Spiked>;

type Reading = Record<'peak' | 'lastMillis' | 'peakSlow' | 'p99SlowMillis', number>;

export const spike: Benchmark = {
  name: 'spike',
  question: 'How many connections do 50 requests of 2 ms at once bring about, where a dial takes 150 ms?',
  ratioOf: 'peak connections at 2 ms, the highest of all runs',
  target: { bound: 'at most', value: 8 },
  run,
};

async function run(say: Say): Promise<Findings> {
  const server = await startPostgres();
  const reading = (open: Open) => () => measure(open);
  try {
    const found = await interleave(
      ROUNDS,
      {
        stub: reading(ourStub),
        peerStub: reading(peerStub),
        real: reading(() => ourReal(server)),
        peerReal: reading(() => peerReal(server)),
      },
      say,
    );
    return findingsOf(found);
  } finally {
    await server.stop();
  }
}

function findingsOf(found: Record<'stub' | 'peerStub' | 'real' | 'peerReal', Reading[]>): Findings {
  const { stub, peerStub, real, peerReal } = found;
  const peaks = [...stub, ...real].map(({ peak }) => peak);
  const slow = (ours: Reading[], theirs: Reading[]): number => median(ratiosOf(ours.map(p99), theirs.map(p99)));
  return {
    ratios: peaks,
    ratio: Math.max(...peaks),
    unit: 'connections, and milliseconds until an answer (medians)',
    ours: bothFigures(stub, real),
    peers: { 'pg-pool': bothFigures(peerStub, peerReal) },
    also: [
      {
        name: 'p99Slow',
        value: Math.max(slow(stub, peerStub), slow(real, peerReal)),
        target: { bound: 'at most', value: 1.1 },
        unit: '× pg-pool’s p99, the worse of both',
      },
    ],
    extra: { p99SlowStub: slow(stub, peerStub), p99SlowReal: slow(real, peerReal) },
    notes: [
      'stub: connections that do nothing but take their time; real: a server, `pg_sleep`, and a socket that connects late.',
      'Each run has a new pool with 5 open, warmed by 2 ms queries; the spike of 500 ms queries meets one that was warmed just so.',
    ],
  };
}

function bothFigures(stub: readonly Reading[], real: readonly Reading[]): Figures {
  const named = (where: string, readings: readonly Reading[]): [string, number][] =>
    Object.entries(medians(readings)).map(([name, value]) => [`${where}.${name}`, value]);
  return Object.fromEntries([...named('stub', stub), ...named('real', real)]);
}

function p99({ p99SlowMillis }: Reading): number {
  return p99SlowMillis;
}

async function measure(open: Open): Promise<Reading> {
  const fast = await spiked(open, FAST_MILLIS);
  const slow = await spiked(open, SLOW_MILLIS);
  return {
    peak: fast.peak,
    lastMillis: Math.max(...fast.millis),
    peakSlow: slow.peak,
    p99SlowMillis: quantile(slow.millis, 0.99),
  };
}

async function spiked(open: Open, queryMillis: number): Promise<{ peak: number; millis: number[] }> {
  const pool = await open();
  for (let done = 0; done < 40; done += 1) await together(MIN, () => pool.query(FAST_MILLIS));
  const millis = await together(50, () => pool.query(queryMillis));
  // A dial that nobody needs any more is one that was made.
  await pause(DIAL_MILLIS);
  const peak = pool.peak();
  await pool.close();
  return { peak, millis };
}

function together(callers: number, query: () => Promise<unknown>): Promise<number[]> {
  const startedAt = performance.now();
  const caller = async (): Promise<number> => {
    await query();
    return performance.now() - startedAt;
  };
  return Promise.all(Array.from({ length: callers }, caller));
}

async function ourStub(): Promise<Spiked> {
  const { pool, borrow, close } = openStubHouse({ max: MAX, min: MIN }, { dialMillis: DIAL_MILLIS });
  await pool.ready(undefined);
  return {
    async query(millis) {
      const { hold, begun } = borrow();
      if (begun !== undefined) await begun;
      await pause(millis);
      hold.end();
    },
    // Nothing is closed meanwhile, so what there is is also the most there was.
    peak: () => pool.figures().size,
    close,
  };
}

async function peerStub(): Promise<Spiked> {
  const pool = stubPgPool({ max: MAX, min: MIN }, DIAL_MILLIS);
  const query = async (millis: number): Promise<void> => {
    const client = await pool.connect();
    await pause(millis);
    client.release();
  };
  // Its `min` opens nothing.
  await together(MIN, () => query(FAST_MILLIS));
  return { query, peak: () => pool.totalCount, close: async () => void pool.end() };
}

async function ourReal(server: PostgresServer): Promise<Spiked> {
  const dials = new CountedDials(DIAL_MILLIS);
  const pool = createPool({ ...server.connection(), max: MAX, min: MIN, stream: dials.stream });
  await pool.ready();
  return {
    query: (millis) => pool.query('select pg_sleep($1::float8 / 1000)', [millis]),
    peak: () => dials.peak,
    close: () => pool.close(),
  };
}

async function peerReal(server: PostgresServer): Promise<Spiked> {
  const dials = new CountedDials(DIAL_MILLIS);
  const options = { ...server.connection(), ...PEER_TIMEOUTS, max: MAX, min: MIN };
  const pool = new PgPool({ ...options, stream: dials.stream as never });
  const query = (millis: number) => pool.query('select pg_sleep($1::float8 / 1000)', [millis]);
  await together(MIN, () => query(FAST_MILLIS));
  return { query, peak: () => dials.peak, close: () => pool.end() };
}
