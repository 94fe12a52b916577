import { type ConnectionParameters, type FaultProxy, type MessageHook, startProxy } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, Transaction } from '../../src/index.ts';
import { answerOf, errorOf, listen, openPool, pidOf } from './rig.ts';

interface Rig {
  readonly pool: LifeguardPool;
  readonly proxy: FaultProxy;
}

/** A pool behind a proxy, and an empty table. */
async function prepared(
  { connection }: { readonly connection: ConnectionParameters },
  onMessage?: MessageHook,
): Promise<Rig> {
  const proxy = await startProxy(connection, onMessage === undefined ? {} : { onMessage });
  onTestFinished(() => proxy.close());
  const pool = openPool(proxy.connection(), { max: 2 });
  const direct = openPool(connection);
  await direct.query('create table if not exists item (id int)');
  await direct.query('truncate item');
  return { pool, proxy };
}

const put = (tx: Transaction): Promise<unknown> => tx.query('insert into item values (1)');
const countOf = (pool: LifeguardPool): Promise<number> => answerOf<number>(pool, 'select count(*)::int from item');

type Fate = 'on its way' | 'on the way back';

/** Cuts the connection once, as COMMIT or the answer to it passes. */
function cutting(fate: Fate): MessageHook {
  let cuts = 0;
  return ({ from, type, body }, link) => {
    const isIt =
      fate === 'on its way'
        ? from === 'client' && body.includes('COMMIT\0')
        : from === 'server' && type === 'C' && body.toString() === 'COMMIT\0';
    if (!isIt || cuts > 0) return undefined;
    cuts += 1;
    link.reset();
    return 'drop';
  };
}

const COMMITS: readonly (readonly [fate: Fate, how: string, work: (tx: Transaction) => Promise<unknown>])[] = [
  ['on its way', 'alone', put],
  ['on the way back', 'alone', put],
  ['on its way', 'with its last statement', (tx) => tx.last('insert into item values (1)')],
  ['on the way back', 'with its last statement', (tx) => tx.last('insert into item values (1)')],
];

describe('a connection that is lost before COMMIT', () => {
  test('while a statement runs is replaced, and all is done again', async ({ database }) => {
    const { pool } = await prepared(database);
    const retries = listen('lifeguard:transaction:retry', pool);
    const pids: number[] = [];
    await pool.transaction(async (tx) => {
      pids.push(await pidOf(tx));
      await put(tx);
      if (tx.attempt === 1) await tx.query('select pg_terminate_backend(pg_backend_pid())');
      await put(tx);
    });
    expect(new Set(pids).size).toBe(2);
    expect(await countOf(pool)).toBe(2);
    expect(retries).toMatchObject([{ attempt: 1, code: expect.any(String) }]);
    expect(pool.snapshot()).toMatchObject({ retries: 1, leased: 0, closed: { lost: 1 } });
  });

  test('between two statements is replaced too', async ({ database }) => {
    const { pool, proxy } = await prepared(database);
    const attempt = await pool.transaction(async (tx) => {
      await put(tx);
      if (tx.attempt === 1) proxy.resetAll();
      await put(tx);
      return tx.attempt;
    });
    expect([attempt, await countOf(pool)]).toEqual([2, 2]);
  });

  test('is not replaced where retries are switched off', async ({ database }) => {
    const { pool, proxy } = await prepared(database);
    const work = pool.transaction(
      async (tx) => {
        await put(tx);
        proxy.resetAll();
        await put(tx);
      },
      { retry: false },
    );
    expect(await errorOf(work)).toMatchObject({ code: 'ERR_LIFEGUARD_CONNECTION_LOST' });
    expect(await countOf(pool)).toBe(0);
  });

  test('is not replaced for ever: the pool has a budget for it', async ({ database }) => {
    const { pool, proxy } = await prepared(database);
    let attempts = 0;
    const losing = (): Promise<unknown> =>
      pool.transaction(
        async (tx) => {
          attempts += 1;
          await put(tx);
          proxy.resetAll();
          await put(tx);
        },
        { retry: { attempts: 100, backoff: { baseMillis: 0 } } },
      );
    const errors = [await errorOf(losing()), await errorOf(losing())];
    for (const error of errors) expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_CONNECTION_LOST' });
    expect(attempts).toBeLessThan(20);
  });
});

describe('a connection that is lost with COMMIT', () => {
  test.for(COMMITS)(
    '%s, sent %s, leaves its outcome unknown and is not tried again',
    async ([fate, , work], { database }) => {
      const { pool } = await prepared(database, cutting(fate));
      const log: unknown[] = [];
      const ended = listen('lifeguard:transaction:ended', pool);
      const outcome = pool.transaction((tx) => {
        log.push(tx.attempt);
        tx.afterCommit(() => log.push('committed'));
        tx.afterRollback(() => log.push('rolled back'));
        return work(tx);
      });
      expect(await errorOf(outcome)).toMatchObject({
        code: 'ERR_LIFEGUARD_COMMIT_UNKNOWN',
        ...{ retryable: false, statusCode: 500, consequence: 'may-have-run' },
      });
      expect(log).toEqual([1]);
      expect(ended).toMatchObject([{ outcome: 'unknown', error: 'ERR_LIFEGUARD_COMMIT_UNKNOWN' }]);
      expect(pool.snapshot()).toMatchObject({ leased: 0, retries: 0, commits: { committed: 0, unknown: 1 } });
      expect(await countOf(pool)).toBe(fate === 'on its way' ? 0 : 1);
    },
  );

  test('is unknown although its error was caught inside', async ({ database }) => {
    const { pool } = await prepared(database, cutting('on the way back'));
    const work = pool.transaction((tx) => tx.last('insert into item values (1)').catch(() => 'all is well'));
    expect(await errorOf(work)).toMatchObject({ code: 'ERR_LIFEGUARD_COMMIT_UNKNOWN' });
  });

  test.for(COMMITS)('%s, sent %s, is cleared up where that was asked for', async ([fate, , work], { database }) => {
    const { pool } = await prepared(database, cutting(fate));
    await pool.createCommitTokens();
    const log: string[] = [];
    const outcome = pool.transaction(
      async (tx) => {
        tx.afterCommit(() => log.push('committed'));
        tx.afterRollback(() => log.push('rolled back'));
        await tx.query('select 1');
        await work(tx);
      },
      { commitOutcome: 'token' },
    );
    await outcome.catch((error) => expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_ENDED' }));
    expect(log).toEqual(fate === 'on its way' ? ['rolled back', 'committed'] : ['committed']);
    expect(await countOf(pool)).toBe(1);
  });
});
