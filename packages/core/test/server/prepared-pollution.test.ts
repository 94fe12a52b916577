import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import { repeat } from './prepared-wire.ts';
import { accidents, errorOf, openPool } from './rig.ts';

function pollute(key: string, value: unknown): void {
  Object.defineProperty(Object.prototype, key, { value, configurable: true, writable: true, enumerable: true });
  onTestFinished(() => void delete (Object.prototype as Record<string, unknown>)[key]);
}

/** What might be asked of a thing on its way: of a statement, an option, a flight, a field, a row, an account. */
const POLLUTION: Readonly<Record<string, unknown>> = {
  ...{ name: 'evil', text: 'select 666', values: ['evil'], rowMode: 'array', queryMode: 'extended', rows: 1 },
  ...{ types: { getTypeParser: () => () => 'evil' }, binary: true, portal: 'evil', callback: () => undefined },
  ...{ query_timeout: 1, lane: false, timeoutMillis: 0.001, group: 'evil', owner: {} },
  ...{ prepare: false, prepared: {}, shape: {}, state: 'parsed', unread: {}, error: new Error('evil'), failure: {} },
  ...{ format: 'binary', dataTypeID: 17, fields: [], protocol: 'simple', submit: undefined, index: 0, pipeline: true },
  ...{ evil: 1, length: 7 },
};

describe('a polluted prototype', () => {
  for (const [key, value] of Object.entries(POLLUTION)) {
    test(`by "${key}" changes no answer, shared or alone, prepared or not`, async ({ database }) => {
      pollute(key, value);
      const pool = openPool(
        { connectionString: undefined, ...database.connection },
        { connectionTimeoutMillis: 5_000 },
      );
      const alone = { lane: false } as const;
      await repeat(6, async (use) => {
        const answers = await Promise.all([
          ...[1, 2, 3].map((it) => pool.query('select $1::int as it, null as nothing', [it])),
          pool.query('select 4 as it, null as nothing', [], alone),
          pool.query({ text: 'select $1::int as it, null as nothing', values: [5] }, undefined, alone),
          pool.transaction((tx) => tx.query('select 6 as it, null as nothing')),
          pool.batch(['select 7 as it, null as nothing']).then(([only]) => only),
        ]);
        const rows = answers.map((answer) => answer?.rows.map((row) => Object.entries(row)));
        expect(rows, `use ${use}`).toEqual([1, 2, 3, 4, 5, 6, 7].map((it) => [[...entriesOf(it)]]));
      });
      expect(pool.snapshot()).toMatchObject({ closed: {} });
    });
  }
});

describe('a prototype that is polluted by "lane"', () => {
  test.for([true, false])('(%s) moves no statement', async (lane, { database }) => {
    await database.query('create table if not exists moved (a int)');
    const pool = openPool({ connectionString: undefined, ...database.connection }, { max: 2 });
    const read = 'select count(*) >= 0 as it from moved';
    await repeat(3, () => pool.query(read));
    const before = pool.snapshot();
    pollute('lane', lane);
    const write = 'insert into moved values (1)';
    await pool.query(write);
    await pool.query(write, [], {});
    await pool.query(write, [], { name: 'write' });
    await pool.scope((db) => db.query(write));
    await pool.scope((db) => db.query(write, [], {}));
    await pool.scope(() => pool.query(write));
    await pool.scope({ name: 'write' }, () => pool.query(write, [], { priority: 'high' }));
    expect(pool.snapshot().boarded - before.boarded).toBe(0);
    for (const ask of [() => pool.query(read), () => pool.scope((db) => db.query(read))]) await ask();
    expect(pool.snapshot().boarded - before.boarded).toBe(2);
  });
});

const entriesOf = (it: number): unknown[] => [
  ['it', it],
  ['nothing', null],
];

describe('a hostile statement', () => {
  const HOSTILE: Readonly<Record<string, () => unknown>> = {
    'whose text is no string': () => ({ text: { toString: () => 'select 1' } }),
    'whose text holds a NUL': () => 'select 1\0; drop table x',
    'whose name holds a NUL': () => ({ text: 'select 1', name: 'a\0b' }),
    'whose values are no array': () => ({ text: 'select $1', values: { length: 1, 0: 'x' } }),
    'whose parts throw': () => ({
      get text() {
        throw new Error('no text');
      },
    }),
    'whose value throws when it is read': () => ({
      text: 'select $1::text',
      values: Object.defineProperty(['x'], '0', {
        get: () => {
          throw new Error('no value');
        },
      }),
    }),
    'whose value says a symbol': () => ({ text: 'select $1::int', values: [{ toPostgres: () => Symbol('x') }] }),
    'whose parser is found to throw': () => ({
      text: 'select 1',
      types: {
        get getTypeParser() {
          throw new Error('no parsers');
        },
      },
    }),
    'whose parser answers nonsense': () => ({ text: 'select 1', types: { getTypeParser: () => 7 } }),
    'whose rows are thrown at': () => ({
      text: 'select 1',
      types: {
        getTypeParser: () => () => {
          throw undefined;
        },
      },
    }),
  };

  for (const [what, make] of Object.entries(HOSTILE)) {
    test(`${what} fails for itself, and those beside it do not notice`, async ({ database }) => {
      const seen = accidents();
      const pool = openPool(database.connection, { max: 2 });
      await repeat(6, async (use) => {
        const ask = (given: unknown): Promise<unknown> => Promise.resolve().then(() => pool.query(given as string));
        const beside = [0, 1, 2].map((at) => pool.query('select $1::int as it', [use * at]));
        const [failed] = await Promise.allSettled([ask(make())]);
        expect(failed?.status).toBe('rejected');
        expect((await Promise.all(beside)).map(({ rows }) => rows[0]?.['it'])).toEqual([0, use, use * 2]);
      });
      expect(pool.snapshot()).toMatchObject({ closed: {}, onLanes: 0 });
      expect(seen).toEqual([]);
    });
  }

  test('with a value that is answered as something else fails as one of pg would', async ({ database }) => {
    const pool = openPool(database.connection, { max: 2 });
    const text = 'select $1::int as it';
    for (const value of [{}, [], 'x', Symbol('x'), () => 1, new Date(0), Buffer.from('x')]) {
      expect((await errorOf(pool.query(text, [value]))).code, String(value)).toMatch(/^(22|08P01)/);
      expect((await pool.query(text, [1])).rows).toEqual([{ it: 1 }]);
    }
  });
});
