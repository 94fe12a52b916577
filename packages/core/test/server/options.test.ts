import { describe, expect, onTestFinished, test, vi } from '@lifeguard/testkit/vitest';
import { createPool, type LifeguardPool, Owner, type PoolOptions } from '../../src/index.ts';
import { readOptions } from '../../src/options.ts';
import { answerOf, errorOf, openPool, outcomesOf } from './rig.ts';

type Given = PoolOptions & Record<string, unknown>;

/** What is refused, and a piece of what is said about it. */
const REFUSED: readonly [given: Record<string, unknown>, said: RegExp][] = [
  [{ maxx: 3 }, /unknown option "maxx"; did you mean "max"/],
  [{ Max: 3 }, /did you mean "max"/],
  [{ maxLifetimeMillis: 3 }, /seconds/],
  [{ maxSize: 3 }, /use max/],
  [{ idleTimeout: 3 }, /did you mean "idleTimeoutMillis"/],
  [{ query_timeout: 3 }, /statementTimeoutMillis/],
  [{ Client: class {} }, /pg-native/],
  [{ native: true }, /pg-native/],
  [{ max: 0 }, /whole number of at least 1, not 0/],
  [{ max: -1 }, /not -1/],
  [{ max: Number.NaN }, /not NaN/],
  [{ max: 1.5 }, /not 1.5/],
  [{ max: '10' }, /not "10"/],
  [{ max: Number.POSITIVE_INFINITY }, /not Infinity/],
  [{ max: null }, /not null/],
  [{ port: 0 }, /between 1 and 65535/],
  [{ min: -1 }, /not -1/],
  [{ min: 11 }, /"min" \(11\) is greater than "max" \(10\)/],
  [{ max: 2, min: 3 }, /greater/],
  [{ idleTimeoutMillis: '30s' }, /not "30s"/],
  [{ idleTimeoutMillis: -1 }, /at least 0/],
  [{ acquireTimeoutMillis: Number.NaN }, /not NaN/],
  [{ checkTimeoutMillis: 0 }, /at least 1/],
  [{ statement_timeout: 3, statementTimeoutMillis: 3 }, /two spellings of one limit/],
  [{ leakAfterMillis: 100, reclaimAfterMillis: 50 }, /before it is reported/],
  [{ connectionString: 'postgres://h/d', host: 'h' }, /both say where to connect/],
  [{ startup: 'eager' }, /"lazy" or "wait" or "fail"/],
  [{ connectionString: '' }, /must begin with postgres/],
  [{ connectionString: 'mysql://h/d' }, /must begin with postgres/],
  [{ connectionString: 'localhost:5432/db' }, /must begin with postgres/],
  [{ resetOnRelease: true }, /"dirty" or "always" or "never"/],
  [{ keepAlive: 'yes' }, /true or false/],
  [{ onConnect: 'set x' }, /a function/],
  [{ logger: {} }, /warn\(\)/],
  [{ ssl: 'require' }, /ssl/],
  [{ ssl: null }, /ssl/],
  [{ types: null }, /types/],
  [{ overload: true }, /overload/],
  [{ overload: { targetMillis: 1 } }, /unknown part "targetMillis"/],
  [{ groups: { a: { maxConcurrent: 0 } } }, /at least 1/],
  [{ groups: { a: {} } }, /without maxConcurrent/],
  [{ groups: { a: { max: 1 } } }, /unknown part "max"/],
  [{ groups: [] }, /must be an object of \{ maxConcurrent \} by name/],
  [{ groups: { a: [] } }, /must be an object of maxConcurrent/],
  [{ groups: { '': { maxConcurrent: 1 } } }, /without a name/],
  [{ overload: [] }, /must be an object/],
  [{ sslnegotiation: 'direct' }, /set "ssl"/],
  [{ sslnegotiation: 'direct', ssl: false }, /set "ssl"/],
  [{ name: '' }, /printable/],
  [{ name: 'a\0b' }, /NUL/],
  [{ name: 'café' }, /printable/],
  [{ name: 'x'.repeat(64) }, /63/],
  [{ application_name: 'a\0b' }, /NUL/],
  [{ password: 5 }, /"password" must be a string/],
  [{ user: ['a'] }, /"user" must be a string/],
];

describe('the options of a pool', () => {
  for (const [given, said] of REFUSED) {
    test(`are refused where they are ${show(given)}`, () => {
      const make = (): LifeguardPool => createPool(given as Given);
      expect(make).toThrow(expect.objectContaining({ code: 'ERR_LIFEGUARD_OPTION' }));
      expect(make).toThrow(said);
    });
  }

  test('are refused where they are no object', () => {
    for (const given of [null, 5, 'postgres://h/d', []]) {
      expect(() => createPool(given as unknown as PoolOptions)).toThrow(
        expect.objectContaining({ code: 'ERR_LIFEGUARD_OPTION' }),
      );
    }
  });

  test('may be undefined each', async ({ database }) => {
    const pool = openPool(database.connection, { ...UNDEFINED, name: 'undefined' });
    expect(await answerOf<number>(pool, 'select 1')).toBe(1);
    expect(pool.snapshot()).toMatchObject({ max: 10, min: 0 });
  });

  test('that are one limit in pg are two with the same value', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1, connectionTimeoutMillis: 30 });
    await using _lease = await pool.lease();
    expect((await errorOf(pool.query('select 1'))).message).toMatch(/within 3\d ms \(acquireTimeoutMillis\)/);
  });

  test('are refused by resize() as they are at creation', async ({ database }) => {
    const pool = openPool(database.connection, { max: 3 });
    for (const given of [{ max: 0 }, { max: Number.NaN }, { min: 5 }, { min: -1 }]) {
      expect(() => pool.resize(given)).toThrow(expect.objectContaining({ code: 'ERR_LIFEGUARD_OPTION' }));
    }
    expect(pool.snapshot()).toMatchObject({ max: 3, min: 0 });
  });

  test('refuse pg-native where the environment forces it', () => {
    process.env['NODE_PG_FORCE_NATIVE'] = '1';
    try {
      expect(() => createPool()).toThrow(/pg-native/);
    } finally {
      delete process.env['NODE_PG_FORCE_NATIVE'];
    }
  });
});

describe('what is given to a pool', () => {
  test('leaves the defaults of the parts of overload that are undefined', () => {
    const { overload } = readOptions({ overload: { targetWaitMillis: undefined, intervalMillis: 300 } });
    expect(overload).toEqual({ targetWaitMillis: 100, intervalMillis: 300 });
  });

  test('is copied: a group that is changed later stays as it was', async ({ database }) => {
    const groups = { reports: { maxConcurrent: 1 } };
    const pool = openPool(database.connection, { max: 2, groups });
    groups.reports.maxConcurrent = 2;
    await using _first = await pool.lease({ group: 'reports' });
    const [code] = await outcomesOf([pool.lease({ group: 'reports', timeoutMillis: 20 })]);
    expect(code).toBe('ERR_LIFEGUARD_DEADLINE');
  });

  test('may ask for TLS at once where the string, the option or the environment allow TLS', () => {
    const direct = { sslnegotiation: 'direct' } as const;
    expect(readOptions({ ...direct, ssl: true }).forPg.sslnegotiation).toBe('direct');
    expect(readOptions({ ...direct, connectionString: 'postgres://h/d?sslmode=require' })).toBeDefined();
    vi.stubEnv('PGSSLMODE', 'require');
    onTestFinished(() => void vi.unstubAllEnvs());
    expect(readOptions(direct).forPg.sslnegotiation).toBe('direct');
  });
});

describe('the options of a call', () => {
  const CALLS: readonly unknown[] = [
    null,
    5,
    { timeout: 5 },
    { timeoutMillis: 0 },
    { timeoutMillis: -1 },
    { timeoutMillis: Number.NaN },
    { timeoutMillis: '5' },
    { timeoutMillis: Number.POSITIVE_INFINITY },
    { signal: {} },
    { priority: 'urgent' },
    { group: 'unheard of' },
    { group: '' },
    { group: 5 },
    { lane: 'yes' },
    { name: '' },
    { name: 5 },
    { owner: {} },
    { owner: { standing: 'admitted' } },
  ];

  test('are refused before a connection is taken', async ({ database }) => {
    const pool = openPool(database.connection);
    for (const options of CALLS as readonly object[]) {
      const codes = await outcomesOf([pool.query('select 1', [], options), pool.lease(options)]);
      expect(codes).toEqual(['ERR_LIFEGUARD_ARGUMENT', 'ERR_LIFEGUARD_ARGUMENT']);
    }
    expect(pool.snapshot()).toMatchObject({ acquired: 0, leased: 0, opened: 0 });
  });

  test('are refused where what they ask for always has a connection to itself', async ({ database }) => {
    const pool = openPool(database.connection);
    for (const lane of [true, false]) {
      const codes = await outcomesOf([pool.lease({ lane }), pool.batch(['select 1'], { lane })]);
      expect(codes).toEqual(['ERR_LIFEGUARD_ARGUMENT', 'ERR_LIFEGUARD_ARGUMENT']);
    }
    expect(pool.snapshot()).toMatchObject({ acquired: 0, opened: 0 });
  });

  test('are refused on a lease where the lease has said them', async ({ database }) => {
    const pool = openPool(database.connection);
    await using lease = await pool.lease();
    for (const options of [
      { name: 'x' },
      { group: 'x' },
      { priority: 'high' },
      { owner: new Owner() },
      { timeout: 5 },
    ]) {
      const error = await errorOf(lease.query('create table never (x int)', [], options as object));
      expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_ARGUMENT', consequence: 'nothing-sent' });
      expect(error.message).toMatch(/it takes signal and timeoutMillis/);
    }
    expect(await answerOf(lease, "select to_regclass('never')")).toBeNull();
  });

  test('are refused by ready(), close() and resize() where their names are nearly right', async ({ database }) => {
    const pool = openPool(database.connection);
    const near = (options: object): never => options as never;
    expect((await errorOf(pool.ready(near({ timeout: 5 })))).message).toMatch(/did you mean "timeoutMillis"/);
    expect((await errorOf(pool.close(near({ grace: 5 })))).message).toMatch(/did you mean "graceMillis"/);
    expect(() => pool.resize(near({ maximum: 5 }))).toThrow(expect.objectContaining({ code: 'ERR_LIFEGUARD_OPTION' }));
    expect(() => pool.resize(near({ name: 'x' }))).toThrow(/there is no option "name"/);
    expect(pool.snapshot()).toMatchObject({ state: 'open', max: 10 });
  });

  test('are not taken from a polluted prototype', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    await pool.query('select 1'); // a dial would fall over it in Node's own code
    const pollution = { timeoutMillis: 1, name: 'polluted', group: 'polluted', signal: AbortSignal.abort() };
    Object.assign(pollution, { min: 5, lane: true });
    Object.assign(Object.prototype, pollution);
    onTestFinished(() => {
      for (const key of Object.keys(pollution)) delete (Object.prototype as Record<string, unknown>)[key];
    });
    const slow = 'select pg_sleep(0.02)';
    expect(await outcomesOf([pool.query(slow), pool.query(slow, [], {}), pool.ready({})])).toEqual(['ok', 'ok', 'ok']);
    const lease = await pool.lease({ priority: 'high' });
    await lease.query(slow, [], {});
    await lease.release();
    expect((await pool.batch(['select 1'], {})).length).toBe(1);
    pool.resize({ max: 5 });
    expect(pool.snapshot()).toMatchObject({ min: 0, max: 5 });
    expect(Object.keys(pool.snapshot().held).sort()).toEqual(['lease', 'query']);
  });

  test('are refused where the statement is none', async ({ database }) => {
    const pool = openPool(database.connection);
    const callback = (): void => undefined;
    const given: readonly unknown[][] = [
      [undefined],
      [5],
      [{}],
      [{ text: 5 }],
      [{ text: 'select 1', query_timeout: 5 }],
      [{ text: 'select 1', values: [] }, []],
      ['select 1', 'values'],
      ['select 1', callback],
      [{ submit: callback, text: 'select 1' }],
    ];
    for (const [text, values] of given) {
      const call = pool.query(text as string, values as unknown[]);
      expect(await errorOf(call)).toMatchObject({ code: 'ERR_LIFEGUARD_ARGUMENT' });
    }
    expect(pool.snapshot()).toMatchObject({ acquired: 0, opened: 0 });
  });
});

const UNDEFINED = Object.fromEntries(
  ['max', 'min', 'idleTimeoutMillis', 'statement_timeout', 'ssl', 'password', 'logger', 'groups', 'overload'].map(
    (name) => [name, undefined],
  ),
) as PoolOptions;

function show(given: object): string {
  return Object.entries(given)
    .map(([key, value]) => `${key}: ${typeof value === 'object' ? JSON.stringify(value) : String(value).slice(0, 20)}`)
    .join(', ')
    .replace('\0', '\\0');
}
