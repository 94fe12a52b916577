import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import type { LifeguardPool } from '../../src/index.ts';
import { known, lanePool, NAME, namesOf, namesUpTo, placeOf, readMany } from './lanes-rig.ts';
import { accidents, errorOf, listen } from './rig.ts';

const THROWS = (): never => {
  throw Object.assign(new Error('as planned'), { code: 'PLANNED' });
};

/** Ways in which a statement on a lane fails by itself. */
const FAILURES: readonly (readonly [string, (pool: LifeguardPool) => Promise<unknown>, object])[] = [
  ['divides by zero', (pool) => pool.query('select 1 / (id - 500) from numbers'), { code: '22012' }],
  ['names no table', (pool) => pool.query('select id from nowhere'), { code: '42P01' }],
  ['is no SQL', (pool) => pool.query('select select'), { code: '42601' }],
  ['brings a value of the wrong type', (pool) => pool.query(NAME, ['one']), { code: '22P02' }],
  ['brings too few values', (pool) => pool.query(NAME), { code: '08P01' }],
  ['brings one value too many', (pool) => pool.query(NAME, [1, 2]), { code: '08P01' }],
  [
    'brings more values than the protocol counts',
    (pool) => pool.query(NAME, new Array(70_000).fill(1)),
    { code: 'ERR_LIFEGUARD_ARGUMENT', consequence: 'nothing-sent' },
  ],
  [
    'brings a value that cannot be converted',
    (pool) => pool.query(NAME, [{ toPostgres: THROWS }]),
    { code: 'PLANNED' },
  ],
  [
    'brings rows that its types cannot read',
    (pool) => pool.query({ text: NAME, values: [7], types: { getTypeParser: () => THROWS } }),
    { code: 'PLANNED' },
  ],
  [
    'has no parser for its types',
    (pool) => pool.query({ text: NAME, values: [7], types: { getTypeParser: THROWS } }),
    { code: 'PLANNED' },
  ],
  [
    'breaks a rule of a table',
    (pool) => pool.query("insert into notes values (1, 'a'), (1, 'b')", [], { lane: true }),
    { code: '23505', detail: 'Key (id)=(1) already exists.' },
  ],
];

describe('statements that share a connection', () => {
  test('are each given the rows of their own', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const read = async (): Promise<void> => expect(await namesOf(readMany(pool, 64))).toEqual(namesUpTo(64));
    expect(await placeOf(pool, read)).toBe('lanes');
    expect(await namesOf(readMany(pool, 500))).toEqual(namesUpTo(500));
  });

  test('are each given an answer of their own shape', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const shapes = (tag: number): Promise<unknown>[] =>
      [
        pool.query('select $1::int as tag', [tag]),
        pool.query('select $1::int as tag, null as nothing, array[$1::int] as list', [tag]),
        pool.query('select name from numbers where id = -$1::int', [tag]),
        pool.query('select id, $1::int as tag from numbers order by id', [tag]),
        pool.query('select repeat($1, 50000) as long', [`${tag}`]),
        pool.query(`values (${tag})`),
      ].map((answer) => answer.then(({ rows }) => JSON.stringify([rows.length, rows.at(-1)])));
    for (let time = 0; time < 2; time += 1) for (const one of shapes(1)) await one;
    const answers = await Promise.all([1, 2, 3, 4, 5].flatMap(shapes));
    const expected = (tag: number): unknown[] => [
      [1, { tag }],
      [1, { tag, nothing: null, list: [tag] }],
      [0, undefined],
      [1_000, { id: 1_000, tag }],
      [1, { long: `${tag}`.repeat(50_000) }],
      [1, { column1: tag }],
    ];
    expect(answers).toEqual([1, 2, 3, 4, 5].flatMap(expected).map((one) => JSON.stringify(one)));
  });

  for (const [what, fail, error] of FAILURES) {
    test(`are not harmed by one among them that ${what}`, async ({ database }) => {
      const pool = await lanePool(database, database.connection);
      const seen = accidents();
      for (let time = 0; time < 2; time += 1) expect(await errorOf(fail(pool))).toMatchObject(error);
      // More than four times: the last ones are sent by name.
      for (let time = 0; time < 6; time += 1) {
        const before = readMany(pool, 20);
        const failing = errorOf(fail(pool));
        const after = readMany(pool, 20);
        expect(await failing).toMatchObject(error);
        expect(await namesOf([...before, ...after])).toEqual([...namesUpTo(20), ...namesUpTo(20)]);
      }
      expect(pool.snapshot()).toMatchObject({ lanes: 1, onLanes: 0, closed: {} });
      expect(seen).toEqual([]);
    });
  }

  test('fail with the errors of PostgreSQL as pg makes them', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    for (const text of ['select 1 / 0', 'select nothing from numbers']) await known(pool, text);
    const [first, second] = await Promise.all([
      errorOf(pool.query('select 1 / 0')),
      errorOf(pool.query('select nothing from numbers')),
    ]);
    expect(first).toBeInstanceOf(pg.DatabaseError);
    expect(first).toMatchObject({ severity: 'ERROR', code: '22012', message: 'division by zero' });
    expect(second).toMatchObject({ code: '42703', position: '8', routine: 'errorMissingColumn' });
  });

  test('may all fail, and the next ones are well', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const failing = Array.from({ length: 64 }, (_, index) => errorOf(pool.query(NAME, [`no ${index}`])));
    const messages = (await Promise.all(failing)).map(({ message }) => message);
    expect(messages).toEqual(messages.map((_, index) => `invalid input syntax for type integer: "no ${index}"`));
    expect(await namesOf(readMany(pool, 64))).toEqual(namesUpTo(64));
  });

  test('tell who cancels one of them by hand from a limit of the pool', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const slow = errorOf(pool.query('select pg_sleep(30)', [], { lane: true }));
    const behind = readMany(pool, 10);
    const [backend] = await database.waitFor('it to run', (all) =>
      all.some(({ waitEvent }) => waitEvent === 'PgSleep'),
    );
    await database.query('select pg_cancel_backend($1)', [backend?.pid]);
    expect(await slow).toMatchObject({ code: '57014', severity: 'ERROR' });
    expect(await namesOf(behind)).toEqual(namesUpTo(10));
  });

  test('go through a notice for one of them without losing their order', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    await database.query(`create or replace function warns() returns int language plpgsql as $$
      begin raise warning 'careful'; return 7; end $$`);
    const ended = listen('lifeguard:statement:ended', pool);
    const reads = readMany(pool, 5);
    const warned = pool.query('select warns() as x', [], { lane: true });
    const more = readMany(pool, 5);
    expect((await warned).rows).toEqual([{ x: 7 }]);
    expect(await namesOf([...reads, ...more])).toEqual([...namesUpTo(5), ...namesUpTo(5)]);
    expect(new Set(ended.map(({ slot }) => slot)).size).toBe(1);
  });

  test('are answered byte by byte as in one piece', async ({ server }) => {
    const { startProxy } = await import('@lifeguard/testkit');
    const proxy = await startProxy(server.connection());
    const pool = await lanePool(server, proxy.connection());
    await known(pool, 'select 1 / 0');
    proxy.set({ sliced: true });
    const failing = errorOf(pool.query('select 1 / 0'));
    expect(await namesOf(readMany(pool, 30))).toEqual(namesUpTo(30));
    expect(await failing).toMatchObject({ code: '22012' });
    await pool.close();
    proxy.close();
  });
});
