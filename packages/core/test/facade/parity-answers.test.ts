import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type pg from 'pg';
import { type Asker, alike, withClient } from './peers.ts';
import { plainError, type Told, told } from './told.ts';

/** Made once, because the numbers of tables are part of an answer. */
const TABLES = `
  create table if not exists item (id int primary key, name text not null default 'x', size int check (size > 0), unique (name));
  create table if not exists child (item_id int references item (id));
  drop index if exists by_size;
  truncate item cascade;
  insert into item values (1, 'a', 1), (2, 'b', 2)`;

/** Tells what the same statement answers, asked of a pool and of a client. */
async function askedTwice(pgPool: pg.Pool, text: string, values: unknown[] = []): Promise<Told[]> {
  await pgPool.query(TABLES);
  const ofPool = await told(() => pgPool.query(text, values));
  await pgPool.query(TABLES);
  return [ofPool, await withClient(pgPool, (client) => told(() => client.query(text, values)))];
}

const STATEMENTS: Readonly<Record<string, readonly [string, unknown[]?]>> = {
  'an INSERT': ['insert into item values (3)'],
  'an INSERT that returns': ['insert into item values ($1, $2) returning id, name, size', [3, 'c']],
  'an INSERT of nothing': ['insert into item select 1 where false'],
  'an UPDATE': ['update item set size = 3'],
  'an UPDATE that returns': ['update item set size = $1 where id = $2 returning *', [9, 1]],
  'a DELETE of no row': ['delete from item where id = $1', [99]],
  'a MERGE': ['merge into item using (values (1)) v (id) on item.id = v.id when matched then update set size = 7'],
  DDL: ['create index by_size on item (size)'],
  'CREATE TABLE AS': ['create temp table made on commit drop as select * from item'],
  'a WITH that writes': ['with gone as (delete from item returning id) select count(*) as n from gone'],
  SHOW: ['show server_version_num'],
  EXPLAIN: ['explain (costs off) select 1'],
  'no columns at all': ['select from item'],
  'two columns of one name': ['select 1 as a, 2 as a'],
  'a DO block': ['do $$ begin perform 1; end $$'],
  VALUES: ['values (1, $1::text), (2, null)', ['a']],
  'several writing statements': ['insert into item values (7); update item set size = 1; select id from item'],
};

const FAILURES: Readonly<Record<string, readonly [string, unknown[]?]>> = {
  'a unique violation': ['insert into item values ($1)', [1]],
  'a check violation': ['insert into item values (5, $1, -1)', ['e']],
  'a NOT NULL violation': ['insert into item values (5, null)'],
  'a foreign key violation': ['insert into child values ($1)', [99]],
  'a wrong type': ['select $1::int', ['no number']],
  'an unknown column': ['select nothing from item'],
  'an error with all its parts': [
    "do $$ begin raise exception 'told' using errcode = 'P0123', detail = 'd', hint = 'h', column = 'c', constraint = 'k', datatype = 't', schema = 's', table = 'b'; end $$",
  ],
  'too few values': ['select $1::int, $2::int', [1]],
  'several statements with values': ['select 1; select $1::int', [1]],
};

describe('answers are what pg makes of them', () => {
  for (const [what, [text, values]] of Object.entries({ ...STATEMENTS, ...FAILURES })) {
    test(`of ${what}, from a pool and from a client`, async ({ database }) => {
      const seen = await alike(database, (pgPool) => askedTwice(pgPool, text, values));
      expect(seen.every(({ returned }) => returned === 'a promise')).toBe(true);
      expect(seen.every(({ answer }) => isFailure(answer) === what in FAILURES)).toBe(true);
    });
  }

  test('an error that ends several statements undoes those before it', async ({ database }) => {
    const rows = await alike(database, async (pgPool) => {
      await pgPool.query(TABLES);
      await told(() => pgPool.query('insert into item values (8); select 1/0'));
      return (await pgPool.query('select id from item order by id')).rows;
    });
    expect(rows).toEqual([{ id: 1 }, { id: 2 }]);
  });

  test('an error knows from where it was asked', async ({ database }) => {
    const named = await alike(database, async (pgPool) => {
      async function theCaller(): Promise<string> {
        return await pgPool.query('select 1/0').then(String, (error: Error) => error.stack ?? '');
      }
      return (await theCaller()).includes('theCaller');
    });
    expect(named).toBe(true);
  });
});

const VALUES: Readonly<Record<string, readonly [string, unknown]>> = {
  'a date': ['timestamptz', new Date(86_400_000)],
  'a date without a zone': ['timestamp', new Date(86_400_000)],
  'a day': ['date', '2020-01-02'],
  bytes: ['bytea', Buffer.from([0, 1, 255])],
  'a view of bytes': ['bytea', new Uint8Array([1, 2, 3]).subarray(1)],
  'an object': ['jsonb', { a: [1, { b: null }] }],
  'a list of numbers': ['int[]', [1, null, 3]],
  'lists in a list': [
    'text[]',
    [
      ['a', 'b"'],
      ['c,', '{}'],
    ],
  ],
  'a truth': ['bool', true],
  'a big number': ['bigint', 9_007_199_254_740_993n],
  'an exact number': ['numeric', '1.10'],
  nothing: ['text', null],
  'what is undefined': ['text', undefined],
  'one that knows how': ['point', { toPostgres: () => '(1,2)' }],
  'an interval': ['interval', '1 day 02:00'],
  'an unusual text': ['text', 'é\u{1F600}\\\'"\n'],
};

describe('values go and come as in pg', () => {
  test('each kind of them, from a pool and from a client', async ({ database }) => {
    await alike(database, async (pgPool) => {
      const seen: unknown[] = [];
      for (const [what, [type, value]] of Object.entries(VALUES)) {
        const text = `select $1::${type} as v, array[$1::${type}] as list`;
        const ask = (asker: object) => told(() => (asker as Asker).query(text, [value]));
        seen.push([what, await ask(pgPool), await withClient(pgPool, ask)]);
      }
      return seen;
    });
  });

  test('an error of a parser is the error of its statement, and costs nothing else', async ({ database }) => {
    const types = {
      getTypeParser: () => (): never => {
        throw new Error('unreadable');
      },
    };
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => [
        await told(() => (client as Asker).query({ text: 'select 1 as n', types })),
        (await client.query('select 2 as n')).rows,
      ]),
    );
    expect(seen).toMatchObject([{ answer: plainError(new Error('unreadable')) }, [{ n: 2 }]]);
  });
});

function isFailure(answer: unknown): boolean {
  return typeof answer === 'object' && answer !== null && 'severity' in answer;
}
