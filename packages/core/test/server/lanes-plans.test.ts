import { type Database, type Message, startProxy } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, QueryResult, Transaction } from '../../src/index.ts';
import { lanePool, namesOf, namesUpTo, placeOf, readMany } from './lanes-rig.ts';
import { accidents, outcomesOf } from './rig.ts';

/** Of a table that changes while it is asked. */
const ALL = 'select * from shifty where id = $1';

async function shifty(database: Database): Promise<void> {
  await database.query(`drop table if exists shifty; create table shifty (id int primary key, first text);
    insert into shifty select n, 'first ' || n from generate_series(1, 100) n`);
}

/** More than enough executions for it to be prepared. */
async function prepared(work: () => Promise<unknown>): Promise<void> {
  for (let time = 0; time < 7; time += 1) await work();
}

function askMany(pool: LifeguardPool, count: number, options = {}): Promise<QueryResult>[] {
  return Array.from({ length: count }, (_, index) => pool.query(ALL, [index + 1], options));
}

async function rowsOf(asked: readonly Promise<QueryResult>[]): Promise<unknown[]> {
  return (await Promise.all(asked)).flatMap(({ rows }) => rows);
}

const CHANGES: readonly (readonly [string, string, (id: number) => object])[] = [
  [
    'gets a column',
    "alter table shifty add column second text default 'new'",
    (id) => ({ id, first: `first ${id}`, second: 'new' }),
  ],
  ['loses a column', 'alter table shifty drop column first', (id) => ({ id })],
  ['has a column renamed', 'alter table shifty rename column first to name', (id) => ({ id, name: `first ${id}` })],
  [
    'has the type of a column changed',
    'alter table shifty alter column first type int using substr(first, 7)::int',
    (id) => ({ id, first: id }),
  ],
  [
    'is dropped and made anew',
    `drop table shifty; create table shifty (first int, id int);
     insert into shifty select n * 2, n from generate_series(1, 100) n`,
    (id) => ({ first: 2 * id, id }),
  ],
];

describe('a table that', () => {
  for (const [what, change, row] of CHANGES) {
    test(`${what} between uses is read as it is now, by all on the lane`, async ({ database }) => {
      const pool = await lanePool(database, database.connection);
      await shifty(database);
      await prepared(() => rowsOf(askMany(pool, 20)));
      await database.query(change);
      const place = await placeOf(pool, async () => {
        expect(await rowsOf(askMany(pool, 20))).toEqual(Array.from({ length: 20 }, (_, index) => row(index + 1)));
      });
      expect([place, pool.snapshot().closed]).toEqual(['lanes', {}]);
    });

    test(`${what} between uses is read as it is now on an exclusive connection`, async ({ database }) => {
      const pool = await lanePool(database, database.connection, { lane: false, max: 1 });
      await shifty(database);
      await prepared(() => rowsOf(askMany(pool, 1)));
      await database.query(change);
      expect(await rowsOf(askMany(pool, 2))).toEqual([row(1), row(2)]);
      expect(pool.snapshot()).toMatchObject({ opened: 1, closed: {} });
    });

    test(`${what} between uses is read as it is now by a transaction, tried again`, async ({ database }) => {
      const pool = await lanePool(database, database.connection, { max: 1 });
      await shifty(database);
      const read = (tx: Transaction): Promise<QueryResult> => tx.query(ALL, [3]);
      await prepared(() => pool.transaction(read));
      await database.query(change);
      let attempts = 0;
      const { rows } = await pool.transaction((tx) => {
        attempts = tx.attempt;
        return read(tx);
      });
      expect([rows, attempts, pool.snapshot().opened]).toEqual([[row(3)], 2, 1]);
    });
  }

  test('changes again and again under many who read it gives none of them a row that never was', async ({
    database,
  }) => {
    const pool = await lanePool(database, database.connection, { max: 8 });
    await shifty(database);
    let isOver = false;
    const readers = Array.from({ length: 40 }, async (_, reader) => {
      while (!isOver) {
        const id = reader + 1;
        const [row] = (await pool.query(ALL, [id])).rows as { id: number; first: string; c?: string }[];
        expect(row).toEqual(row?.c === undefined ? { id, first: `first ${id}` } : { id, first: `first ${id}`, c: 'c' });
      }
    });
    for (let round = 0; round < 10; round += 1) {
      await database.query(`alter table shifty ${round % 2 === 0 ? "add column c text default 'c'" : 'drop column c'}`);
    }
    isOver = true;
    expect(await outcomesOf(readers)).toEqual(readers.map(() => 'ok'));
  });
});

describe('a statement that the server has forgotten', () => {
  test('is sent again in full, with all that were underway behind the loss', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    await database.query(`create or replace function forget() returns int language plpgsql as $$
      begin execute 'deallocate all'; return 1; end $$`);
    await prepared(() => namesOf(readMany(pool, 20)));
    const before = readMany(pool, 20);
    const forgotten = pool.query('select forget()', [], { lane: true });
    const after = readMany(pool, 20);
    await forgotten;
    expect(await namesOf([...before, ...after])).toEqual([...namesUpTo(20), ...namesUpTo(20)]);
    expect(await namesOf(readMany(pool, 20))).toEqual(namesUpTo(20));
    expect(pool.snapshot()).toMatchObject({ onLanes: 0, closed: {} });
  });

  test('is prepared again for those who come later', async ({ database }) => {
    const parses: string[] = [];
    const pool = await lanePool(database, await eavesdropped(database, parses));
    await prepared(() => namesOf(readMany(pool, 1)));
    await pool.query('do $$ begin execute $x$ deallocate all $x$; end $$');
    await namesOf(readMany(pool, 1));
    parses.length = 0;
    await prepared(() => namesOf(readMany(pool, 3)));
    expect(parses.filter((name) => name.startsWith('lg_')).length).toBeLessThanOrEqual(2);
  });

  test('was never heard of by the server where its Parse has failed', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    await database.query('drop table if exists later');
    const ask = (): Promise<unknown>[] => Array.from({ length: 10 }, () => pool.query('select id from later'));
    for (let time = 0; time < 3; time += 1) expect(new Set(await outcomesOf(ask()))).toEqual(new Set(['42P01']));
    await database.query('create table later (id int); insert into later values (5)');
    expect(await rowsOf(ask() as Promise<QueryResult>[])).toEqual(Array(10).fill({ id: 5 }));
    await database.query('drop table later');
    expect(new Set(await outcomesOf(ask()))).toEqual(new Set(['42P01']));
    expect(pool.snapshot()).toMatchObject({ onLanes: 0, closed: {} });
  });
});

describe('a statement with a name of its user', () => {
  test('goes on being answered when its table has changed', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    await shifty(database);
    const ask = (): Promise<unknown> =>
      Promise.all([1, 2, 3].map((id) => pool.query({ name: 'mine', text: ALL, values: [id] })));
    await prepared(ask);
    await database.query('alter table shifty drop column first');
    for (let time = 0; time < 4; time += 1) expect(await outcomesOf([ask()])).toEqual(['ok']);
  });

  test('is refused beside another text of that name, and harms nobody', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const named = (text: string): Promise<QueryResult> => pool.query({ name: 'ours', text }, undefined);
    const outcomes = await Promise.allSettled([named('select 1 as x'), named('select 2 as x'), named('select 1 as x')]);
    const words = outcomes.map((one) => (one.status === 'fulfilled' ? one.value.rows[0] : one.reason.message));
    expect(words).toEqual([{ x: 1 }, expect.stringContaining('must be unique'), { x: 1 }]);
    expect(await namesOf(readMany(pool, 10))).toEqual(namesUpTo(10));
  });
});

describe('a value', () => {
  test('that can be converted but once harms nobody when its statement is sent again', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const seen = accidents();
    await shifty(database);
    await prepared(() => rowsOf(askMany(pool, 5)));
    await database.query('alter table shifty drop column first');
    let conversions = 0;
    const value = {
      toPostgres: () => (conversions++ === 0 ? 1 : value.gone()),
      gone: (): never => {
        throw new Error('gone');
      },
    };
    const asked = [pool.query(ALL, [value]), ...askMany(pool, 5)];
    expect((await outcomesOf(asked)).slice(1)).toEqual(Array(5).fill('ok'));
    expect([pool.snapshot().onLanes, seen]).toEqual([0, []]);
  });
});

/** The names under which statements are prepared on the way to the server. */
async function eavesdropped(database: Database, names: string[]): Promise<object> {
  const onMessage = ({ from, type, body }: Message): undefined => {
    if (from === 'client' && type === 'P') names.push(body.toString().split('\0')[0] ?? '');
  };
  const proxy = await startProxy(database.connection, { onMessage });
  onTestFinished(() => proxy.close());
  return proxy.connection();
}
