import type pg from 'pg';
import type { LifeguardPool, PoolOptions, Transaction } from '../../src/index.ts';

/** One thing that a service does, and how it is done by hand where that is something else. */
export interface Deed {
  readonly name: string;
  /** Of the pool that does it, where they are not the defaults. */
  readonly options?: PoolOptions | undefined;
  ours(pool: LifeguardPool): Promise<unknown>;
  byHand(pool: pg.Pool): Promise<unknown>;
}

const ASK = { text: 'select $1::int + 1 as n', values: [1] };
const TENANT = { 'app.tenant': '7' } as const;
const LIMITED = { timeoutMillis: 5_000, settings: TENANT } as const;

let texts = 0;

/** A text that was never seen before, as long as all the others. */
function newText(): typeof ASK {
  texts += 1;
  return { text: `select $1::int + 1 as n${String(texts).padStart(6, '0')}`, values: [1] };
}

async function repeat(count: number, statement: () => Promise<unknown>): Promise<void> {
  for (let at = 0; at < count; at += 1) await statement();
}

function parallel(count: number, statement: () => Promise<unknown>): Promise<unknown> {
  return Promise.all(Array.from({ length: count }, statement));
}

async function onClient(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<unknown>): Promise<void> {
  const client = await pool.connect();
  try {
    await work(client);
  } finally {
    client.release();
  }
}

/** What sets limit and tenant by hand, as the pool does it: for this transaction only. */
const SET = "select set_config('statement_timeout', '5000', true), set_config('app.tenant', '7', true)";

function byHand(count: number, ...before: readonly string[]): Deed['byHand'] {
  return (pool) =>
    onClient(pool, async (client) => {
      for (const text of ['BEGIN', ...before]) await client.query(text);
      await repeat(count, () => client.query(ASK));
      await client.query('COMMIT');
    });
}

function transactionOf(count: number): Deed {
  return {
    name: `a transaction of ${count}`,
    ours: (pool) => pool.transaction((tx) => repeat(count, () => tx.query(ASK))),
    byHand: byHand(count),
  };
}

async function lastOf2(tx: Transaction): Promise<void> {
  await tx.query(ASK);
  await tx.last(ASK);
}

async function nested(tx: Transaction): Promise<void> {
  await tx.query(ASK);
  await tx.transaction((inner) => inner.query(ASK));
}

function knownText(name: string, options: PoolOptions | undefined): Deed {
  return { name, options, ours: (pool) => pool.query(ASK), byHand: (pool) => pool.query(ASK) };
}

function parallelOf50(name: string, options: PoolOptions | undefined): Deed {
  return {
    name,
    options,
    ours: (pool) => parallel(50, () => pool.query(ASK)),
    byHand: (pool) => parallel(50, () => pool.query(ASK)),
  };
}

const WITHOUT_LANES: PoolOptions = { lane: false };

export const DEEDS: readonly Deed[] = [
  { name: 'a new text', ours: (pool) => pool.query(newText()), byHand: (pool) => pool.query(newText()) },
  knownText('a known text', undefined),
  {
    name: 'a text without values',
    ours: (pool) => pool.query('select 1 as n'),
    byHand: (pool) => pool.query('select 1 as n'),
  },
  {
    name: 'a statement with a time limit',
    ours: (pool) => pool.query(ASK.text, ASK.values, { timeoutMillis: 5_000 }),
    byHand: byHand(1, SET),
  },
  {
    name: 'a statement in a scope with settings',
    ours: (pool) => pool.scope({ settings: TENANT }, (db) => db.query(ASK)),
    byHand: byHand(1, SET),
  },
  ...[1, 2, 5].map(transactionOf),
  {
    name: 'a transaction of 2, limit, settings',
    ours: (pool) => pool.transaction((tx) => repeat(2, () => tx.query(ASK)), LIMITED),
    byHand: byHand(2, SET),
  },
  { name: 'a transaction of 2, the last marked', ours: (pool) => pool.transaction(lastOf2), byHand: byHand(2) },
  {
    name: 'a transaction of 5 in parallel',
    ours: (pool) => pool.transaction((tx) => parallel(5, () => tx.query(ASK))),
    byHand: byHand(5),
  },
  {
    name: 'a transaction, one of 2 nested',
    ours: (pool) => pool.transaction(nested),
    byHand: byHand(2, 'SAVEPOINT s'),
  },
  { name: 'a batch of 5', ours: (pool) => pool.batch(Array(5).fill(ASK)), byHand: byHand(5) },
  {
    name: 'a lease with 2 statements',
    ours: leaseOf2,
    byHand: (pool) => onClient(pool, (client) => repeat(2, () => client.query(ASK))),
  },
  parallelOf50('50 statements in parallel', undefined),
  knownText('a known text, lane: false', WITHOUT_LANES),
  parallelOf50('50 in parallel, lane: false', WITHOUT_LANES),
  knownText('a known text, prepare: false', { prepare: false }),
];

async function leaseOf2(pool: LifeguardPool): Promise<void> {
  const lease = await pool.lease();
  await repeat(2, () => lease.query(ASK));
  await lease.release();
}
