import type { ConnectionParameters, PostgresServer } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import fc from 'fast-check';
import pg from 'pg';
import { PLAIN_FUNCTIONS, RANDOM_FUNCTIONS } from '../../src/pg/sql-functions.ts';
import { readSql } from '../../src/pg/sql-words.ts';
import { querySql } from './sql-lane-queries.ts';
import { PLAIN, SCHEMA } from './sql-lane-texts.ts';

/** `pnpm test:long` tries forty times as many queries. */
const LENGTH = process.env['LIFEGUARD_LONG'] === '1' ? 40 : 1;

/** What a statement has done to its session and transaction that somebody else could notice, by name. */
const TRACES = `
  select 'lock ' || mode as trace from pg_locks
    where pid = pg_backend_pid() and mode not in ('AccessShareLock') and locktype <> 'virtualxid'
  union all select 'advisory lock' from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'
  union all select 'prepared statement' from pg_prepared_statements where name <> ''
  union all select 'cursor' from pg_cursors where name <> ''
  union all select 'setting ' || name from pg_settings where source = 'session' and name !~ '^transaction_'
  union all select 'custom setting' where current_setting('a.b', true) <> ''
  union all select 'channel' from pg_listening_channels()
  union all select 'temporary ' || relname from pg_class where relnamespace = pg_my_temp_schema()
  union all select 'transaction id' where pg_current_xact_id_if_assigned() is not null`;

async function withClient<T>(connection: ConnectionParameters, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(connection);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function tracesOf(client: pg.Client): Promise<readonly string[]> {
  const { rows } = await client.query<{ trace: string }>(TRACES);
  return rows.map(({ trace }) => trace);
}

/** A null for each `$1`, `$2`… */
function nullsFor(text: string): null[] {
  const highest = Math.max(0, ...Array.from(text.matchAll(/\$(\d+)/g), ([, number]) => Number(number)));
  return Array.from({ length: highest }, () => null);
}

// On a server of its own, which is the newest: an older one lacks some functions, and has no JSON_VALUE.
describe('a plain read', () => {
  test.beforeAll(async ({ server }) => {
    await withClient(server.connection(), (client) => client.query(SCHEMA));
  });

  test.for(PLAIN)('runs on a real server and leaves no trace: %s', async ([, texts], { server }) => {
    await withClient(server.connection(), async (client) => {
      for (const text of texts) {
        await client.query('begin read only');
        await client.query(text, nullsFor(text));
        expect([text, await tracesOf(client)]).toEqual([text, []]);
        await client.query('commit');
        expect([text, await tracesOf(client)]).toEqual([text, []]);
      }
    });
  });

  test('would be found out by its traces if it were none', async ({ server }) => {
    await withClient(server.connection(), async (client) => {
      await client.query('begin');
      await client.query("select pg_advisory_xact_lock(1), set_config('a.b', 'x', true), pg_current_xact_id()");
      await client.query('select * from users for update');
      const traces = await tracesOf(client);
      for (const trace of ['advisory lock', 'lock RowShareLock', 'custom setting', 'transaction id']) {
        expect(traces).toContain(trace);
      }
    });
  });
});

describe('the list of harmless functions', () => {
  /** The functions of the list, each once for each of its signatures. */
  async function signatures(server: PostgresServer, condition: string): Promise<readonly string[]> {
    const text = `select distinct proname as name from pg_proc
      where pronamespace = 'pg_catalog'::regnamespace and proname = any ($1) and ${condition} order by 1`;
    return await withClient(server.connection(), async (client) => {
      const { rows } = await client.query<{ name: string }>(text, [PLAIN_FUNCTIONS]);
      return rows.map(({ name }) => name);
    });
  }

  test('names nothing that the newest server does not have', async ({ server }) => {
    expect(await signatures(server, 'true')).toEqual([...PLAIN_FUNCTIONS].sort());
  });

  test('names volatile functions only where they draw numbers or read the clock', async ({ server }) => {
    expect(await signatures(server, "provolatile = 'v'")).toEqual([...RANDOM_FUNCTIONS].sort());
  });

  test('names no function that takes a function, a table, a cursor or a sequence', async ({ server }) => {
    const types = 'regproc,regprocedure,regclass,regoper,regoperator,refcursor,internal,trigger';
    expect(await signatures(server, `proargtypes::regtype[] && '{${types}}'::regtype[]`)).toEqual([]);
  });

  test('names no function that is written in a language other than C', async ({ server }) => {
    const languages = "(select oid from pg_language where lanname not in ('internal', 'c', 'sql'))";
    expect(await signatures(server, `prolang in ${languages}`)).toEqual([]);
  });
});

/** Functions of a user that leave a mark, also under names that mean something to the reader of the text. */
const MARKING = [
  'f',
  'over',
  'filter',
  'by',
  'sets',
  'rollup',
  'cube',
  'materialized',
  'first',
  'zone',
  'varying',
  'a',
];

const MARKERS = MARKING.flatMap((name) =>
  ['int', 'bool'].map(
    (type) => `create function "${name}"(${type}) returns ${type} volatile language plpgsql as
      $$begin perform set_config('a.b', 'called', false); return $1; end$$`,
  ),
);

describe('any query', () => {
  test.beforeAll(async ({ database }) => {
    await withClient(database.connection, (client) =>
      client.query(['create table t (a int)', 'insert into t values (1), (2)', ...MARKERS].join(';')),
    );
  });

  const JOINTS = ['select', 'distinct on', '(', ')', ',', 'as', 'with', 'recursive', 'from', 'x', '1', 't', '::', '.'];
  const MORE = ['(1)', '(a)', '(select 1)', 'c(a)', 'join', 'on', 'order by', 'group by', 'lateral', 'union all', 'a'];
  const calls = [...MARKING.map((name) => `${name}(1)`), '(1).f', '"f" (1)', 'public.f(1)', 'count(*)'];
  const conditions = MARKING.map((name) => `case when not ${name}(true) then 1 end`);
  const names = fc.constantFrom(...calls, ...calls, ...conditions);
  const noise = fc
    .array(fc.oneof(names, fc.constantFrom(...JOINTS, ...MORE)), { minLength: 1, maxLength: 5 })
    .map((pieces) => pieces.join(' '));

  /** Whether the server accepted the text, and whether it called a marker. */
  async function run(client: pg.Client, text: string): Promise<{ accepted: boolean; marked: boolean }> {
    const accepted = await client.query({ text, values: [] }).then(
      () => true,
      (error: Error) => (error instanceof pg.DatabaseError ? false : Promise.reject(error)),
    );
    const { rows } = await client.query<{ marked: boolean }>("select current_setting('a.b', true) <> '' as marked");
    const marked = rows[0]?.marked === true;
    if (marked) await client.query('reset a.b');
    return { accepted, marked };
  }

  test('of plain parts is accepted by the server and calls nothing', async ({ database }) => {
    await withClient(database.connection, async (client) => {
      const check = async (text: string): Promise<void> => {
        expect([text, await run(client, text)]).toEqual([text, { accepted: true, marked: false }]);
      };
      await fc.assert(fc.asyncProperty(querySql(fc.constant('1')), check), { numRuns: 300 * LENGTH });
    });
  });

  test('with noise in it calls nothing of a user where it is a plain read', async ({ database }) => {
    const seen = { plain: 0, marked: 0 };
    await withClient(database.connection, async (client) => {
      const check = async (query: string, spot: string): Promise<void> => {
        const text = query.replace('SPOT', spot);
        const { accepted, marked } = await run(client, text);
        if (marked) seen.marked++;
        if (marked) expect([text, readSql(text).isPlainRead]).toEqual([text, false]);
        else if (accepted && readSql(text).isPlainRead) seen.plain++;
      };
      const withSpot = querySql(fc.constant('1'), 'SPOT');
      await fc.assert(fc.asyncProperty(withSpot, noise, check), { numRuns: 6_000 * LENGTH });
    });
    expect(seen.plain).toBeGreaterThan(50);
    expect(seen.marked).toBeGreaterThan(50);
  });
});
