import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { type CallOptions, type LifeguardPool, Owner, type QueryResult } from '../../src/index.ts';
import { hold, known, lanePool, NAME, namesOf, namesUpTo, placeOf, readMany, routesOf } from './lanes-rig.ts';
import { errorOf, listen, openPool, outcomesOf } from './rig.ts';
import { wiretap } from './wire.ts';

const LANE = { lane: 1, own: 0 };
const OWN = { lane: 0, own: 1 };

const PLAIN_READS = [
  'select name from numbers where id = 1',
  'table numbers',
  'values (1), (2)',
  "with two as (select id from numbers where id = 2) select upper('a'), id from two",
  'select count(*), max(id) from numbers where name like $1',
  '-- a comment\n select 1;',
] as const;

const NO_PLAIN_READS = [
  ['writes', "insert into notes values (1, 'a') on conflict do nothing"],
  ['writes in a CTE', "with w as (update notes set body = 'b' returning id) select id from w"],
  ['locks rows', 'select name from numbers where id = 1 for update'],
  ['calls a function that is not known', 'select pg_backend_pid()'],
  ['calls a function of a user', 'select own_function()'],
  ['is two statements', 'select 1; select 2'],
  ['is empty', ''],
  ['changes the session', "set application_name = 'a'"],
  ['tells of the session', 'show application_name'],
  ['explains', 'explain select 1'],
] as const;

const ALLOWED: readonly (readonly [string, CallOptions])[] = [
  ['a name', { name: 'a route' }],
  ['a priority', { priority: 'low' }],
  ['an owner', { owner: new Owner() }],
  ['a signal', { signal: new AbortController().signal }],
  ['a deadline that is no shorter than the limit of the server', { timeoutMillis: 60_000 }],
];

const EXCLUDED: readonly (readonly [string, CallOptions])[] = [
  ['a group', { group: 'reports' }],
  ['a deadline that is shorter than the limit of the server', { timeoutMillis: 5_000 }],
  ['the wish to be alone', { lane: false }],
];

describe('a plain read', () => {
  test.for(PLAIN_READS)('shares a connection with others: %s', async (text, { database }) => {
    const pool = await lanePool(database, database.connection);
    const values = text.includes('$1') ? ['number 1%'] : undefined;
    await known(pool, text, values);
    expect(await routesOf(pool, () => pool.query(text, values))).toEqual(LANE);
  });

  test.for(ALLOWED)('may have %s and shares all the same', async ([, options], { database }) => {
    const pool = await lanePool(database, database.connection);
    expect(await routesOf(pool, () => pool.query(NAME, [1], options))).toEqual(LANE);
  });

  test.for(EXCLUDED)('that comes with %s has a connection to itself', async ([, options], { database }) => {
    const pool = await lanePool(database, database.connection, { groups: { reports: { maxConcurrent: 1 } } });
    expect(await routesOf(pool, () => pool.query(NAME, [1], options))).toEqual(OWN);
  });

  test('may ask for rows as arrays, or for types of its own', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const types = { getTypeParser: () => (value: string) => `<${value}>` };
    let answers: unknown[] = [];
    const ask = async (): Promise<void> => {
      const [first, second] = await Promise.all([
        pool.query({ text: NAME, values: [1], rowMode: 'array' }),
        pool.query({ text: NAME, values: [2], types }),
      ]);
      answers = [first.rows, second.rows];
    };
    expect(await routesOf(pool, ask)).toEqual({ lane: 2, own: 0 });
    expect(answers).toEqual([[['number 1']], [{ name: '<number 2>' }]]);
  });
});

describe('a statement that is no plain read', () => {
  test.for(NO_PLAIN_READS)('because it %s has a connection to itself', async ([, text], { database }) => {
    const pool = await lanePool(database, database.connection);
    await database.query('create or replace function own_function() returns int language sql as $$ select 1 $$');
    expect(await routesOf(pool, () => pool.query(text))).toEqual(OWN);
  });

  test('shares where its caller vouches for it', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const write = (id: number): Promise<QueryResult> =>
      pool.query('insert into notes values ($1, $2) returning body', [id, `note ${id}`], { lane: true });
    let rows: unknown[] = [];
    const route = await routesOf(pool, async () => {
      rows = (await Promise.all([write(11), write(12)])).flatMap((result) => result.rows);
    });
    expect([route, rows]).toEqual([{ lane: 2, own: 0 }, [{ body: 'note 11' }, { body: 'note 12' }]]);
  });

  test.for([
    'begin',
    'select 1; select 2',
    "set application_name = 'a'",
    'listen news',
    'vacuum notes',
    'copy notes to stdout',
    'select pg_advisory_lock(7)',
  ])('and would leave something behind shares with nobody, whoever vouches for it: %s', async (text, { database }) => {
    const pool = await lanePool(database, database.connection);
    expect((await routesOf(pool, () => pool.query(text, undefined, { lane: true }))).lane).toBe(0);
  });
});

describe('statements that belong to more than themselves', () => {
  const units: readonly (readonly [string, (pool: LifeguardPool) => Promise<unknown>])[] = [
    ['a scope with settings', (pool) => pool.scope({ settings: { 'app.a': 'b' } }, (db) => db.query(NAME, [1]))],
    ['a read-only scope', (pool) => pool.scope({ readOnly: true }, (db) => db.query(NAME, [1]))],
    ['a scope with little time', (pool) => pool.scope({ timeoutMillis: 5_000 }, (db) => db.query(NAME, [1]))],
    ['a scope that is pinned', (pool) => pool.scope({ mode: 'pinned' }, (db) => db.query(NAME, [1]))],
    ['a transaction', (pool) => pool.transaction((tx) => tx.query(NAME, [1]))],
    ['a transaction around the pool', (pool) => pool.transaction(() => pool.query(NAME, [1]))],
    ['a batch', (pool) => pool.batch([{ text: NAME, values: [1] }, 'select 2'])],
  ];

  test.for(units)('share with nobody in %s', async ([, work], { database }) => {
    const pool = await lanePool(database, database.connection);
    expect(await routesOf(pool, () => work(pool))).toEqual(OWN);
  });

  test('share with nobody outside of a transaction that is open, which they could wait for', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const work = (): Promise<unknown> =>
      pool.transaction(async (tx) => {
        await tx.query('select 1');
        await pool.outside(() => pool.query(NAME, [1]));
      });
    expect(await routesOf(pool, work)).toEqual({ lane: 0, own: 2 });
    expect(await routesOf(pool, () => pool.query(NAME, [1]))).toEqual(LANE);
  });

  test('share in a scope that asks for nothing, as each statement of it says', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const inScope = (lane: boolean | undefined, text: string): Promise<unknown> =>
      pool.scope({ name: 'a route' }, (db) => db.query(text, [], { lane }));
    expect(await routesOf(pool, () => inScope(undefined, 'select 1'))).toEqual(LANE);
    expect(await routesOf(pool, () => inScope(false, 'select 1'))).toEqual(OWN);
    expect(await routesOf(pool, () => inScope(true, 'select pg_backend_pid()'))).toEqual(LANE);
    expect(await routesOf(pool, () => inScope(undefined, 'select pg_backend_pid()'))).toEqual(OWN);
  });
});

describe('the option lane', () => {
  test('of a pool takes lanes away from all, whatever a call says', async ({ database }) => {
    const pool = await lanePool(database, database.connection, { lane: false });
    const work = (): Promise<unknown> => Promise.all([pool.query(NAME, [1]), pool.query(NAME, [1], { lane: true })]);
    expect(await routesOf(pool, work)).toEqual({ lane: 0, own: 2 });
  });

  test('is refused where it is misspelt, no boolean, or has no meaning', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const wrong = (options: object): Promise<Error> => errorOf(pool.query(NAME, [1], options));
    expect(await wrong({ lanes: true })).toMatchObject({ code: 'ERR_LIFEGUARD_ARGUMENT', message: /"lane"/ });
    expect(await wrong({ lane: 1 })).toMatchObject({ code: 'ERR_LIFEGUARD_ARGUMENT', message: /lane must be/ });
    const lease = await pool.lease();
    expect(await errorOf(lease.query(NAME, [1], { lane: true } as object))).toMatchObject({
      code: 'ERR_LIFEGUARD_ARGUMENT',
    });
    await lease.release();
  });
});

describe('a pool', () => {
  test.for([
    [1, 0],
    [2, 1],
    [7, 1],
    [8, 2],
    [11, 2],
    [12, 3],
    [16, 4],
    [20, 4],
  ] as const)('of %i connections has %i lanes at most', async ([max, lanes], { database }) => {
    const pool = await lanePool(database, database.connection, { max, min: max });
    await pool.ready();
    const reads = readMany(pool, 300);
    expect(pool.snapshot().lanes).toBe(lanes);
    expect(await namesOf(reads)).toEqual(namesUpTo(300));
    expect((await database.backends()).length).toBeLessThanOrEqual(max);
  });

  test('sends what is asked for in one breath in one packet, each statement with a Sync of its own', async ({
    database,
  }) => {
    await lanePool(database, database.connection);
    const { pool, cost } = await wiretap(database.connection, { max: 2 });
    await known(pool, NAME, [1]);
    expect(await cost(() => Promise.all(readMany(pool, 50)))).toMatchObject({
      trips: 1,
      sent: 1,
      asked: 50,
      answered: 50,
    });
  });

  test('says of the statements on a lane which connection they share', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    await known(pool, 'select 1/0');
    const [started, ended] = [listen('lifeguard:statement:started', pool), listen('lifeguard:statement:ended', pool)];
    const leases = listen('lifeguard:lease:started', pool);
    await Promise.all([...readMany(pool, 3, { name: 'a route' }), errorOf(pool.query('select 1/0'))]);
    const [{ slot } = { slot: 0 }] = started;
    expect(started).toEqual(
      [1, 2, 3]
        .map(() => ({ pool: pool.name, name: 'a route', slot, text: NAME }))
        .concat([{ pool: pool.name, name: 'query', slot, text: 'select 1/0' }]),
    );
    expect(ended.map(({ error }) => error)).toEqual([undefined, undefined, undefined, '22012']);
    expect(leases).toEqual([]);
  });

  test('of which nobody has asked anything opens a connection for the first who shares', async ({ database }) => {
    await lanePool(database, database.connection);
    const pool = openPool(database.connection, { max: 2, pooler: 'none' });
    expect(await placeOf(pool, () => namesOf(readMany(pool, 40, { lane: true })))).toBe('lanes');
    expect(pool.snapshot()).toMatchObject({ lanes: 1, onLanes: 0, waiting: 0 });
  });

  test('that looks for a pooler shares nothing before it has done so, whoever vouches for it', async ({ database }) => {
    await lanePool(database, database.connection);
    const pool = openPool(database.connection, { max: 2 });
    const read = (): Promise<unknown> => namesOf(readMany(pool, 40, { lane: true }));
    expect(await routesOf(pool, read)).toEqual({ lane: 0, own: 40 });
    // The second connection may have served all of them while the first one is still being asked.
    const all = await Promise.all([pool.lease(), pool.lease()]);
    await Promise.all(all.map((lease) => lease.release()));
    expect(await placeOf(pool, read)).toBe('lanes');
  });

  test('that resets whatever comes back has no lanes, because nobody resets between those who share', async ({
    database,
  }) => {
    const pool = await lanePool(database, database.connection, { resetOnRelease: 'always' });
    const work = (): Promise<unknown> => Promise.all([pool.query(NAME, [1]), pool.query(NAME, [1], { lane: true })]);
    expect(await routesOf(pool, work)).toEqual({ lane: 0, own: 2 });
  });
});

describe('a text that nobody knows', () => {
  test('shares when it has been quick twice', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const routes = [];
    for (let use = 0; use < 3; use += 1) routes.push(await routesOf(pool, () => pool.query('select 7 as it')));
    expect(routes).toEqual([OWN, OWN, LANE]);
  });

  test('does not stand behind others of its kind, which may be slow', async ({ database }) => {
    const pool = await lanePool(database, database.connection, { max: 8 });
    const letGo = await hold(database.connection);
    const asked = [1, 2, 3, 4].map((id) => pool.query(`select id from held where id = ${id}`));
    const backends = await database.waitFor(
      'all of them to wait for the lock side by side',
      (all) => all.filter(({ waitEvent }) => waitEvent === 'relation').length === 4,
    );
    expect(backends.length).toBeGreaterThan(4);
    expect(pool.snapshot()).toMatchObject({ onLanes: 0, leased: 4 });
    await letGo();
    expect(await outcomesOf(asked)).toEqual(Array(4).fill('ok'));
  });
});
