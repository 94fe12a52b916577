import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import type { LifeguardPool, QueryResult } from '../../src/index.ts';
import { answerOf, errorOf, openPool } from './rig.ts';
import { outcomeOf } from './rows-parity.ts';

const ALONE = { lane: false } as const;

/** So often that it is prepared, and once more. */
async function heat(pool: LifeguardPool, text: string, values?: readonly unknown[]): Promise<QueryResult> {
  for (let use = 1; use <= 5; use += 1) await pool.query(text, values, ALONE);
  return pool.query(text, values, ALONE);
}

describe('a result belongs to its caller', () => {
  test('what he does to its fields is not seen by those after him', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const text = 'select 1 as a, $$z$$ as b';
    const { fields } = await heat(pool, text);
    (fields as unknown as { name: string }[]).reverse();
    for (const field of fields as unknown as { name: string }[]) field.name = 'changed';
    expect(await pool.query(text, [], ALONE)).toMatchObject({
      rows: [{ a: 1, b: 'z' }],
      fields: [{ name: 'a' }, { name: 'b' }],
    });
  });

  test('a row that he changes is not seen in the next answer', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const { rows } = await heat(pool, 'select 1 as a, null as b from generate_series(1, 2)');
    Object.assign(rows[0] as object, { a: 9, c: 9 });
    expect(rows[1]).toEqual({ a: 1, b: null });
    expect((await heat(pool, 'select 1 as a, null as b from generate_series(1, 2)')).rows[0]).toEqual(rows[1]);
  });

  test('that of a statement without rows can be added to', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    for (const text of ['', 'do $$ begin end $$', 'select from generate_series(1, 0)']) {
      const { rows, fields } = await pool.query(text, [], ALONE);
      (fields as unknown[]).push('mine');
      rows.push({ mine: true });
      expect(await outcomeOf(pool.query(text, [], ALONE)), text).toMatchObject({ rows: [], fields: [] });
    }
  });

  test('a column may be called __proto__ and changes no prototype', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const { rows } = await heat(pool, 'select $${"evil": true}$$::json as "__proto__", 1 as "constructor"');
    expect(Object.keys(rows[0] as object)).toEqual(['__proto__', 'constructor']);
    expect(Object.getPrototypeOf(rows[0])).toBe(Object.prototype);
    expect((rows[0] as { evil?: unknown }).evil).toBeUndefined();
  });
});

describe('the parsers of a pool', () => {
  const doubling = { getTypeParser: (oid: number) => (oid === 23 ? (text: string) => Number(text) * 2 : String) };

  test('are used as a client of pg uses them', async ({ database }) => {
    const client = new pg.Client({ ...database.connection, types: doubling as never });
    await client.connect();
    onTestFinished(() => client.end());
    const pool = openPool(database.connection, { types: doubling });
    const expected = await outcomeOf(client.query('select 1 as a, true as b, null::int as c'));
    for (let use = 1; use <= 6; use += 1) {
      expect(await outcomeOf(pool.query('select 1 as a, true as b, null::int as c', [], ALONE))).toEqual(expected);
      expect(await outcomeOf(pool.query('select 1 as a, true as b, null::int as c'))).toEqual(expected);
    }
  });

  test('give way to those of a statement, also where it is prepared already', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1, types: doubling });
    const text = 'select 1 as a';
    const types = { getTypeParser: () => (value: string) => `own ${value}` };
    expect((await heat(pool, text)).rows).toEqual([{ a: 2 }]);
    expect((await pool.query({ text, types })).rows).toEqual([{ a: 'own 1' }]);
    expect((await pool.query({ text, rowMode: 'array' })).rows).toEqual([[2]]);
    expect((await pool.query(text)).rows).toEqual([{ a: 2 }]);
  });

  test('that throw fail their own statement and not those behind it', async ({ database }) => {
    const pool = openPool(database.connection, { max: 2 });
    const types = {
      getTypeParser: () => {
        throw new Error('no parser');
      },
    };
    const ask = (own: object): Promise<unknown> => outcomeOf(pool.query({ text: 'select 1 as a', ...own }));
    const asked = await Promise.all([ask({}), ask({ types }), ask({})]);
    expect(asked).toMatchObject([{ rows: [[['a', 1]]] }, { message: 'no parser' }, { rows: [[['a', 1]]] }]);
  });
});

describe('what is read in another way', () => {
  test('a cursor of binary values is parsed as such', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const { rows, fields } = await pool.transaction(async (tx) => {
      await tx.query('declare raw binary cursor for select 1 as a, null::int as b');
      return tx.query('fetch all from raw');
    });
    expect(rows).toEqual([{ a: 1, b: null }]);
    expect(fields).toMatchObject([{ format: 'binary' }, { format: 'binary' }]);
  });

  test("a limit of pg's own defaults ends nothing", async ({ database }) => {
    Object.assign(pg.defaults, { query_timeout: 1 });
    onTestFinished(() => void Object.assign(pg.defaults, { query_timeout: 0 }));
    const pool = openPool(database.connection, { max: 1 });
    for (let use = 1; use <= 6; use += 1) expect(await answerOf(pool, 'select 1 from pg_sleep(0.01)')).toBe(1);
  });
});

describe('much of everything comes whole', () => {
  test('a value of 20 MB, there and back', async ({ database }) => {
    const pool = openPool(database.connection, { max: 2 });
    const large = 'ä'.repeat(10_000_000);
    const { rows } = await pool.query('select $1::text as large, length($1) as length', [large], ALONE);
    expect(rows[0]?.['length']).toBe(10_000_000);
    expect(rows[0]?.['large'] === large).toBe(true);
    const raw = Buffer.alloc(20_000_000, 7);
    expect((await pool.query('select $1::bytea as raw', [raw])).rows[0]?.['raw']).toEqual(raw);
  });

  test('100,000 rows, also where three others wait behind them', async ({ database }) => {
    const pool = openPool(database.connection, { max: 2 });
    const many = 'select n, n::text as t, null as x from generate_series(1, 100000) n';
    const answers = await Promise.all([many, 'select 1 as n', many, 'select 2 as n'].map((text) => pool.query(text)));
    expect(answers.map(({ rowCount }) => rowCount)).toEqual([100_000, 1, 100_000, 1]);
    expect(answers.map(({ rows }) => rows.at(-1)?.['n'])).toEqual([100_000, 1, 100_000, 2]);
    const isWhole = answers[2]?.rows.every(({ n, t, x }, at) => n === at + 1 && t === String(n) && x === null);
    expect(isWhole).toBe(true);
  });

  test('a COPY that nobody reads or feeds leaves the connection usable', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    await pool.query('create table fed (a int)');
    for (const own of [{}, { queryMode: 'extended' }, { name: 'fed' }, { name: 'fed' }] as const) {
      expect(await errorOf(pool.query({ text: 'copy fed from stdin', ...own }))).toMatchObject({ code: '57014' });
      expect((await pool.query({ text: 'copy (select 1) to stdout', ...own, name: undefined })).rowCount).toBe(1);
      expect(await answerOf(pool, 'select 7')).toBe(7);
    }
    expect(pool.snapshot().opened).toBe(1);
  });
});
