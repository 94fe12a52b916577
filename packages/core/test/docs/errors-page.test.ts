import { once } from 'node:events';
import { createServer } from 'node:net';
import { type Database, freePort, startProxy } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import Cursor from 'pg-cursor';
import { ERROR_KINDS, type LifeguardError, type LifeguardErrorCode, type PoolFigures } from '../../src/errors.ts';
import {
  createPool,
  type HookConnection,
  type LifeguardPool,
  type PoolOptions,
  type Transaction,
} from '../../src/index.ts';
import { overloaded } from '../../src/pool/refusal.ts';
import { sandbox } from '../../src/testing/index.ts';
import { Page } from './page.ts';

const PAGE = new Page('docs/4-errors.md');
const CODES = Object.keys(ERROR_KINDS) as LifeguardErrorCode[];

test('the errors page has a heading for every code and for no other', () => {
  expect([...PAGE.sections.keys()]).toEqual(CODES);
});

test.each(CODES)('the errors page says of %s what the table in errors.ts says', (code) => {
  const { retryable, statusCode } = ERROR_KINDS[code];
  const facts = /_retryable: (yes|no)\b.* · statusCode: ([a-z\d]+)_/.exec(PAGE.sections.get(code) ?? '');
  expect(facts?.slice(1)).toEqual([retryable ? 'yes' : 'no', String(statusCode ?? 'none')]);
});

/** A way to each error that is as users meet it, or as they meet it in a cause. */
const WAYS: Readonly<Record<LifeguardErrorCode, (database: Database) => Promise<unknown>>> = {
  ERR_LIFEGUARD_OPTION: async () => createPool({ max: '10' as never }),
  ERR_LIFEGUARD_ARGUMENT: (database) => using(database, {}, (pool) => pool.query('select 1', 'x' as never)),
  ERR_LIFEGUARD_ACQUIRE_TIMEOUT: (database) => whileLeased(database, (pool) => pool.query('select 1')),
  ERR_LIFEGUARD_OVERLOADED: async () => Promise.reject(overloaded(BUSY, 0, 1)),
  ERR_LIFEGUARD_LINE_FULL: (database) => whileLeased(database, fillLine),
  ERR_LIFEGUARD_UNAVAILABLE: (database) => unreachable(database),
  ERR_LIFEGUARD_REJECTED: (database) => using(database, { database: 'nope' }, (pool) => pool.query('select 1')),
  ERR_LIFEGUARD_CONNECT_TIMEOUT: (database) => unanswered(database),
  ERR_LIFEGUARD_HOOK_FAILED: (database) =>
    using(database, { onConnect: fail }, (pool) => pool.ready({ timeoutMillis: 300 })),
  ERR_LIFEGUARD_CONNECTION_LOST: (database) => using(database, {}, loseConnection),
  ERR_LIFEGUARD_DEADLINE: (database) =>
    using(database, {}, (pool) => pool.query('select pg_sleep(60)', [], { timeoutMillis: 200 })),
  ERR_LIFEGUARD_ABORTED: (database) => whileLeased(database, abortInLine),
  ERR_LIFEGUARD_LEASE_ENDED: (database) => using(database, {}, queryAfterRelease),
  ERR_LIFEGUARD_POOL_CLOSED: (database) => using(database, {}, closeFirst),
  ERR_LIFEGUARD_POOLER: (database) =>
    using(database, { pooler: 'pgbouncer-transaction', onConnect: setUpSession, logger: SILENT }, (pool) =>
      pool.ready({ timeoutMillis: 300 }),
    ),
  ERR_LIFEGUARD_SCOPE_ENDED: (database) => using(database, {}, transactAfterScope),
  ERR_LIFEGUARD_SELF_DEADLOCK: (database) => using(database, { max: 1, selfDeadlock: 'throw' }, waitForOneself),
  ERR_LIFEGUARD_SETTING: (database) =>
    using(database, {}, (pool) =>
      pool.scope({ settings: { 'app.tenant': undefined as never } }, (db) => db.query('select 1')),
    ),
  ERR_LIFEGUARD_BATCH: (database) => using(database, {}, (pool) => pool.batch(['select 1', 'select 1/0'])),
  ERR_LIFEGUARD_PROPAGATION: (database) =>
    using(database, {}, (pool) => pool.transaction(() => undefined, { propagation: 'mandatory' })),
  ERR_LIFEGUARD_CURSOR_OPEN: (database) => using(database, {}, waitBehindOwnCursor),
  ERR_LIFEGUARD_SANDBOX: (database) => using(database, {}, queryAfterSandbox),
  ERR_LIFEGUARD_INTERLEAVED: (database) => using(database, {}, rollBackOverGuest),
  ERR_LIFEGUARD_TRANSACTION_CONTROL: (database) => using(database, {}, (pool) => pay(pool, (tx) => tx.query('commit'))),
  ERR_LIFEGUARD_TRANSACTION_ENDED: (database) => using(database, {}, queryAfterCommit),
  ERR_LIFEGUARD_TRANSACTION_FAILED: (database) => using(database, {}, (pool) => pay(pool, goOnAfterFailure)),
  ERR_LIFEGUARD_ROLLED_BACK: (database) => using(database, {}, (pool) => pay(pool, swallowFailure)),
  ERR_LIFEGUARD_COMMIT_UNKNOWN: (database) => loseAnswerToCommit(database),
};

describe('the errors page shows messages as they really look', () => {
  test.for(CODES)('for the code %s', async (code, { database }) => {
    const error = await WAYS[code](database).catch((reason: LifeguardError) => reason);
    const shown = new Page('docs/4-errors.md').sections.get(code)?.match(/```text\n(.*)\n```/)?.[1] ?? '';
    expect(withoutNumbers(inChain(error, code)?.message)).toBe(withoutNumbers(shown));
  });
});

/** The error of that code: the one thrown, or the one that made it happen. */
function inChain(error: unknown, code: LifeguardErrorCode): Error | undefined {
  for (let at = error; at instanceof Error; at = at.cause) if ((at as LifeguardError).code === code) return at;
  return error instanceof Error ? error : undefined;
}

function withoutNumbers(message: string | undefined): string | undefined {
  return message?.replace(/\d+/g, 'N');
}

const BUSY: PoolFigures = {
  ...{
    pool: 'shop',
    max: 10,
    size: 10,
    connecting: 0,
    idle: 0,
    leased: 10,
    lanes: 0,
    tending: 0,
    closing: 0,
    waiting: 80,
  },
  longest: { name: 'GET /orders', heldMillis: 41 },
};

async function using(
  { connection }: Database,
  options: PoolOptions,
  work: (pool: LifeguardPool) => Promise<unknown>,
): Promise<unknown> {
  const pool = createPool({ ...connection, name: 'shop', ...options });
  try {
    return await work(pool);
  } finally {
    await pool.close({ graceMillis: 0 });
  }
}

function whileLeased(database: Database, work: (pool: LifeguardPool) => Promise<unknown>): Promise<unknown> {
  return using(database, { max: 1, maxWaiting: 1, acquireTimeoutMillis: 100 }, async (pool) => {
    const lease = await pool.lease({ name: 'GET /orders' });
    return await work(pool).finally(() => lease.release());
  });
}

async function fillLine(pool: LifeguardPool): Promise<unknown> {
  const first = pool.query('select 1').catch(() => undefined);
  const second = await pool.query('select 1').catch((error) => error);
  await first;
  throw second;
}

async function unreachable(database: Database): Promise<unknown> {
  const port = await freePort();
  return await using(database, { port, startup: 'fail' }, (pool) => pool.query('select 1'));
}

async function unanswered(database: Database): Promise<unknown> {
  const silent = createServer((socket) => socket.on('error', () => undefined)).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as { port: number };
  const limits = { connectionTimeoutMillis: 100, closeTimeoutMillis: 100 };
  return await using(database, { host: '127.0.0.1', port, ...limits }, (pool) =>
    pool.ready({ timeoutMillis: 500 }),
  ).finally(() => silent.close());
}

function fail(): never {
  throw new Error('as planned');
}

/** A limit that nobody enforces is said in a warning, and none is the subject here. */
const SILENT: PoolOptions['logger'] = { warn: () => undefined };

async function setUpSession(connection: HookConnection): Promise<void> {
  await connection.query("set search_path = 'shop'");
}

async function loseConnection(pool: LifeguardPool): Promise<unknown> {
  return await pool.query('select pg_terminate_backend(pg_backend_pid())');
}

function abortInLine(pool: LifeguardPool): Promise<unknown> {
  const controller = new AbortController();
  const answer = pool.query('select 1', [], { signal: controller.signal });
  controller.abort();
  return answer;
}

async function queryAfterRelease(pool: LifeguardPool): Promise<unknown> {
  const lease = await pool.lease();
  await lease.release();
  return await lease.query('select 1');
}

function pay(pool: LifeguardPool, work: (tx: Transaction) => unknown): Promise<unknown> {
  return pool.transaction(work, { name: 'POST /pay' });
}

async function transactAfterScope(pool: LifeguardPool): Promise<unknown> {
  const db = await pool.scope({ name: 'POST /pay' }, (scope) => scope);
  return await db.transaction((tx) => tx.query('select 1'));
}

function waitForOneself(pool: LifeguardPool): Promise<unknown> {
  return pool.scope({ name: 'POST /pay' }, (db) =>
    db.transaction(async (tx) => {
      await tx.query('select 1');
      return await db.transaction((other) => other.query('select 2'), { propagation: 'requires-new' });
    }),
  );
}

async function queryAfterCommit(pool: LifeguardPool): Promise<unknown> {
  const kept: Transaction[] = [];
  await pay(pool, (tx) => kept.push(tx));
  return await kept[0]?.query('select 1');
}

async function goOnAfterFailure(tx: Transaction): Promise<unknown> {
  await swallowFailure(tx);
  return await tx.query('select 1');
}

async function swallowFailure(tx: Transaction): Promise<void> {
  await tx.query('select 1/0').catch(() => undefined);
}

/** It waits for a statement, and what has the connection waits for it. */
async function waitBehindOwnCursor(pool: LifeguardPool): Promise<unknown> {
  const pgPool = pool.asPgPool({ pg });
  return await pool.transaction(async () => {
    await pgPool.query('create temp table t (id int)');
    const client = await pgPool.connect();
    const cursor = client.query(new Cursor('insert into t select g from generate_series(1, 9) g returning id'));
    await cursor.read(1);
    return await client.query('select 1');
  });
}

async function queryAfterSandbox(pool: LifeguardPool): Promise<unknown> {
  const late = await sandbox(pool, { name: 'POST /pay pays once' }, (db) => db.allow(() => pool.query('select 1')));
  return await late();
}

/** A library's transaction that does something else while a statement of the transaction around it waits. */
async function rollBackOverGuest(pool: LifeguardPool): Promise<unknown> {
  const pgPool = pool.asPgPool({ pg });
  return await pool.transaction(async (tx) => {
    const client = await pgPool.connect();
    await client.query('BEGIN');
    await client.query('create temp table t (id int)');
    await tx.query('insert into t values (1)');
    await client.query('ROLLBACK');
    client.release();
  });
}

/** Its connection is cut as the answer to COMMIT passes. */
async function loseAnswerToCommit({ connection }: Database): Promise<unknown> {
  const proxy = await startProxy(connection, {
    onMessage({ from, type, body }, link) {
      if (from !== 'server' || type !== 'C' || !`${body}`.startsWith('COMMIT')) return undefined;
      link.reset();
      return 'drop';
    },
  });
  const pool = createPool({ ...proxy.connection(), name: 'shop' });
  try {
    return await pay(pool, (tx) => tx.query('select 1'));
  } finally {
    await pool.close({ graceMillis: 0 });
    await proxy.close();
  }
}

async function closeFirst(pool: LifeguardPool): Promise<unknown> {
  await pool.close();
  return await pool.query('select 1');
}
