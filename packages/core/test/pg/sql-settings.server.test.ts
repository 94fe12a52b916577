import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { localSettings } from '../../src/pg/sql-settings.ts';

/** Those of the server, and those that it does not list. */
const SETTINGS = `
  select lower(name) as name, setting from pg_settings where name !~ '^transaction_'
  union all select name, coalesce(current_setting(name, true), '')
    from unnest('{role,session_authorization,a.b,a.b.c,app.x,local.x,session.x,transaction.x}'::text[]) as name`;

async function settingsOf(client: pg.Client): Promise<ReadonlyMap<string, string>> {
  const { rows } = await client.query<{ name: string; setting: string }>(SETTINGS);
  return new Map(rows.map(({ name, setting }) => [name, setting]));
}

/** The names of the settings that a text changes in a transaction. */
async function changedBy(client: pg.Client, text: string, values: readonly string[]): Promise<readonly string[]> {
  await client.query('begin');
  const before = await settingsOf(client);
  await (values.length > 0 ? client.query(text, [...values]) : client.query(text));
  const after = await settingsOf(client);
  await client.query('rollback');
  return [...after.keys()].filter((name) => after.get(name) !== before.get(name)).sort();
}

describe('settings', () => {
  const cases: readonly (readonly [text: string, ...values: string[]])[] = [
    ["set local Work_Mem = '77MB'; set a.B to 'x'"],
    ["set local local.x = '1'; set local.x = '1'; set session session.x = '2'; set transaction.x = '3'"],
    ["set local a.b.c = '1'"],
    ['set local role pg_monitor'],
    ["set local time zone 'Asia/Tokyo'"],
    ["set time zone interval '+05:00' hour to minute"],
    ['set local session authorization pg_monitor'],
    ['set local role pg_read_all_data; set session session authorization pg_monitor'],
    ["set schema 'x'"],
    ["set local names 'latin1'"],
    ['set xml option document'],
    ['set local "WORK_mem" from current; set local work_mem = \'78MB\'; reset lock_timeout'],
    ["select set_config('Work_Mem', '77MB', true), set_config($1, $2, true)", 'A.b', 'x'],
    ["select set_config('a.' || k, v, true) from json_each_text($1) as t(k, v)", '{"b": "1", "b.c": "2"}'],
    [
      'select set_config(el->>0, el->>1, true) from json_array_elements($1) el',
      '[["role","pg_monitor"],["app.x","7"]]',
    ],
    ['select set_config(k, k, true) from unnest($1::text[]) k', '{a.b,"app.x"}'],
    ["select set_config(name, 'x', true) from (values ('a.b')) as t(name)"],
  ];

  test.for(cases)('that the server changes are all named: %s', async ([text, ...values], { database }) => {
    const client = new pg.Client(database.connection);
    await client.connect();
    try {
      const changed = await changedBy(client, text, values);
      const named = localSettings(text, values);
      expect(changed.length).toBeGreaterThan(0);
      expect(named === 'none' ? [] : named.names).toEqual(expect.arrayContaining([...changed]));
    } finally {
      await client.end();
    }
  });
});
