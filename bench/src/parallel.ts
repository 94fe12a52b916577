import { createPool } from '@lifeguard/core';
import { startPostgres } from '@lifeguard/testkit';
import pg from 'pg';
import type { Benchmark, Findings, Say } from './benchmark.ts';
import type { Address } from './contender.ts';
import { roundTripMillis, startFarServer } from './far-server.ts';
import { interleave, ratiosOf } from './interleave.ts';
import { anyId, fillItems, READ } from './items.ts';
import { median } from './statistics.ts';

const ROUNDS = 9;
const STATEMENTS = 100;
const DELAY_MILLIS = 4;

/** A transaction that asks for everything at once, and how it is closed in the end. */
interface Bearer {
  transaction(): Promise<unknown>;
  close(): Promise<unknown>;
}

type Side = 'ours' | 'byHand' | 'pipelined';

export const parallel: Benchmark = {
  name: 'parallel',
  question: 'How long do 100 parallel statements of one transaction take, at 4 ms of network delay?',
  ratioOf: 'milliseconds, ours ÷ pg by hand on one client',
  target: { bound: 'at most', value: 0.1 },
  run,
};

async function run(say: Say): Promise<Findings> {
  const server = await startPostgres();
  const way = await startFarServer(server.connection(), DELAY_MILLIS);
  try {
    await fillItems(server);
    const tripMillis = await roundTripMillis(way.connection());
    return findingsOf(await measure(way.connection(), say), tripMillis);
  } finally {
    await way.close();
    await server.stop();
  }
}

async function measure(address: Address, say: Say): Promise<Record<Side, number[]>> {
  const bearers: Record<Side, Bearer> = {
    ours: ourBearer(address),
    byHand: await byHand(new pg.Client(address)),
    pipelined: await byHand(new pg.Client({ ...address, pipeline: true })),
  };
  const sides = Object.entries(bearers).map(([side, bearer]) => [side, () => millisOf(bearer)]);
  const inTurn = Object.fromEntries(sides) as Record<Side, () => Promise<number>>;
  try {
    await interleave(3, inTurn); // Connections open, and code is compiled.
    return await interleave(ROUNDS, inTurn, say);
  } finally {
    await Promise.all(Object.values(bearers).map((bearer) => bearer.close()));
  }
}

async function millisOf(bearer: Bearer): Promise<number> {
  const since = performance.now();
  await bearer.transaction();
  return performance.now() - since;
}

function ourBearer(address: Address): Bearer {
  const pool = createPool(address);
  return {
    transaction: () => pool.transaction((tx) => Promise.all(ids().map((id) => tx.query(READ.text, [id])))),
    close: () => pool.close(),
  };
}

/** As it is written by hand: `Promise.all`, which on a plain client of pg is a queue. */
async function byHand(client: pg.Client): Promise<Bearer> {
  await client.connect();
  return {
    async transaction() {
      await client.query('BEGIN');
      await Promise.all(ids().map((id) => client.query({ ...READ, values: [id] })));
      await client.query('COMMIT');
    },
    close: () => client.end(),
  };
}

function ids(): number[] {
  return Array.from({ length: STATEMENTS }, () => anyId(Math.random));
}

function findingsOf(found: Record<Side, number[]>, tripMillis: number): Findings {
  return {
    ratios: ratiosOf(found.ours, found.byHand),
    unit: 'milliseconds for the whole transaction (medians)',
    ours: { millis: median(found.ours) },
    peers: { 'pg by hand': { millis: median(found.byHand) }, 'pg pipelined': { millis: median(found.pipelined) } },
    extra: { vsPipelined: median(ratiosOf(found.ours, found.pipelined)), roundTripMillis: tripMillis },
    notes: [
      `One transaction at a time: BEGIN, ${STATEMENTS} reads by primary key under one Promise.all, COMMIT. By hand the statements are named; pg pipelined is the same by hand on a client with pipeline: true. That pg queues statements on a client is deprecated, and it says so.`,
    ],
  };
}
