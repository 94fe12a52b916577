import { createServer, type Server } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { createPool } from '@lifeguard/core';
import { type FaultProxy, type PostgresServer, startPostgres, startProxy } from '@lifeguard/testkit';
import PgPool from 'pg-pool';
import type { Benchmark, Figures, Findings, Say } from './benchmark.ts';
import { CountedDials } from './counted-dials.ts';
import { interleave } from './interleave.ts';
import { type Answer, openLoop } from './open-loop.ts';
import { medians } from './statistics.ts';
import { PEER_TIMEOUTS } from './stub-client.ts';

const ROUNDS = 3;
const MAX = 10;
const PER_SECOND = 100;
const BEFORE_SECONDS = 1;
const OUTAGE_SECONDS = 5;
const AFTER_SECONDS = 3;

/** A pool under test. */
interface Customer {
  request(): Promise<unknown>;
  close(): Promise<unknown>;
}

type Open = (proxy: FaultProxy, dials: CountedDials) => Customer;

/** How a server that is down says so: nobody listens, or somebody does and hangs up. */
type Manner = 'refuses' | 'hangsUp';

type Reading = Record<'dialsPerSecond' | 'recoveredMillis' | 'failedShare', number>;

export const outage: Benchmark = {
  name: 'outage',
  question: 'How often does the pool dial a server that is down, and how soon is all well when it is back?',
  ratioOf: 'dials per second while it is down, the highest of all runs',
  target: { bound: 'at most', value: 5 },
  run,
};

async function run(say: Say): Promise<Findings> {
  const server = await startPostgres();
  const reading = (open: Open, manner: Manner) => () => measure(server, open, manner);
  try {
    const found = await interleave(
      ROUNDS,
      {
        refuses: reading(ourPool, 'refuses'),
        peerRefuses: reading(peerPool, 'refuses'),
        hangsUp: reading(ourPool, 'hangsUp'),
        peerHangsUp: reading(peerPool, 'hangsUp'),
      },
      say,
    );
    return findingsOf(found);
  } finally {
    await server.stop();
  }
}

function findingsOf(found: Record<'refuses' | 'peerRefuses' | 'hangsUp' | 'peerHangsUp', Reading[]>): Findings {
  const all = [...found.refuses, ...found.hangsUp];
  const rates = all.map(({ dialsPerSecond }) => dialsPerSecond);
  return {
    ratios: rates,
    ratio: Math.max(...rates),
    unit: 'dials per second, milliseconds, shares (medians)',
    ours: bothFigures(found.refuses, found.hangsUp),
    peers: { 'pg-pool': bothFigures(found.peerRefuses, found.peerHangsUp) },
    also: [
      {
        name: 'recoveredMillis',
        value: Math.max(...all.map(({ recoveredMillis }) => recoveredMillis)),
        target: { bound: 'at most', value: 1_000 },
        unit: 'ms, the longest of all runs',
      },
    ],
    notes: [
      `${PER_SECOND} requests a second by the clock; down for ${OUTAGE_SECONDS} s, all connections lost at its beginning. refuses: nothing listens; hangsUp: accepted and closed at once.`,
      'Dials are counted where the sockets are made, from the first moment of the outage. recovered: from the moment the server listens again until the last request that fails, or the first that succeeds, whichever is later.',
    ],
  };
}

function bothFigures(refuses: readonly Reading[], hangsUp: readonly Reading[]): Figures {
  const named = (how: Manner, readings: readonly Reading[]): [string, number][] =>
    Object.entries(medians(readings)).map(([name, value]) => [`${how}.${name}`, value]);
  return Object.fromEntries([...named('refuses', refuses), ...named('hangsUp', hangsUp)]);
}

async function measure(server: PostgresServer, open: Open, manner: Manner): Promise<Reading> {
  const proxy = await startProxy(server.connection());
  const dials = new CountedDials();
  const customer = open(proxy, dials);
  const seconds = BEFORE_SECONDS + OUTAGE_SECONDS + AFTER_SECONDS;
  const traffic = openLoop({ perSecond: PER_SECOND, seconds, request: () => customer.request() });
  await pause(BEFORE_SECONDS * 1_000);
  const { dialled, backAt, downAt } = await suffer(proxy, dials, manner);
  const answers = await traffic;
  await customer.close();
  proxy.close();
  return {
    dialsPerSecond: dialled / OUTAGE_SECONDS,
    recoveredMillis: recovery(answers, backAt),
    failedShare: shareFailed(answers, downAt, backAt),
  };
}

interface Outage {
  readonly dialled: number;
  readonly downAt: number;
  readonly backAt: number;
}

async function suffer(proxy: FaultProxy, dials: CountedDials, manner: Manner): Promise<Outage> {
  const before = dials.started;
  const downAt = performance.now();
  proxy.refuse();
  const stand = manner === 'hangsUp' ? await standIn(proxy.port) : undefined;
  proxy.resetAll();
  await pause(OUTAGE_SECONDS * 1_000);
  const dialled = dials.started - before;
  await new Promise((resolve) => (stand === undefined ? resolve(undefined) : stand.close(resolve)));
  await proxy.accept();
  return { dialled, downAt, backAt: performance.now() };
}

/** Takes the port of a server that is down, and hangs up on whoever calls. */
function standIn(port: number): Promise<Server> {
  const listener = createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(port, '127.0.0.1', () => resolve(listener));
  });
}

function recovery(answers: readonly Answer[], backAt: number): number {
  const after = answers.filter(({ endedAt }) => endedAt > backAt);
  const firstGood = Math.min(...after.filter(({ error }) => error === undefined).map(({ endedAt }) => endedAt));
  const lastBad = Math.max(backAt, ...after.filter(({ error }) => error !== undefined).map(({ endedAt }) => endedAt));
  return Math.max(firstGood, lastBad) - backAt;
}

function shareFailed(answers: readonly Answer[], downAt: number, backAt: number): number {
  const meant = answers.filter(({ dueAt }) => dueAt >= downAt && dueAt < backAt);
  return meant.filter(({ error }) => error !== undefined).length / meant.length;
}

function ourPool(proxy: FaultProxy, dials: CountedDials): Customer {
  const pool = createPool({ ...proxy.connection(), max: MAX, stream: dials.stream });
  return { request: () => pool.query('select 1'), close: () => pool.close() };
}

function peerPool(proxy: FaultProxy, dials: CountedDials): Customer {
  const options = { ...proxy.connection(), ...PEER_TIMEOUTS, max: MAX };
  const pool = new PgPool({ ...options, stream: dials.stream as never });
  // Without a listener, an idle connection that breaks would end the process.
  pool.on('error', () => undefined);
  return { request: () => pool.query('select 1'), close: () => pool.end() };
}
