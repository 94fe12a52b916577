import { createPool, type LifeguardPool } from '@lifeguard/core';
import { type FaultProxy, startPostgres, startProxy } from '@lifeguard/testkit';
import type pg from 'pg';
import PgPool from 'pg-pool';
import type { Benchmark, Figures, Findings, Say } from './benchmark.ts';
import { PEER_TIMEOUTS, type PeerPool } from './stub-client.ts';

const ROUNDS = 5;
const TIMEOUT_MILLIS = 5_000;
const TENANT = 'app.tenant';
const LIMITED = { timeoutMillis: TIMEOUT_MILLIS, settings: { [TENANT]: '7' } } as const;
const ASK = { text: 'select $1::int + 1 as n', values: [1] } as const;

/** One thing that a service does, how many round trips it may take, and how it is done by hand where it can be. */
interface Deed {
  readonly allowed: number;
  ours(pool: LifeguardPool): Promise<unknown>;
  byHand(pool: PeerPool): Promise<unknown>;
}

const DEEDS: Readonly<Record<string, Deed>> = {
  statement: { allowed: 1, ours: (pool) => pool.query(ASK), byHand: (pool) => pool.query(byHandOf(ASK)) },
  scopedStatement: {
    allowed: 1,
    ours: (pool) => pool.scope(LIMITED, (db) => db.query(ASK)),
    byHand: (pool) => inTransaction(pool, 1),
  },
  ...Object.fromEntries([1, 2, 5].map((count) => [`transactionOf${count}`, transactionOf(count)])),
  lastOf2: {
    allowed: 2,
    ours: (pool) => statements(pool, { plain: 1, last: 1 }),
    byHand: (pool) => inTransaction(pool, 2),
  },
  nestedOf2: { allowed: 3, ours: nested, byHand: (pool) => inTransaction(pool, 2, ['SAVEPOINT s', 'RELEASE s']) },
  batchOf5: { allowed: 1, ours: (pool) => pool.batch(Array(5).fill(ASK)), byHand: (pool) => inTransaction(pool, 5) },
  scopedBatchOf5: {
    allowed: 1,
    ours: (pool) => pool.scope(LIMITED, (db) => db.batch(Array(5).fill(ASK))),
    byHand: (pool) => inTransaction(pool, 5),
  },
};

export const roundtrips: Benchmark = {
  name: 'roundtrips',
  question: 'How often does each deed wait for the server, counted on the wire?',
  ratioOf: 'round trips beyond 1 (statement, scoped statement, batch) and n + 1 (transaction of n), summed',
  target: { bound: 'at most', value: 0 },
  run,
};

async function run(say: Say): Promise<Findings> {
  const server = await startPostgres();
  const proxy = await startProxy(server.connection());
  const pool = createPool({ ...proxy.connection(), max: 1 });
  const peer = new PgPool({ ...proxy.connection(), ...PEER_TIMEOUTS, max: 1 });
  try {
    const rounds: Counted[] = [];
    for (let round = 0; round < ROUNDS; round += 1) rounds.push(await countAll(proxy, pool, peer));
    say(`${ROUNDS} rounds counted`);
    return findingsOf(rounds);
  } finally {
    await Promise.all([pool.close(), peer.end()]);
    proxy.close();
    await server.stop();
  }
}

function findingsOf(rounds: readonly Counted[]): Findings {
  const sums = rounds.map(({ ours }) => beyond(ours));
  const worst = rounds[sums.indexOf(Math.max(...sums))] as Counted;
  return {
    ratios: sums,
    ratio: Math.max(...sums),
    unit: 'round trips (of the worst round)',
    ours: worst.ours,
    peers: { 'pg by hand': worst.byHand },
    extra: Object.fromEntries(Object.entries(DEEDS).map(([name, { allowed }]) => [`allowed.${name}`, allowed])),
    notes: [
      'Counted by a proxy: how often a connection asked and was then answered. Connections are open before. pool.query, scope, transaction and batch with all defaults; scoped ones and transactions have a time-out and a setting.',
      'lastOf2: the second statement by tx.last(), n round trips. nestedOf2: one of two statements in a savepoint.',
      'By hand: BEGIN, one statement for the time-out and the setting, the statements, COMMIT.',
    ],
  };
}

interface Counted {
  readonly ours: Figures;
  readonly byHand: Figures;
}

async function countAll(proxy: FaultProxy, pool: LifeguardPool, peer: PeerPool): Promise<Counted> {
  const [ours, byHand]: Record<string, number>[] = [{}, {}];
  await Promise.all([pool.query(ASK), peer.query(byHandOf(ASK))]);
  for (const [name, deed] of Object.entries(DEEDS)) {
    (ours as Record<string, number>)[name] = await count(proxy, () => deed.ours(pool));
    (byHand as Record<string, number>)[name] = await count(proxy, () => deed.byHand(peer));
  }
  return { ours: ours as Figures, byHand: byHand as Figures };
}

async function count(proxy: FaultProxy, deed: () => Promise<unknown>): Promise<number> {
  proxy.resetCounts();
  await deed();
  return proxy.counts().roundTrips;
}

function beyond(counts: Figures): number {
  const excess = Object.entries(DEEDS).map(([name, { allowed }]) => Math.max(0, (counts[name] as number) - allowed));
  return excess.reduce((sum, one) => sum + one, 0);
}

function transactionOf(count: number): Deed {
  return {
    allowed: count + 1,
    ours: (pool) => statements(pool, { plain: count, last: 0 }),
    byHand: (pool) => inTransaction(pool, count),
  };
}

function statements(pool: LifeguardPool, { plain, last }: Record<'plain' | 'last', number>): Promise<unknown> {
  return pool.transaction(async (tx) => {
    for (let done = 0; done < plain; done += 1) await tx.query(ASK);
    if (last > 0) await tx.last(ASK);
  }, LIMITED);
}

function nested(pool: LifeguardPool): Promise<unknown> {
  return pool.transaction(async (tx) => {
    await tx.query(ASK);
    await tx.transaction((inner) => inner.query(ASK));
  }, LIMITED);
}

async function inTransaction(pool: PeerPool, count: number, around: readonly string[] = []): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await client.query(`select set_config('statement_timeout', $1, true), set_config('${TENANT}', '7', true)`, [
      '5000',
    ]);
    for (const text of around.slice(0, 1)) await client.query(text);
    for (let done = 0; done < count; done += 1) await client.query(byHandOf(ASK));
    for (const text of around.slice(1)) await client.query(text);
    await client.query('COMMIT');
  } finally {
    client.release();
  }
}

function byHandOf({ text, values }: { text: string; values: readonly unknown[] }): pg.QueryConfig {
  return { text, values: [...values] };
}
