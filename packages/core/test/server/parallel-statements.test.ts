import { AsyncLocalStorage } from 'node:async_hooks';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import Cursor from 'pg-cursor';
import type { LifeguardPool, Transaction } from '../../src/index.ts';
import { answerOf, errorOf, openPool } from './rig.ts';
import { trips, wiretap } from './wire.ts';

/** A pool of one connection, and an empty table that remembers the order. */
async function prepared(database: { readonly connection: object }): Promise<LifeguardPool> {
  const pool = openPool(database.connection, { max: 1 });
  await pool.query('create table if not exists item (place serial, id int)');
  await pool.query('truncate item restart identity');
  return pool;
}

const put = (tx: Transaction, id: number): Promise<unknown> => tx.query('insert into item (id) values ($1)', [id]);

const idsOf = async (pool: LifeguardPool): Promise<number[]> =>
  (await pool.query<{ id: number }>('select id from item order by place')).rows.map(({ id }) => id);

const upTo = (count: number): number[] => Array.from({ length: count }, (_, at) => at + 1);

const echo = async (tx: Transaction, value: number): Promise<number | undefined> =>
  (await tx.query<{ x: number }>('select $1::int as x', [value])).rows[0]?.x;

describe('statements of a transaction that are asked for at the same time', () => {
  test('cost one round trip, and that of COMMIT', async ({ database }) => {
    const wire = await wiretap(database.connection);
    const { received: _, ...rest } = trips(2);
    const texts = upTo(100).map((id) => `select ${id}`);
    const work = (tx: Transaction): Promise<unknown> => Promise.all(texts.map((text) => tx.query(text)));
    expect(await wire.cost(() => wire.pool.transaction(work))).toMatchObject(rest);
    expect(wire.texts).toEqual(['BEGIN', ...texts, 'COMMIT']);
  });

  test('travel together as soon as those before them are answered', async ({ database }) => {
    const wire = await wiretap(database.connection);
    const work = async (tx: Transaction): Promise<unknown> => {
      const first = tx.query('select pg_sleep(0.02)');
      await new Promise(setImmediate);
      return Promise.all([first, ...upTo(99).map((id) => echo(tx, id))]);
    };
    expect(await wire.cost(() => wire.pool.transaction(work))).toMatchObject({ trips: 3, asked: 3, sent: 3 });
  });

  test('are answered each to its own caller, and have run in the order of the calls', async ({ database }) => {
    const pool = await prepared(database);
    const answers = await pool.transaction((tx) =>
      Promise.all(
        upTo(600).map(async (id) => {
          const [, value] = await Promise.all([put(tx, id), echo(tx, id * 7)]);
          return value;
        }),
      ),
    );
    expect(answers).toEqual(upTo(600).map((id) => id * 7));
    expect(await idsOf(pool)).toEqual(upTo(600));
  });

  test('may be ten thousand', async ({ database }) => {
    const wire = await wiretap(database.connection);
    let answers: unknown;
    const cost = await wire.cost(() =>
      wire.pool.transaction(async (tx) => {
        answers = await Promise.all(upTo(10_000).map((id) => echo(tx, id)));
      }),
    );
    expect(answers).toEqual(upTo(10_000));
    expect(cost.asked).toBeLessThanOrEqual(41);
  });

  test('run before COMMIT, though nobody has awaited them', async ({ database }) => {
    const pool = await prepared(database);
    const unwatched: Promise<unknown>[] = [];
    await pool.transaction((tx) => {
      for (const id of upTo(300)) unwatched.push(put(tx, id));
    });
    await Promise.all(unwatched);
    expect(await idsOf(pool)).toEqual(upTo(300));
  });

  test('travel together whoever asks: the handle, the pool, a part that has joined', async ({ database }) => {
    const wire = await wiretap(database.connection);
    const { pool } = wire;
    const work = (tx: Transaction): Promise<unknown> =>
      Promise.all([
        tx.query("select 'by tx'"),
        pool.query("select 'by pool'"),
        pool.transaction((joined) => joined.query("select 'by one that joined'")),
      ]);
    expect(await wire.cost(() => pool.transaction(work))).toEqual(trips(2));
  });

  test('keep their names, their shapes and their types', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const named = (value: number): object => ({ name: 'tag', text: 'select $1::int as x', values: [value] });
    const types = { getTypeParser: () => (text: string) => `<${text}>` };
    const results = await pool.transaction((tx) =>
      Promise.all([
        tx.query(named(1) as never),
        tx.query({ text: 'select 2 as a, 3 as a', rowMode: 'array' }),
        tx.query(''),
        tx.query({ text: 'select 4 as x', types }),
        tx.query(named(5) as never),
        tx.query('create temporary table own (x int) on commit drop'),
        tx.query('insert into own select generate_series(1, 6) returning x'),
      ]),
    );
    const rows = [[{ x: 1 }], [[2, 3]], [], [{ x: '<4>' }], [{ x: 5 }], [], upTo(6).map((x) => ({ x }))];
    expect(results.map((result) => result.rows)).toEqual(rows);
    expect(results.map(({ command }) => command || null)).toEqual([
      ...['SELECT', 'SELECT', null, 'SELECT', 'SELECT', 'CREATE', 'INSERT'],
    ]);
  });

  test('wake each caller in its own async context', async ({ database }) => {
    const pool = openPool(database.connection);
    const caller = new AsyncLocalStorage<number>();
    const woken = await pool.transaction((tx) =>
      Promise.all(upTo(20).map((id) => caller.run(id, () => echo(tx, 0).then(() => caller.getStore())))),
    );
    expect(woken).toEqual(upTo(20));
  });

  test('are split where their values would make one packet too large', async ({ database }) => {
    const wire = await wiretap(database.connection);
    const values = ['x'.repeat(700_000), Buffer.alloc(700_000)];
    let lengths: unknown;
    const { asked } = await wire.cost(() =>
      wire.pool.transaction(async (tx) => {
        const results = await Promise.all(
          [0, 1, 0, 1].map((at) => tx.query('select octet_length($1::bytea) as x', [values[at]])),
        );
        lengths = results.map(({ rows }) => rows[0]?.['x']);
      }),
    );
    expect(lengths).toEqual([700_000, 700_000, 700_000, 700_000]);
    expect(asked).toBe(3);
  });

  test('see the settings that one before them has made', async ({ database }) => {
    const pool = openPool(database.connection);
    const look = "select current_setting('work_mem')";
    const [, seen, , again] = await pool.transaction((tx) =>
      Promise.all([
        tx.query("set local work_mem = '8MB'"),
        answerOf(tx, look),
        tx.query("set local work_mem = '9MB'"),
        answerOf(tx, look),
      ]),
    );
    expect([seen, again]).toEqual(['8MB', '9MB']);
  });
});

/** What has a round trip to itself, and how many rows it puts in. */
const BETWEEN: readonly (readonly [what: string, work: (tx: Transaction, id: number) => Promise<unknown>])[] = [
  ['a nested transaction', (tx, id) => tx.transaction((nested) => put(nested, id))],
  ['a batch', (tx, id) => tx.batch([`insert into item (id) values (${id})`])],
  ['a statement with limits of its own', (tx, id) => tx.query(PUT, [id], { timeoutMillis: 9_000 })],
  ['a text of several statements', (tx, id) => tx.query(`select 1; insert into item (id) values (${id})`)],
  ['a text that is too long to be read twice', (tx, id) => tx.query(`${PUT} -- ${'x'.repeat(20_000)}`, [id])],
  [
    'a savepoint that is released',
    (tx, id) => Promise.all([tx.query('savepoint a'), put(tx, id), tx.query('release a')]),
  ],
  [
    'a way back to a savepoint',
    (tx, id) =>
      Promise.all([
        tx.query('savepoint a'),
        put(tx, -1),
        tx.query('rollback to a'),
        tx.query('release a'),
        put(tx, id),
      ]),
  ],
  ['a cursor', async (tx, id) => (await tx.query(new Cursor(`${PUT} returning id`, [id]))).read(9)],
];
const PUT = 'insert into item (id) values ($1)';

describe('in the midst of statements that are asked for at the same time', () => {
  test.for(BETWEEN)('%s keeps its place in the order', async ([, work], { database }) => {
    const pool = await prepared(database);
    await pool.transaction((tx) => Promise.all(upTo(12).map((id) => (id % 5 === 3 ? work(tx, id) : put(tx, id)))));
    expect(await idsOf(pool)).toEqual(upTo(12));
  });

  test('a nested transaction costs the round trip that it has to itself', async ({ database }) => {
    const wire = await wiretap(database.connection);
    const two = (tx: Transaction, name: string): Promise<unknown> =>
      Promise.all([tx.query(`select '${name}'`), tx.query(`select '${name}'`)]);
    const work = (tx: Transaction): Promise<unknown> =>
      Promise.all([two(tx, 'a'), tx.transaction((nested) => two(nested, 'b')), two(tx, 'c')]);
    expect(await wire.cost(() => wire.pool.transaction(work))).toEqual(trips(4));
    const texts = ["select 'a'", "select 'a'", /^SAVEPOINT/, "select 'b'", "select 'b'", /^RELEASE/, "select 'c'"];
    const expected = texts.map((text) => (typeof text === 'string' ? text : expect.stringMatching(text)));
    expect(wire.texts).toEqual(['BEGIN', ...expected, "select 'c'", 'COMMIT']);
  });

  test('a way back to a savepoint takes no settings from those behind it', async ({ database }) => {
    const pool = openPool(database.connection);
    const tenantOf = "select current_setting('app.tenant', true)";
    const seen: unknown[] = [];
    const ask = async (nested: Transaction): Promise<void> => {
      const asked = [nested.query('select 1'), nested.query('rollback to a'), answerOf(nested, tenantOf)];
      seen.push((await Promise.all(asked))[2]);
    };
    const work = pool.transaction(async (tx) => {
      await tx.query('savepoint a');
      await tx.transaction(ask, { settings: { 'app.tenant': 'inner' } });
    });
    // Its own savepoint is gone too, so it cannot end well.
    expect(await errorOf(work)).toMatchObject({ code: '3B001' });
    expect(seen).toEqual(['inner']);
  });

  test('a COMMIT is refused unsent, and nothing runs outside of the transaction', async ({ database }) => {
    const pool = await prepared(database);
    const asked = (tx: Transaction): Promise<unknown>[] => [put(tx, 1), tx.query('commit'), put(tx, 2)];
    const error = await errorOf(pool.transaction((tx) => Promise.all(asked(tx))));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_CONTROL', consequence: 'nothing-sent' });
    expect(await idsOf(pool)).toEqual([]);
    const settled = await pool.transaction((tx) => Promise.allSettled(asked(tx)));
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await idsOf(pool)).toEqual([1, 2]);
  });
});
