import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { expectTypeOf } from 'vitest';
import type { LifeguardPool, QueryResult, Statement } from '../../src/index.ts';
import { answerOf, errorOf, openPool, pidOf } from './rig.ts';

/** A pool, and an empty table. */
async function prepared(database: { readonly connection: object }): Promise<LifeguardPool> {
  const pool = openPool(database.connection, { max: 2 });
  await pool.query('create table if not exists item (id int)');
  await pool.query('truncate item');
  return pool;
}

const countOf = (pool: LifeguardPool): Promise<number> => answerOf<number>(pool, 'select count(*)::int from item');
const put = (id: unknown): Statement => ({ text: 'insert into item values ($1) returning id', values: [id] });

type Batcher = Pick<LifeguardPool, 'batch'>;

/** The same batch asked of each who can be asked. */
const WAYS: readonly (readonly [
  who: string,
  run: (pool: LifeguardPool, statements: Statement[]) => Promise<unknown>,
])[] = [
  ['the pool', (pool, statements) => pool.batch(statements)],
  ['a scope', (pool, statements) => pool.scope((db) => db.batch(statements))],
  ['a pinned scope', (pool, statements) => pool.scope({ mode: 'pinned' }, (db) => db.batch(statements))],
  [
    'a scope with settings',
    (pool, statements) =>
      pool.scope({ settings: { 'app.tenant': 1 }, timeoutMillis: 9_000 }, (db) => db.batch(statements)),
  ],
  ['a transaction', (pool, statements) => pool.transaction((tx) => tx.batch(statements))],
  [
    'a nested transaction',
    (pool, statements) => pool.transaction((tx) => tx.transaction((nested) => nested.batch(statements))),
  ],
  ['the pool inside a transaction', (pool, statements) => pool.transaction(() => pool.batch(statements))],
];

describe('a batch', () => {
  test('answers each statement in its place, as query() would', async ({ database }) => {
    const pool = await prepared(database);
    const types = { getTypeParser: () => (value: unknown) => `<${String(value)}>` };
    const results = await pool.batch<
      [{ id: number }, Record<string, unknown>, { x: string }, unknown[], { y: string }]
    >([
      put(1),
      'update item set id = 2',
      { text: 'select $1::text as x', values: ['a'], name: 'named' },
      { text: 'select 1, 2', rowMode: 'array' },
      { text: 'select 3 as y', types: types as never },
    ]);
    expectTypeOf(results[0]).toEqualTypeOf<QueryResult<{ id: number }>>();
    expectTypeOf(results[2].rows[0]).toEqualTypeOf<{ x: string } | undefined>();
    expect(results.map(({ command, rowCount }) => `${command} ${rowCount}`)).toEqual([
      'INSERT 1',
      'UPDATE 1',
      ...Array.from({ length: 3 }, () => 'SELECT 1'),
    ]);
    expect(results.map(({ rows }) => rows[0])).toEqual([{ id: 1 }, undefined, { x: 'a' }, [1, 2], { y: '<3>' }]);
  });

  test('is one transaction on one connection', async ({ database }) => {
    const pool = await prepared(database);
    const look = 'select pg_backend_pid() as pid, pg_current_xact_id()::text as xid';
    const results = await pool.batch<{ pid: number; xid: string }[]>([look, look, look]);
    expect(new Set(results.map(({ rows }) => `${rows[0]?.pid} ${rows[0]?.xid}`)).size).toBe(1);
    expect(pool.snapshot()).toMatchObject({ leased: 0 });
  });

  test('that is empty asks nobody for anything', async ({ database }) => {
    const pool = openPool(database.connection);
    for (const [, run] of WAYS) expect(await run(pool, [])).toEqual([]);
    expect(pool.snapshot()).toMatchObject({ opened: 0, acquired: 0 });
  });

  test.for(WAYS)('of %s runs as a whole', async ([, run], { database }) => {
    const pool = await prepared(database);
    const results = (await run(pool, [put(1), put(2), put(3)])) as QueryResult<{ id: number }>[];
    expect(results.map(({ rows }) => rows[0]?.id)).toEqual([1, 2, 3]);
    expect(await countOf(pool)).toBe(3);
  });

  test.for(WAYS)('of %s fails as a whole and says which statement it was', async ([, run], { database }) => {
    const pool = await prepared(database);
    for (const [index, statements] of [
      [put('x'), put(2)],
      [put(1), put('x'), put(3)],
      [put(1), put(2), put('x')],
    ].entries()) {
      const error = await errorOf(run(pool, statements));
      expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_BATCH', index, retryable: false, cause: { code: '22P02' } });
      expect(error.message).not.toContain('"x"');
    }
    expect(await countOf(pool)).toBe(0);
    expect(pool.snapshot()).toMatchObject({ leased: 0, closed: {} });
  });

  test.for(WAYS)('of %s with one statement fails in the same way', async ([, run], { database }) => {
    const pool = await prepared(database);
    expect(await errorOf(run(pool, [put('x')]))).toMatchObject({ code: 'ERR_LIFEGUARD_BATCH', index: 0 });
  });

  test('leaves the connection as it was after a failure', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const pid = await pidOf(pool);
    const named = { text: 'select 1 / $1::int as x', name: 'quotient' };
    for (let round = 0; round < 3; round += 1) {
      await errorOf(pool.batch(['select 1', 'select 1/0', { ...named, values: [1] }]));
      await errorOf(pool.batch([{ ...named, values: [0] }, 'select 1']));
      const [result] = await pool.batch<[{ x: number }]>([{ ...named, values: [1] }]);
      expect(result.rows).toEqual([{ x: 1 }]);
    }
    expect(await pidOf(pool)).toBe(pid);
  });

  test('is tried again after a conflict, and then answers', async ({ database }) => {
    const pool = await prepared(database);
    await pool.query(`create sequence tries;
      create function conflict_twice() returns bigint language plpgsql as $$
        begin
          if nextval('tries') < 3 then raise exception using errcode = '40001'; end if;
          return currval('tries');
        end $$`);
    const [first, second] = await pool.batch<[{ id: number }, { tries: string }]>([
      put(1),
      'select conflict_twice()::text as tries',
    ]);
    expect([first.rows, second.rows]).toEqual([[{ id: 1 }], [{ tries: '3' }]]);
    expect(await countOf(pool)).toBe(1);
    expect(pool.snapshot().retries).toBe(2);
  });

  test('of a hundred statements comes as it was asked for', async ({ database }) => {
    const pool = await prepared(database);
    const results = await pool.batch<{ id: number }[]>(Array.from({ length: 100 }, (_, id) => put(id)));
    expect(results.map(({ rows }) => rows[0]?.id)).toEqual(Array.from({ length: 100 }, (_, id) => id));
  });

  test('that ran and whose rows could not be read does not say that nothing remains', async ({ database }) => {
    const pool = await prepared(database);
    const broken = {
      getTypeParser: () => () => {
        throw new RangeError('unreadable');
      },
    };
    const error = await errorOf(pool.batch([{ ...put(1), types: broken as never }, put(2)]));
    expect([error, error.cause]).toContainEqual(expect.objectContaining({ message: 'unreadable' }));
    expect(error.message).not.toMatch(/nothing of/i);
    expect(await countOf(pool)).toBe(2);
  });

  test('ends at its deadline as a whole', async ({ database }) => {
    const pool = await prepared(database);
    const error = await errorOf(pool.batch([put(1), 'select pg_sleep(30)', put(2)], { timeoutMillis: 60 }));
    const codes = [error['code'], (error.cause as { code?: unknown } | undefined)?.code];
    expect(codes).toContain('ERR_LIFEGUARD_DEADLINE');
    expect(await countOf(pool)).toBe(0);
  });
});

describe('a batch is refused before anything is taken', () => {
  const REFUSED: readonly (readonly [what: string, statements: unknown])[] = [
    ['what is no array', 'select 1'],
    ['an iterable that is none', new Set(['select 1'])],
    ['two statements in one text', ['select 1', 'select 1; select 2']],
    ['a COPY', ['copy item from stdin']],
    ...[
      'begin',
      'commit',
      'rollback',
      'savepoint a',
      'release a',
      'rollback to a',
      'end',
      'prepare transaction $$a$$',
    ].map((text) => [`a ${text}`, ['select 1', text]] as const),
    ['what cannot run in a transaction', ['vacuum']],
    ['an index that is built concurrently', ['create index concurrently on item (id)']],
    ['a number', [1]],
    ['null', [null]],
    ['a statement without a text', [{ values: [] }]],
    ['an unknown part', [{ text: 'select 1', value: [] }]],
    ['a NUL', ['select \0']],
    ['values that are no array', [{ text: 'select $1', values: 'a' }]],
    ['a hole', [undefined]],
  ];

  test.for(REFUSED)('where it holds %s', async ([, statements], { database }) => {
    const pool = openPool(database.connection);
    const ways: Batcher[] = [pool];
    await pool.scope(async (db) => {
      await pool.transaction(async (tx) => {
        for (const one of [...ways, db, tx]) {
          expect(await errorOf(one.batch(statements as string[]))).toMatchObject({
            code: 'ERR_LIFEGUARD_ARGUMENT',
            consequence: 'nothing-sent',
          });
        }
      });
      expect(await errorOf(db.batch(statements as string[]))).toMatchObject({ code: 'ERR_LIFEGUARD_ARGUMENT' });
    });
    expect(pool.snapshot()).toMatchObject({ opened: 0, acquired: 0 });
  });
});
