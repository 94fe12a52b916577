import type { Database } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import fc from 'fast-check';
import pg from 'pg';
import { readSql } from '../../src/pg/sql-words.ts';

const RESET = `SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *;
  SELECT pg_advisory_unlock_all(); DISCARD SEQUENCES; DISCARD TEMP`;

/** Everything about a session that its next borrower could notice, by name; a reset leaves '' in a custom setting. */
const LEAKS = `
  select 'setting ' || name as leak from pg_settings where source = 'session' and name !~ '^transaction_'
  union all select 'custom ' || name from unnest('{a.b,local.b,transaction.b,constraints.b}'::text[]) as name
    where nullif(current_setting(name, true), '') is not null
  union all select 'role' where current_user <> $1 or session_user <> $1
  union all select 'channel ' || c from pg_listening_channels() as c
  union all select 'lock' from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()
  union all select 'cursor' from pg_cursors where is_holdable
  union all select 'statement' from pg_prepared_statements where from_sql
  union all select 'temporary ' || relname from pg_class where relnamespace = pg_my_temp_schema() and relkind in ('r', 'v', 'S', 'm')
  union all select 'temporary ' || proname from pg_proc where pronamespace = pg_my_temp_schema()
  union all select 'driver statement gone' where not exists (
    select from pg_prepared_statements where name = 'driver' and not from_sql)`;

/** `pnpm test:long` tries forty times as many scripts. */
const LENGTH = process.env['LIFEGUARD_LONG'] === '1' ? 40 : 1;

const DRIVER = { name: 'driver', text: 'select 1 as one' };

/** A connection on which the driver has a named statement, as a pooled one would have. */
async function connect(database: Database): Promise<pg.Client> {
  const client = new pg.Client(database.connection);
  await client.connect();
  await client.query(DRIVER);
  return client;
}

async function withClient<T>(database: Database, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connect(database);
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function leaksOf(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ leak: string }>(LEAKS, [client.user]);
  return rows.map(({ leak }) => leak).join(', ');
}

/** How many statements the server executed, or undefined when it refused the text. */
async function executed(client: pg.Client, text: string): Promise<number | undefined> {
  try {
    const answer: pg.QueryResult | pg.QueryResult[] = await client.query(text);
    if (Array.isArray(answer)) return answer.length;
    return answer.command === null ? 0 : 1;
  } catch (error) {
    if (error instanceof pg.DatabaseError) return undefined;
    throw error;
  }
}

describe('what a text leaves in the session', () => {
  const resettable: readonly (readonly [text: string, leak: string])[] = [
    ["set work_mem = '77MB'", 'setting work_mem'],
    ["begin; set session work_mem to '77MB'; commit", 'setting work_mem'],
    ["set a.b = 'x'; set local a.b = 'y'", 'custom a.b'],
    ["set local.b = '1'", 'custom local.b'],
    ["set/**/transaction --\n.b = '1'", 'custom transaction.b'],
    ["set constraints.b = '1'", 'custom constraints.b'],
    ["set time zone 'Asia/Tokyo'", 'setting TimeZone'],
    ["set schema 'x'", 'setting search_path'],
    ['set session characteristics as transaction read only', 'setting default_transaction_read_only'],
    ['set role pg_monitor', 'role'],
    ['set session authorization pg_monitor', 'role'],
    ["update pg_settings set setting = '77MB' where name = 'work_mem'", 'setting work_mem'],
    ["select set_config('a.b', 'x', false)", 'custom a.b'],
    [`select pg_catalog."set_config"('a.b', 'x', not true)`, 'custom a.b'],
    ['listen a', 'channel a'],
    ['select pg_advisory_lock(1)', 'lock'],
    ['select 1 where pg_try_advisory_lock /* ( */ (1)', 'lock'],
    ['select "pg_advisory_lock_shared"(1, 2)', 'lock'],
    ['select U&"pg\\005ftry_advisory_lock_shared"(1)', 'lock'],
    ['with a as (select pg_advisory_lock(1)) select * from a', 'lock'],
    ['explain analyze select pg_advisory_lock(1)', 'lock'],
    ['declare c insensitive cursor with hold for select 1', 'cursor'],
    ['create temp table t ()', 'temporary t'],
    ['create or replace local temporary view t as select 1', 'temporary t'],
    ['create temp sequence t', 'temporary t'],
    ['create table pg_temp.t ()', 'temporary t'],
    ['create function "pg_temp".f() returns int language sql as $$select 1$$', 'temporary f'],
    ['select 1 as a into temp t', 'temporary t'],
    ['with x as (select 1 as a) (select * into temporary table t from x)', 'temporary t'],
    ['select 1 as a into pg_temp.t', 'temporary t'],
    ['explain (analyze) create temp table t as select 1', 'temporary t'],
    ['begin; set local search_path = pg_temp; create table t (); commit', 'temporary t'],
    ['reset work_mem', ''],
    ['execute driver', ''],
  ];

  test.for(resettable)('is seen and goes with a reset: %s', async ([text, leak], { database }) => {
    await withClient(database, async (client) => {
      await client.query(text);
      expect(readSql(text).dirt).toBe('resettable');
      expect(await leaksOf(client)).toBe(leak);
      await client.query(RESET);
      expect(await leaksOf(client)).toBe('');
      expect((await client.query(DRIVER)).rows).toEqual([{ one: 1 }]);
    });
  });

  test.for([
    ['prepare a as select 1', 'statement'],
    ['prepare transaction as select 1', 'statement'],
    ['deallocate all', 'driver statement gone'],
    ['deallocate prepare driver', 'driver statement gone'],
    ['discard all', 'driver statement gone'],
  ] as const)('is seen and survives a reset: %s', async ([text, leak], { database }) => {
    await withClient(database, async (client) => {
      await client.query(text);
      expect(readSql(text).dirt).toBe('sticky');
      await client.query(RESET);
      expect(await leaksOf(client)).toBe(leak);
    });
  });

  test('is seen where it is a seed of random()', async ({ database }) => {
    const drawn = (text: string): Promise<unknown> =>
      withClient(database, async (client) => {
        await client.query(text);
        await client.query(RESET);
        return (await client.query('select random()')).rows[0];
      });
    for (const text of ['select setseed(0.5)', 'set seed = 0.5', 'begin; set local seed = 0.5; commit']) {
      expect(readSql(text).dirt).toBe('sticky');
      expect(await drawn(text)).toEqual(await drawn(text));
    }
  });

  test.for([
    "set local work_mem = '77MB'; set local a.b = 'x'",
    "begin; set local local.b = 'x'; set local role pg_monitor; commit",
    'begin; set transaction read only; set constraints all deferred; commit',
    "select set_config('a.b', 'x', true), set_config('work_mem', '77MB', true)",
    'select pg_advisory_xact_lock(1), pg_try_advisory_xact_lock_shared(2)',
    'begin; declare c cursor for select 1; commit',
    'create temp table t (a int) on commit drop',
    'create temp table t on commit drop as select pg_backend_pid()',
    'begin; create temp table t (a int) on commit drop; insert into t values (1); commit',
    'unlisten *; notify a; discard plans; discard sequences',
    "select 'listen a', $$; listen a;$$, E'\\'; listen a; --' -- ; listen a",
    'select 1 as "listen a", 2 as set_config /* ; listen a; /* */ ; listen a; */',
  ])('is nothing where nothing leaks: %s', async (text, { database }) => {
    await withClient(database, async (client) => {
      await client.query(text);
      expect(readSql(text).dirt).toBe('none');
      expect(await leaksOf(client)).toBe('');
    });
  });
});

describe('a block', () => {
  const SCHEMA = `
    create table if not exists t (a int); create table if not exists p (a int) partition by range (a);
    create table if not exists p1 partition of p for values from (1) to (2);
    create materialized view if not exists v as select 1 as a; create unique index if not exists vi on v (a)`;

  /** The code of the error that a statement meets inside a block. */
  async function refusal(client: pg.Client, text: string): Promise<string | undefined> {
    await client.query('begin');
    const code = await client.query(text).then(
      () => undefined,
      (error: pg.DatabaseError) => error.code,
    );
    await client.query('rollback');
    return code;
  }

  test.for([
    'vacuum t',
    'create database x',
    'drop database if exists x',
    "create tablespace x location '/x'",
    'drop tablespace if exists x',
    'create unique index concurrently on t (a)',
    'create index concurrently if not exists i on t (a)',
    'drop index concurrently if exists vi',
    'reindex (concurrently) table t',
    'reindex table concurrently t',
    'reindex schema public',
    'reindex table p',
    'cluster',
    "alter system set work_mem = '4MB'",
    'alter database postgres set tablespace pg_default',
    'alter table p detach partition p1 concurrently',
    "create subscription s connection '' publication p",
    "commit prepared 'x'",
    "rollback prepared 'x'",
    'discard all',
    'do $$ begin commit; end $$',
  ])('is refused by the server as foretold: %s', async (text, { database }) => {
    await withClient(database, async (client) => {
      await client.query(SCHEMA);
      expect(await refusal(client, text)).toMatch(/^(25001|2D000)$/);
      expect(readSql(text).needsNoBlock).toBe(true);
    });
  });

  test.for([
    'analyze t',
    'create index on t (a)',
    'drop index vi',
    'refresh materialized view concurrently v',
    'alter table p detach partition p1',
    'alter table t set tablespace pg_default',
    'alter role current_user set work_mem = 64',
    'create schema s create table vacuum (a int)',
    'lock table t',
    'truncate t',
    'discard temp',
    'do $$ begin perform 1; end $$',
  ])('is accepted by the server as foretold: %s', async (text, { database }) => {
    await withClient(database, async (client) => {
      await client.query(SCHEMA);
      expect(await refusal(client, text)).toBeUndefined();
      expect(readSql(text).needsNoBlock).toBe(false);
    });
  });

  test('opens and closes as the words say', async ({ database }) => {
    const opens = ['begin', 'start transaction read only', 'commit and chain', 'rollback work and chain'];
    const closes = ['commit', 'end', 'end and no chain', 'rollback', 'abort transaction'];
    const stays = ['savepoint a', 'rollback to a', 'rollback transaction to savepoint a', 'release savepoint a'];
    const expected = new Map([
      ...opens.map((text) => [text, 'T'] as const),
      ...closes.map((text) => [text, 'I'] as const),
    ]);
    const moves: Record<string, string> = { begin: 'T', commit: 'I', rollback: 'I' };
    await withClient(database, async (client) => {
      for (const text of [...opens, ...closes, ...stays]) {
        await client.query('rollback; begin; savepoint a');
        await client.query(text);
        const word = readSql(text).transaction.join();
        expect(client.getTransactionStatus()).toBe(expected.get(text) ?? 'T');
        expect(moves[word] ?? 'T').toBe(expected.get(text) ?? 'T');
      }
    });
  });
});

describe('any script', () => {
  const doubled = (inner: string, quote: string): string => inner.replaceAll(quote, quote + quote);
  const escaped = (inner: string): string => doubled(inner, '\\').replaceAll("'", "\\'");
  const PIECES = ['; listen a; ', "'; listen a; '", '"', "\\'", '$$', '/* ', '*/', '--', ' $b$ ', '\\', '((', ';'];
  const COMMENTS = [' ', '\n', '\t', "/* ; ' */", '/* /* $$ */ " ; */', "-- ' ; $a$\n", '--/*\r', '/*/ */'];
  const inner = fc.array(fc.constantFrom(...PIECES), { maxLength: 4 }).map((pieces) => pieces.join(''));
  const column = fc.oneof(
    inner.map((text) => `'${doubled(text, "'")}'`),
    inner.map((text) => `E'${escaped(text)}'`),
    inner.map((text) => `E'' -- '\n '${escaped(text)}'`),
    inner.map((text) => `U&'${doubled(doubled(text, '\\'), "'")}'`),
    inner.map((text) => `$q$${text}$q$`),
    inner.map((text) => `1 as "${doubled(text, '"')} "`),
    fc.constantFrom('1-1', '1 as a$b$', '(1)', '1e5', '-- \n 2*/**/-3', "date'2020-01-01'", '1 as é$é$'),
  );
  const gap = fc.constantFrom(...COMMENTS);
  const select = fc
    .array(fc.tuple(gap, column, gap), { minLength: 1, maxLength: 3 })
    .map((columns) => `select ${columns.map((parts) => parts.join('')).join(',')}`);

  test('has as many statements as the server executes, and no dirt in its strings', async ({ database }) => {
    const script = fc.array(fc.oneof({ weight: 4, arbitrary: select }, { weight: 1, arbitrary: gap }), {
      maxLength: 5,
    });
    let accepted = 0;
    await withClient(database, async (client) => {
      const check = async (parts: readonly string[]): Promise<void> => {
        const text = parts.join(';');
        const count = await executed(client, text);
        if (count !== undefined) accepted++;
        expect(readSql(text)).toMatchObject({ statements: count ?? expect.any(Number), dirt: 'none' });
      };
      await fc.assert(fc.asyncProperty(script, check), { numRuns: 500 * LENGTH });
    });
    expect(accepted).toBeGreaterThan(450);
  });

  const LEXICAL = ["'", "'", '"', '$$', '$a$', '/*', '*/', '--', '\n', '\\', "E'", "U&'", ' ', '1'];
  const NOISE = [...LEXICAL, ';', ';', ';', 'select 1', 'select', ';listen a;', "set a.b = '", 'begin;', 'commit;'];

  /** Whether the noise left its channel or its setting: a quick look, since it is taken after each script. */
  async function leaks(client: pg.Client): Promise<boolean> {
    const channels = 'exists (select from pg_listening_channels())';
    const { rows } = await client.query(`select ${channels} or current_setting('a.b', true) <> '' as leaks`);
    return (rows[0] as { leaks: boolean | null }).leaks === true;
  }

  test('of nothing but noise is cut where the server cuts it, and dirty when it leaks', async ({ database }) => {
    let leaking = 0;
    await withClient(database, async (client) => {
      const check = async (lead: string, pieces: readonly string[]): Promise<void> => {
        const text = `select ${lead}${pieces.join('')}`;
        const count = await executed(client, text);
        if (count !== undefined) expect(readSql(text).statements).toBe(count);
        if (client.getTransactionStatus() !== 'I') await client.query('commit');
        if (!(await leaks(client))) return;
        leaking++;
        expect(readSql(text).dirt).toBe('resettable');
        await client.query(RESET);
        expect(await leaks(client)).toBe(false);
      };
      const noise = fc.array(fc.constantFrom(...NOISE), { minLength: 2, maxLength: 12 });
      // Behind the head of a statement it is read in another way.
      const lead = fc.constantFrom('', "1,'a',".repeat(100));
      await fc.assert(fc.asyncProperty(lead, noise, check), { numRuns: 1_500 * LENGTH });
    });
    // Chance may make few of them, but not none.
    expect(leaking).toBeGreaterThan(0);
  });
});
