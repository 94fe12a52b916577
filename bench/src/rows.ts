import { createPool } from '@lifeguard/core';
import { startPostgres } from '@lifeguard/testkit';
import pg from 'pg';
import type { Benchmark, Findings, Say } from './benchmark.ts';
import type { Address } from './contender.ts';
import { measureCost } from './cpu-meter.ts';
import { interleave, ratiosOf } from './interleave.ts';
import { fillItems } from './items.ts';
import { median } from './statistics.ts';

const ROUNDS = 11;
const ROWS = 10_000;
const TIMES = 10;
const ALL = { name: 'all', text: `select id, name, amount, made_at from item where id <= ${ROWS} and amount >= $1` };

interface Reader {
  read(): Promise<{ readonly rows: readonly unknown[] }>;
  close(): Promise<unknown>;
}

interface Reading {
  readonly cpuMicros: number;
  readonly wallMicros: number;
}

type Side = 'ours' | 'lanesOff' | 'pg';

export const rows: Benchmark = {
  name: 'rows',
  question: 'What does a row of a large result cost?',
  ratioOf: 'CPU per row, ours ÷ pg’s own client',
  target: { bound: 'at most', value: 1 },
  run,
};

async function run(say: Say): Promise<Findings> {
  const server = await startPostgres();
  try {
    await fillItems(server);
    return findingsOf(await measure(server.connection(), say));
  } finally {
    await server.stop();
  }
}

async function measure(address: Address, say: Say): Promise<Record<Side, Reading[]>> {
  const readers: Record<Side, Reader> = {
    ours: ourReader(address, true),
    lanesOff: ourReader(address, false),
    pg: await peer(address),
  };
  const sides = Object.entries(readers).map(([side, reader]) => [side, () => reading(reader)]);
  const inTurn = Object.fromEntries(sides) as Record<Side, () => Promise<Reading>>;
  try {
    await interleave(3, inTurn); // Code is compiled, statements are prepared.
    return await interleave(ROUNDS, inTurn, say);
  } finally {
    await Promise.all(Object.values(readers).map((reader) => reader.close()));
  }
}

async function reading(reader: Reader): Promise<Reading> {
  const { cpuNanos, wallNanos } = await measureCost(TIMES * ROWS, async () => {
    for (let time = 0; time < TIMES; time += 1) {
      const { rows: found } = await reader.read();
      if (found.length !== ROWS) throw new Error(`${found.length} rows came, and not ${ROWS}`);
    }
  });
  return { cpuMicros: cpuNanos / 1_000, wallMicros: wallNanos / 1_000 };
}

function ourReader(address: Address, lane: boolean): Reader {
  const pool = createPool({ ...address, max: 2, lane });
  return { read: () => pool.query(ALL.text, [0]), close: () => pool.close() };
}

async function peer(address: Address): Promise<Reader> {
  const client = new pg.Client(address);
  await client.connect();
  return { read: () => client.query({ ...ALL, values: [0] }), close: () => client.end() };
}

function findingsOf(found: Record<Side, Reading[]>): Findings {
  const cpu = (side: Side): number[] => found[side].map((one) => one.cpuMicros);
  const figures = (side: Side): Record<string, number> => ({
    cpuMicros: median(cpu(side)),
    wallMicros: median(found[side].map((one) => one.wallMicros)),
  });
  return {
    ratios: ratiosOf(cpu('ours'), cpu('pg')),
    unit: 'microseconds per row (medians)',
    ours: { ...figures('ours'), ...prefixed('lanesOff', figures('lanesOff')) },
    peers: { pg: figures('pg') },
    notes: [
      `${ROWS} rows of four columns at a time, one after the other, prepared; pg is one client by hand, without a pool.`,
    ],
  };
}

function prefixed(name: string, figures: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(figures).map(([key, value]) => [`${name}.${key}`, value]));
}
