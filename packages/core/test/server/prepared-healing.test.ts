import type { Database } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, QueryResult } from '../../src/index.ts';
import { repeat } from './prepared-wire.ts';
import { answerOf, errorOf, openPool, pidOf } from './rig.ts';

const ALONE = { lane: false } as const;
const HOT = 'select 7 as it';
const FORGETFUL = `create or replace function forget() returns int language plpgsql as
  $$ begin execute 'deallocate all'; return 1; end $$`;

type Ask = (pool: LifeguardPool, text: string) => Promise<QueryResult>;

const WAYS: Readonly<Record<string, Ask>> = {
  alone: (pool, text) => pool.query(text, [], ALONE),
  'on a lane': (pool, text) => pool.query(text, [], { lane: true }),
  'in a group': (pool, text) => pool.query(text, [], { timeoutMillis: 9_000 }),
  'in a batch': async (pool, text) => (await pool.batch([text, text]))[1] as QueryResult,
  'in a scope with settings': (pool, text) => pool.scope({ settings: { 'app.x': '1' } }, (db) => db.query(text)),
  'in a transaction': (pool, text) => pool.transaction((tx) => tx.query(text)),
  'in parallel in a transaction': (pool, text) =>
    pool.transaction(async (tx) => (await Promise.all([tx.query(text), tx.query(text)]))[1]),
  'on a lease': async (pool, text) => {
    const lease = await pool.lease();
    return lease.query<Record<string, unknown>>(text).finally(() => lease.release());
  },
};

/** A pool that has prepared a text in all ways of asking for it, on one connection. */
async function heated(database: Database, text: string, options: object = {}): Promise<LifeguardPool> {
  const pool = openPool(database.connection, { max: 1, ...options });
  await repeat(6, () => pool.query(text, [], ALONE));
  return pool;
}

describe('a prepared statement that was taken away heals', () => {
  for (const [way, ask] of Object.entries(WAYS)) {
    test(`${way}, on the same connection`, async ({ database }) => {
      await database.query(FORGETFUL);
      const pool = await heated(database, HOT);
      const pid = await pidOf(pool);
      for (const taking of ['select forget()', "do $$ begin execute 'deallocate all'; end $$"]) {
        await pool.query(taking, [], ALONE);
        expect((await ask(pool, HOT)).rows).toEqual([{ it: 7 }]);
      }
      expect(await pidOf(pool)).toBe(pid);
    });
  }

  for (const taking of ['deallocate all', 'discard all', 'select 1; deallocate all', '/* x */ DEALLOCATE ALL']) {
    test(`in a lease that said so: ${taking}`, async ({ database }) => {
      const pool = await heated(database, HOT);
      const lease = await pool.lease();
      await lease.query(taking);
      await repeat(2, async () => expect(await answerOf(lease, HOT)).toBe(7));
      await lease.query('begin');
      if (taking !== 'discard all') await lease.query(taking);
      await repeat(2, async () => expect(await answerOf(lease, HOT)).toBe(7));
      await lease.query('commit');
      await lease.release();
      expect(await answerOf(pool, HOT)).toBe(7);
    });
  }

  test('in the transaction that said so, at once', async ({ database }) => {
    const pool = await heated(database, HOT);
    let attempts = 0;
    await pool.transaction(async (tx) => {
      attempts += 1;
      await tx.query('deallocate all');
      await repeat(2, async () => expect(await answerOf(tx, HOT)).toBe(7));
    });
    expect(attempts).toBe(1);
  });

  test('in a batch whose middle takes it away', async ({ database }) => {
    const pool = await heated(database, HOT);
    const results = await pool.batch([HOT, 'deallocate all', HOT]);
    expect(results.map(({ rows }) => rows)).toEqual([[{ it: 7 }], [], [{ it: 7 }]]);
  });

  test('in a batch that prepares it before its middle takes it away', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    await repeat(4, () => pool.query(HOT, [], ALONE));
    const results = await pool.batch([HOT, 'deallocate all', HOT, HOT]);
    expect(results.map(({ rows }) => rows)).toEqual([[{ it: 7 }], [], [{ it: 7 }], [{ it: 7 }]]);
    expect(await answerOf(pool, HOT)).toBe(7);
  });

  test('for twenty that are on their way to it', async ({ database }) => {
    const pool = openPool(database.connection, { max: 2 });
    await database.query(FORGETFUL);
    await repeat(6, () => pool.query(HOT));
    const answers = await Promise.all([
      pool.query('select forget() as it', [], { lane: true }),
      ...Array.from({ length: 20 }, () => pool.query(HOT)),
    ]);
    expect(answers.map(({ rows }) => rows[0]?.['it'])).toEqual([1, ...Array(20).fill(7)]);
    expect(pool.snapshot().opened).toBe(1);
  });

  test('by the retry of a transaction, where a function took it away in its midst', async ({ database }) => {
    await database.query(FORGETFUL);
    const pool = await heated(database, HOT);
    const pid = await pidOf(pool);
    const log: unknown[] = [];
    const answer = await pool.transaction(async (tx) => {
      if (log.push('begun') === 1) await tx.query('select forget()');
      return answerOf(tx, HOT);
    });
    expect([answer, log]).toEqual([7, ['begun', 'begun']]);
    expect(await pidOf(pool)).toBe(pid);
  });
});

describe('a plan whose result has changed heals', () => {
  for (const [way, ask] of Object.entries(WAYS)) {
    test(`${way}, on the same connection`, async ({ database }) => {
      await database.query('drop table if exists grown; create table grown (a int); insert into grown values (1)');
      const pool = await heated(database, 'select * from grown');
      const pid = await pidOf(pool);
      await database.query('alter table grown add b int default 2');
      expect((await ask(pool, 'select * from grown')).rows).toEqual([{ a: 1, b: 2 }]);
      await database.query('alter table grown drop a');
      expect((await ask(pool, 'select * from grown')).rows).toEqual([{ b: 2 }]);
      await database.query('alter table grown rename b to c');
      await repeat(3, async () => expect((await ask(pool, 'select * from grown')).rows).toEqual([{ c: 2 }]));
      expect(await pidOf(pool)).toBe(pid);
    });
  }

  test('for twenty that are on their way to it', async ({ database }) => {
    await database.query('create table wide (a int); insert into wide values (1)');
    const pool = openPool(database.connection, { max: 2 });
    await repeat(6, () => pool.query('select * from wide'));
    await database.query('alter table wide add b int');
    const answers = await Promise.all(Array.from({ length: 20 }, () => pool.query('select * from wide')));
    expect(answers.map(({ rows }) => rows)).toEqual(Array(20).fill([{ a: 1, b: null }]));
    expect(pool.snapshot().opened).toBe(1);
  });

  test('where the type of a column has changed that a value is compared with', async ({ database }) => {
    await database.query('create table typed (a int); insert into typed values (1)');
    const pool = openPool(database.connection, { max: 1 });
    const ask = (): Promise<QueryResult> => pool.query('select 1 as it from typed where a = $1', ['1'], ALONE);
    const add = (): Promise<QueryResult> => pool.query('insert into typed values ($1)', ['x'], ALONE);
    await repeat(6, ask);
    await repeat(6, () => errorOf(add()));
    await database.query('alter table typed alter a type text');
    expect((await ask()).rows).toEqual([{ it: 1 }]);
    expect((await add()).rowCount).toBe(1);
  });

  test('where the table has been made anew', async ({ database }) => {
    const make = 'drop table if exists anew; create table anew (a';
    await database.query(`${make} int); insert into anew values (1)`);
    const pool = await heated(database, 'select a from anew');
    await database.query(`${make} text); insert into anew values ('x')`);
    expect((await pool.query('select a from anew')).rows).toEqual([{ a: 'x' }]);
  });
});

describe('a prepared text means what its words mean now', () => {
  test('where a temporary table hides the table of that name, and not afterwards', async ({ database }) => {
    await database.query('create table hidden (a int); insert into hidden values (1)');
    const pool = await heated(database, 'select a from hidden');
    await pool.transaction(async (tx) => {
      await tx.query('create temp table other (a int) on commit drop');
      expect(await answerOf(tx, 'select a from hidden')).toBe(1);
      await tx.query('create temp table hidden (a int) on commit drop');
      await tx.query('insert into hidden values (2)');
      expect(await answerOf(tx, 'select a from hidden')).toBe(2);
    });
    expect(await answerOf(pool, 'select a from hidden')).toBe(1);
  });

  test('where a temporary table hides it in the midst of the batch that prepares it', async ({ database }) => {
    await database.query('create table covered (a int); insert into covered values (1)');
    const pool = openPool(database.connection, { max: 1 });
    const text = 'select a from covered';
    await repeat(4, () => pool.query(text, [], ALONE));
    await pool.query('create temp table other (a int)');
    const make = ['create temp table covered (a int) on commit drop', 'insert into covered values (2)'];
    const results = await pool.batch([text, ...make, text]);
    expect([results[0], results[3]].map((result) => result?.rows)).toEqual([[{ a: 1 }], [{ a: 2 }]]);
    expect(await answerOf(pool, text)).toBe(1);
  });

  test('where the search path leads to another schema', async ({ database }) => {
    await database.query('create table found (a int); insert into found values (1)');
    await database.query('create schema aside; create table aside.found (a int); insert into aside.found values (2)');
    const pool = await heated(database, 'select a from found');
    const inScope = pool.scope({ settings: { search_path: 'aside' } }, (db) => answerOf(db, 'select a from found'));
    expect(await inScope).toBe(2);
    await pool.transaction(async (tx) => {
      await tx.query('set local search_path = aside');
      expect(await answerOf(tx, 'select a from found')).toBe(2);
    });
    expect(await answerOf(pool, 'select a from found')).toBe(1);
  });

  test('where the role may see other rows', async ({ database }) => {
    await database.query(`create role seer; create table seen (a int); insert into seen values (1), (2);
      alter table seen enable row level security; grant select on seen to seer;
      create policy sight on seen to seer using (a = 2)`);
    const pool = await heated(database, 'select a from seen order by a');
    const asSeer = (): Promise<unknown> =>
      pool.scope({ role: 'seer' }, (db) => answerOf(db, 'select a from seen order by a'));
    expect([await asSeer(), await answerOf(pool, 'select a from seen order by a'), await asSeer()]).toEqual([2, 1, 2]);
    await database.query('drop table seen; drop role seer');
  });
});
