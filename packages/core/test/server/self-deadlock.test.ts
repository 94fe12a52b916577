import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, PoolOptions } from '../../src/index.ts';
import { answerOf, errorOf, listen, Notes, openPool, outcomesOf } from './rig.ts';

const COUNT = 3;

/** A pool that is as small as the number of those who will want two connections each. */
function tightPool(connection: object, options: PoolOptions = {}): { pool: LifeguardPool; notes: Notes } {
  const notes = new Notes();
  return { pool: openPool(connection, { max: COUNT, acquireTimeoutMillis: 100, logger: notes, ...options }), notes };
}

/** Scopes that hold a transaction each, and ask for a second connection when all of them do. */
function embrace(pool: LifeguardPool, second: (pool: LifeguardPool) => Promise<unknown>): Promise<string[]> {
  let holding = 0;
  const all = Promise.withResolvers<void>();
  const one = (name: string): Promise<unknown> =>
    pool.scope({ name }, (db) =>
      db.transaction(async (tx) => {
        await tx.query('select 1');
        holding += 1;
        if (holding === COUNT) all.resolve();
        await all.promise;
        await second(pool);
      }),
    );
  return outcomesOf(Array.from({ length: COUNT }, (_, index) => one(`job ${index}`)));
}

const asks: readonly (readonly [how: string, second: (pool: LifeguardPool) => Promise<unknown>])[] = [
  [
    'a transaction of its own',
    (pool) => pool.transaction((tx) => tx.query('select 2'), { propagation: 'requires-new' }),
  ],
  ['a lease', async (pool) => (await pool.lease()).release()],
  [
    'a part without a transaction',
    (pool) => pool.transaction((no) => no.query('select 2'), { propagation: 'not-supported' }),
  ],
];

describe.for(asks)('as many scopes as connections, each with a transaction, that all ask for %s', ([, second]) => {
  test('are warned of, and end by the time limit of the line', async ({ database }) => {
    const { pool, notes } = tightPool(database.connection);
    const outcomes = await embrace(pool, second);
    expect(outcomes).toContain('ERR_LIFEGUARD_ACQUIRE_TIMEOUT');
    expect(new Set(notes.codes)).toEqual(new Set(['LIFEGUARD_SELF_DEADLOCK']));
    expect(notes.lines[0]).toMatchObject({ fields: { name: expect.stringMatching(/^job \d$/) } });
    expect(notes.lines[0]?.message).toContain('all 3 are leased');
    expect(pool.snapshot().leased).toBe(0);
  });

  test('are refused at once where the pool was told to throw', async ({ database }) => {
    const { pool, notes } = tightPool(database.connection, { selfDeadlock: 'throw', acquireTimeoutMillis: 0 });
    const outcomes = await embrace(pool, second);
    expect(outcomes).toContain('ERR_LIFEGUARD_SELF_DEADLOCK');
    expect(outcomes.filter((one) => one !== 'ok' && one !== 'ERR_LIFEGUARD_SELF_DEADLOCK')).toEqual([]);
    expect([notes.lines, pool.snapshot().leased]).toEqual([[], 0]);
  });

  test('go their way in silence where the pool allows it', async ({ database }) => {
    const { pool, notes } = tightPool(database.connection, { selfDeadlock: 'allow' });
    expect(await embrace(pool, second)).toContain('ERR_LIFEGUARD_ACQUIRE_TIMEOUT');
    expect(notes.lines).toEqual([]);
  });
});

describe('the watch for self-deadlocks', () => {
  test('says who holds what, and that nothing was sent', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1, selfDeadlock: 'throw' });
    const asked = pool.scope({ name: 'POST /pay' }, (db) =>
      db.transaction(async (tx) => {
        await tx.query('select 1');
        await db.lease();
      }),
    );
    const error = await errorOf(asked);
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_SELF_DEADLOCK', consequence: 'nothing-sent' });
    expect(error).toMatchObject({ retryable: expect.any(Boolean), figures: { leased: 1, max: 1 } });
    expect(error.message).toContain('"POST /pay" holds a connection and asks for another one');
  });

  test('refuses a transaction of its own on a pool of one', async ({ database }) => {
    const { pool } = tightPool(database.connection, { max: 1, selfDeadlock: 'throw' });
    const inside = pool.transaction(async (tx) => {
      await tx.query('select 1');
      return outcomesOf([tx.transaction((own) => own.query('select 2'), { propagation: 'requires-new' })]);
    });
    expect(await inside).toEqual(['ERR_LIFEGUARD_SELF_DEADLOCK']);
  });

  test('warns of a transaction of its own on a pool of one, which ends by its time limit', async ({ database }) => {
    const { pool, notes } = tightPool(database.connection, { max: 1 });
    const inside = pool.transaction(async (tx) => {
      await tx.query('select 1');
      return outcomesOf([tx.transaction((own) => own.query('select 2'), { propagation: 'requires-new' })]);
    });
    expect(await inside).toEqual(['ERR_LIFEGUARD_ACQUIRE_TIMEOUT']);
    expect(notes.codes).toEqual(['LIFEGUARD_SELF_DEADLOCK']);
  });

  test('is silent while a connection is left', async ({ database }) => {
    const { pool, notes } = tightPool(database.connection, { selfDeadlock: 'throw' });
    const inside = pool.transaction(async (tx) => {
      await tx.query('select 1');
      return tx.transaction((own) => answerOf(own, 'select 2'), { propagation: 'requires-new' });
    });
    expect([await inside, notes.lines]).toEqual([2, []]);
  });

  test('has nothing to say of those who wait and hold nothing', async ({ database }) => {
    const { pool, notes } = tightPool(database.connection, { max: 1, selfDeadlock: 'throw', acquireTimeoutMillis: 0 });
    const scopes = Array.from({ length: 5 }, () =>
      pool.scope((db) => db.transaction((tx) => answerOf(tx, 'select 1'))),
    );
    expect([await Promise.all(scopes), notes.lines]).toEqual([[1, 1, 1, 1, 1], []]);
  });

  test('has nothing to say of statements side by side, which end by themselves', async ({ database }) => {
    const { pool, notes } = tightPool(database.connection, { max: 1, selfDeadlock: 'throw', acquireTimeoutMillis: 0 });
    const outcomes = await pool.scope(async (db) => {
      await db.query('select 1');
      return outcomesOf([1, 2, 3].map(() => db.query('select 1')));
    });
    expect([outcomes, notes.lines]).toEqual([['ok', 'ok', 'ok'], []]);
  });

  test('tells channels of what it warns of', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1, acquireTimeoutMillis: 50 });
    const warnings = listen('lifeguard:pool:warning', pool);
    await pool.scope(async (db) => {
      await using lease = await db.lease();
      await lease.query('select 1');
      expect(await outcomesOf([db.query('select 1')])).toEqual(['ERR_LIFEGUARD_ACQUIRE_TIMEOUT']);
    });
    expect(warnings).toMatchObject([{ code: 'LIFEGUARD_SELF_DEADLOCK' }]);
  });
});
