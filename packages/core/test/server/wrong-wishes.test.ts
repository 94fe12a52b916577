import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool } from '../../src/index.ts';
import { answerOf, errorOf, openPool } from './rig.ts';

type Case = readonly [what: string, options: object];

/** What transactions and scopes have in common. */
const COMMON: readonly Case[] = [
  ['an option that does not exist', { timeout: 5 }],
  ['one that is nearly right', { timeoutMilis: 5 }],
  ...[0, -1, Number.NaN, Number.POSITIVE_INFINITY, '5', null].map(
    (timeoutMillis): Case => [`timeoutMillis ${String(timeoutMillis)}`, { timeoutMillis }],
  ),
  ['a controller for a signal', { signal: new AbortController() }],
  ['an empty name', { name: '' }],
  ['a name that is no string', { name: 5 }],
  ['an empty group', { group: '' }],
  ['an unknown priority', { priority: 'urgent' }],
  ['readOnly as a word', { readOnly: 'yes' }],
];

const OF_TRANSACTIONS: readonly Case[] = [
  ...COMMON,
  ['an unknown isolation', { isolation: 'snapshot' }],
  ['one that PostgreSQL does not have', { isolation: 'read uncommitted' }],
  ['one in capitals', { isolation: 'SERIALIZABLE' }],
  ['one with SQL in it', { isolation: 'serializable; drop table item' }],
  ['an inherited key for an isolation', { isolation: 'toString' }],
  ['deferrable alone', { deferrable: true }],
  ['deferrable without readOnly', { deferrable: true, isolation: 'serializable' }],
  ['deferrable as a number', { deferrable: 1 }],
  ['an unknown propagation', { propagation: 'always' }],
  ['an inherited key for a propagation', { propagation: 'constructor' }],
  ['an unknown commitOutcome', { commitOutcome: 'guess' }],
  ...[0, -1, Number.NaN, '5', null].map(
    (lockTimeoutMillis): Case => [`lockTimeoutMillis ${String(lockTimeoutMillis)}`, { lockTimeoutMillis }],
  ),
  ...[-1, 1.5, Number.NaN, '3', true, null, [], { attempts: 0 }, { attempts: 2.5 }, { retries: 3 }].map(
    (retry): Case => [`retry ${JSON.stringify(retry)}`, { retry }],
  ),
  ['backoff as a number', { retry: { backoff: 5 } }],
  ['no backoff', { retry: { backoff: null } }],
  ['backoff with an unknown part', { retry: { backoff: { base: 5 } } }],
  ['a negative pause', { retry: { backoff: { baseMillis: -1 } } }],
  ['an endless pause', { retry: { backoff: { maxMillis: Number.POSITIVE_INFINITY } } }],
  ['one code beside a list', { retry: { on: '55P03' } }],
];

const OF_SCOPES: readonly Case[] = [
  ...COMMON,
  ['a duration for a deadline', { deadline: 5_000 }],
  ['an invalid Date', { deadline: new Date('never') }],
  ['a deadline as a string', { deadline: '2030-01-01' }],
  ['an unknown mode', { mode: 'sticky' }],
  ['what belongs to transactions', { isolation: 'serializable' }],
  ['retry', { retry: 3 }],
];

/** Codes after which trying again is unsafe or pointless, and what is no code at all. */
const UNSOUND = [
  '42P01',
  '22012',
  '23503',
  '25P02',
  '40003',
  '08007',
  '08006',
  '57P04',
  'ECONNRESET',
  '40',
  'lower',
  '',
  5,
];

const OF_SETTINGS: readonly Case[] = [
  ['a list', { settings: ['a'] }],
  ['null', { settings: null }],
  ['a string', { settings: 'app.tenant=1' }],
  ['a tenant that is undefined', { settings: { 'app.tenant': undefined } }],
  ['a tenant that is null', { settings: { 'app.tenant': null } }],
  ['an object as a value', { settings: { 'app.tenant': {} } }],
  ['NaN as a value', { settings: { 'app.tenant': Number.NaN } }],
  ['a bigint as a value', { settings: { 'app.tenant': 5n } }],
  ['a symbol as a value', { settings: { 'app.tenant': Symbol('x') } }],
  ['a function as a value', { settings: { 'app.tenant': () => 1 } }],
  ['a NUL in a value', { settings: { 'app.tenant': 'a\0b' } }],
  ...['a b', "a'; drop table item; --", '', 'a.', '.a', 'a-b', '1a', 'a\0', 'ä', `a${'b'.repeat(70)}`].map(
    (name): Case => [`the name ${JSON.stringify(name.slice(0, 20))}`, { settings: { [name]: 1 } }],
  ),
  ...['role', 'ROLE', 'statement_timeout', 'Lock_Timeout', 'transaction_isolation', 'session_authorization'].map(
    (name): Case => [`${name}, which has an option of its own or none`, { settings: { [name]: '1' } }],
  ),
  ...['', 5, null, 'a\0b', {}].map((role): Case => [`role ${JSON.stringify(role)}`, { role }]),
];

/** Nothing was taken, nothing was opened. */
function untouched(pool: LifeguardPool): void {
  expect(pool.snapshot()).toMatchObject({ opened: 0, acquired: 0, waiting: 0 });
}

const never = (): never => expect.unreachable('the function of a refused wish was called');

describe('transaction() refuses', () => {
  test.for(OF_TRANSACTIONS)('%s, and takes nothing', async ([, options], { database }) => {
    const pool = openPool(database.connection);
    const wishes = [pool.transaction(never, options), pool.scope((db) => db.transaction(never, options))];
    const nested = pool.transaction((tx) => tx.transaction(never, options));
    for (const wish of await Promise.all([...wishes, nested].map(errorOf))) {
      expect(wish).toMatchObject({ code: 'ERR_LIFEGUARD_ARGUMENT', consequence: 'nothing-sent', retryable: false });
    }
    untouched(pool);
  });

  test.for(UNSOUND)('to try again after %o', async (code, { database }) => {
    const pool = openPool(database.connection);
    const wish = pool.transaction(never, { retry: { on: [code as string] } });
    expect(await errorOf(wish)).toMatchObject({ code: 'ERR_LIFEGUARD_ARGUMENT', consequence: 'nothing-sent' });
    untouched(pool);
  });

  test.for<readonly [what: string, fn: unknown]>([
    ['nothing', undefined],
    ['options first', {}],
    ['a string', 'select 1'],
    ['a promise', Promise.resolve()],
  ])('%s in the place of its function', async ([, fn], { database }) => {
    const pool = openPool(database.connection);
    const calls = [pool.transaction(fn as never), pool.scope((db) => db.transaction(fn as never))];
    for (const error of await Promise.all(calls.map(errorOf))) {
      expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_ARGUMENT' });
    }
    untouched(pool);
  });

  test('options that are no object', async ({ database }) => {
    const pool = openPool(database.connection);
    for (const options of [null, 5, 'serializable', () => 1]) {
      expect(await errorOf(pool.transaction(never, options as never))).toMatchObject({
        code: 'ERR_LIFEGUARD_ARGUMENT',
      });
    }
    untouched(pool);
  });

  test('a statement that is none, or with limits that are none, before its BEGIN', async ({ database }) => {
    const pool = openPool(database.connection);
    await pool.transaction(async (tx) => {
      const calls = [
        tx.query(5 as never),
        tx.query({} as never),
        tx.query('select \0'),
        tx.query('select $1', 'a' as never),
      ];
      const limits = [{ timeoutMillis: 0 }, { signal: {} }, { timeout: 5 }, { name: 'x' }];
      const limited = limits.flatMap((one) => [
        tx.query('select 1', [], one as never),
        tx.last('select 1', [], one as never),
        tx.batch(['select 1'], one as never),
      ]);
      for (const error of await Promise.all([...calls, ...limited].map(errorOf))) {
        expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_ARGUMENT', consequence: 'nothing-sent' });
      }
    });
    untouched(pool);
  });
});

describe('scope() refuses', () => {
  test.for(OF_SCOPES)('%s, and takes nothing', async ([, options], { database }) => {
    const pool = openPool(database.connection);
    expect(await errorOf(pool.scope(options, never))).toMatchObject({
      ...{ code: 'ERR_LIFEGUARD_ARGUMENT', consequence: 'nothing-sent', retryable: false },
    });
    untouched(pool);
  });

  test('what is no function, and options that are no object', async ({ database }) => {
    const pool = openPool(database.connection);
    const calls = [pool.scope({}, undefined as never), pool.scope(undefined as never), pool.scope(5 as never, never)];
    for (const error of await Promise.all([...calls, pool.scope(null as never, never)].map(errorOf))) {
      expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_ARGUMENT' });
    }
    untouched(pool);
  });
});

describe('settings and role', () => {
  test.for(OF_SETTINGS)('are refused where they are %s', async ([, options], { database }) => {
    const pool = openPool(database.connection);
    const wishes = [pool.transaction(never, options), pool.scope(options, never)];
    const nested = pool.transaction((tx) => tx.transaction(never, options));
    for (const error of await Promise.all([...wishes, nested].map(errorOf))) {
      expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_SETTING', consequence: 'nothing-sent', retryable: false });
      expect(error.message).not.toContain('\0');
    }
    untouched(pool);
  });

  const HOSTILE = [`'; drop table item; --`, '$1', '\\', '"', `"; set role x; "`, '%s', 'a\nb', '', '{x}', '\u{1F6DF}'];

  test.for(HOSTILE)('hold any text as a value and nothing but a value: %j', async (value, { database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const settings = { 'app.tenant': value };
    const look = "select current_setting('app.tenant', true)";
    expect(await pool.transaction((tx) => answerOf(tx, look), { settings })).toBe(value);
    expect(await pool.scope({ settings }, (db) => answerOf(db, look))).toBe(value);
    expect(await answerOf(pool, look)).toBe('');
    const role = pool.scope({ role: value === '' ? "'" : value }, (db) => db.query('select 1'));
    expect(await errorOf(role)).toMatchObject({ code: 'ERR_LIFEGUARD_SETTING', cause: { code: '22023' } });
  });

  test('may be numbers and booleans, and are refused where some might come from a prototype', async ({ database }) => {
    const pool = openPool(database.connection);
    const look = "select concat_ws('/', current_setting('app.n'), current_setting('app.b'))";
    const settings = { 'app.n': 5, 'app.b': true };
    expect(await pool.transaction((tx) => answerOf(tx, look), { settings })).toBe('5/true');
    for (const unseen of [Object.create({ 'app.p': 'inherited' }), new Map([['app.p', 'x']])]) {
      const error = await errorOf(pool.transaction((tx) => tx.query('select 1'), { settings: unseen }));
      expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_SETTING' });
    }
  });
});
