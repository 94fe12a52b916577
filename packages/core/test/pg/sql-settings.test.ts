import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { localSettings } from '../../src/pg/sql-settings.ts';
import { readSql } from '../../src/pg/sql-words.ts';

function namesIn(text: string, values?: readonly unknown[]): readonly string[] {
  const settings = localSettings(text, values);
  return settings === 'none' ? [] : settings.names;
}

describe('a text without SET, RESET and set_config', () => {
  test.for([
    'select 1',
    "select 'set role x', current_setting('role')",
    'update t set a = 1',
    'select set_config from t',
    'select "SET_CONFIG"(1, 2)',
    'alter role r set work_mem = 1',
    'create function f() returns int set search_path = a return 1',
    'insert into t values (1) -- set_config(',
  ])('changes no setting that is seen: %s', (text) => {
    expect(readSql(text).setsSettings).toBe(false);
    expect(localSettings(text, ['role', { role: 'x' }])).toBe('none');
  });
});

describe('SET and RESET', () => {
  test.for([
    ["set local Work_Mem = '1MB'", ['work_mem']],
    ["SET LOCAL app.User_Id TO '1'", ['app.user_id']],
    [`set local "App"."Tenant" = 'x'; ; set session "b"/**/. c to default`, ['app.tenant', 'b.c']],
    ["set a.b.c = 'x'", ['a.b.c']],
    ["set local.x = '1'; set session.x = '1'; set transaction.x = '1'", ['local.x', 'session.x', 'transaction.x']],
    ['set local role x', ['role']],
    ['set role none; reset role', ['role']],
    ["set local time zone 'UTC'; set time zone local; reset time zone", ['timezone']],
    ['set local session authorization x', ['session_authorization', 'role']],
    ['set session authorization default', ['session_authorization', 'role']],
    ["set schema 'x'", ['search_path']],
    ["set local names 'utf8'", ['client_encoding']],
    ['set xml option document', ['xmloption']],
    ['reset a.B; begin; select 1; set local é.É = 1', ['a.b', 'é.É']],
  ] as const)('change the setting that they name: %s', ([text, names]) => {
    expect(namesIn(text)).toEqual(names);
  });

  test.for([
    'set transaction read only',
    'set local transaction isolation level serializable',
    'set session characteristics as transaction read only',
    'set constraints all deferred',
    'set local transaction_read_only = on',
    'set local seed = 0.5',
    'reset all',
    'set',
    'set local',
    'set U&"a\\002eb" = 1',
    'set local 1 = 1',
  ])('change no setting that can be put back: %s', (text) => {
    expect(localSettings(text)).toBe('none');
  });
});

describe('set_config', () => {
  test.for([
    ["select set_config('App.x', $1, true)", ['role'], ['app.x']],
    ["select pg_catalog.set_config('a.b'::text, $1, $2), SET_CONFIG($$c.d$$, 'role', true)", ['x'], ['a.b', 'c.d']],
    [
      `select "set_config"($2, $1, true), set_config ( /* , */ $3::text, '', true)`,
      ['x', 'Role', 'a.b'],
      ['role', 'a.b'],
    ],
    ["with a as (select set_config(E'a.b', 'x', true)) select * from a", [], ['a.b']],
    ["select 1; select set_config('session_authorization', 'x', true)", [], ['session_authorization', 'role']],
    ["select set_config($1, 'x', true)", [null], []],
    ["select set_config($2, 'x', true)", ['a.b'], []],
    ["select set_config('transaction_read_only', 'on', true), set_config('seed', '0', true)", ['a.b'], []],
  ] as const)('changes the setting that it is told: %s', ([text, values, names]) => {
    expect(namesIn(text, values)).toEqual(names);
  });

  const CLAIMS = 'select set_config(el->>0, el->>1, true) from json_array_elements($1::json) el';
  const TUPLES = 'select set_config(k, v, true) from unnest($1::text[], $2::text[]) as t(k, v)';

  test.for([
    [
      CLAIMS,
      [
        JSON.stringify([
          ['role', '@x'],
          ['Jwt.claims.id', '7'],
        ]),
      ],
      ['role', 'jwt.claims.id'],
    ],
    [
      CLAIMS,
      [
        [
          ['role', '7'],
          [['a.b', {}], { 'c.d': '8' }],
        ],
      ],
      ['role', 'a.b', 'c.d'],
    ],
    [TUPLES, ['{role,"a.b"}', ['c.d', '9']], ['role', 'a.b', 'c.d']],
    [`select set_config(k, v, true) from json_each_text('{"a.b": "it''s"}') as t(k, v)`, [], ['a.b']],
    ['select set_config(lower($1), $2, true)', ['a.b', '1'], ['a.b']],
    ["select set_config('a' || $1, $2, true)", ['b.c', '1'], ['a', 'b.c']],
    ["select set_config('app.' || k, v, true) from json_each_text($1) as t(k, v)", ['{"x": "1"}'], ['app.x', 'x']],
    ["select set_config(U&'\\0061.b', '1', true)", ['c.d'], ['c.d']],
    ["select set_config('a.b' -- \n '.c', '1', true)", ['1'], ['a.b']],
    [CLAIMS, ['{"open": ', '[1, 2]', '"a.b"', '7', 'a b', Buffer.from('x'), new Date(), undefined], ['a.b', 'open']],
  ] as const)('may change whatever its values name where it hides the name: %s', ([text, values, names]) => {
    expect(namesIn(text, values)).toEqual(names);
  });

  test('may change whatever the values name where it stands far behind in a text', () => {
    const text = `select ${'1, '.repeat(500)} set_config($1, $2, true)`;
    expect(namesIn(text, ['a.b', '1'])).toEqual(['a.b']);
  });

  test('names a hundred settings at most, and is not lost in what holds itself', () => {
    const names = Array.from({ length: 300 }, (_, at) => `a.b${at}`);
    const round: unknown[] = [];
    round.push(round, 'a.round', 'x'.repeat(300));
    expect(namesIn(CLAIMS, [JSON.stringify(names)])).toEqual(names.slice(0, 100));
    expect(namesIn(CLAIMS, [round])).toEqual(['a.round']);
    expect(namesIn(CLAIMS, [Buffer.alloc(20_000), ['a.b']])).toEqual(['a.b']);
    expect(namesIn(CLAIMS, [`${'['.repeat(50_000)}"a.b"${']'.repeat(50_000)}`])).toEqual([]);
  });
});
