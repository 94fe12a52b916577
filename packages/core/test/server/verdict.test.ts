import { waitUntil } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { HookConnection, Lease, LifeguardPool } from '../../src/index.ts';
import { answerOf, errorOf, listen, openPool, outcomesOf, pidOf } from './rig.ts';

/** What lives in a session, how it gets there, and what a clean session answers when it is asked for it. */
const DIRT: readonly { kind: string; make: string; ask: string; clean: unknown }[] = [
  { kind: 'a setting', make: 'set work_mem = 1234', ask: 'show work_mem', clean: '4MB' },
  {
    kind: 'a custom setting',
    make: "set app.t = 'a'",
    ask: "select nullif(current_setting('app.t', true), '')",
    clean: null,
  },
  {
    kind: 'set_config',
    make: "select set_config('app.u', 'a', false)",
    ask: "select nullif(current_setting('app.u', true), '')",
    clean: null,
  },
  { kind: 'a role', make: 'set role pg_monitor', ask: 'select current_user::text', clean: 'postgres' },
  {
    kind: 'a session user',
    make: 'set session authorization pg_monitor',
    ask: 'select session_user::text',
    clean: 'postgres',
  },
  { kind: 'a search path', make: 'set search_path = pg_catalog', ask: 'show search_path', clean: '"$user", public' },
  { kind: 'a channel', make: 'listen news', ask: 'select pg_listening_channels()', clean: undefined },
  { kind: 'a temporary table', make: 'create temp table mine (x int)', ask: "select to_regclass('mine')", clean: null },
  {
    kind: 'an advisory lock',
    make: 'select pg_advisory_lock(7)',
    ask: "select count(*)::int from pg_locks where locktype = 'advisory'",
    clean: 0,
  },
  {
    kind: 'a cursor',
    make: 'begin; declare c cursor with hold for select 1; commit',
    ask: 'select name from pg_cursors',
    clean: undefined,
  },
];

const STICKY: readonly string[] = ['prepare p as select 1', 'discard all', 'deallocate all', "load 'plpgsql'"];

async function soil(pool: LifeguardPool, text: string): Promise<number> {
  const lease = await pool.lease();
  const pid = await pidOf(lease);
  await lease.query(text);
  await lease.release();
  return pid;
}

describe('a session that comes back visibly dirty', () => {
  for (const { kind, make, ask, clean } of DIRT) {
    test(`is rid of ${kind} and kept`, async ({ database }) => {
      const pool = openPool(database.connection, { max: 1 });
      const before = await soil(pool, make);
      expect(await answerOf(pool, ask)).toEqual(clean);
      expect(await pidOf(pool)).toBe(before);
    });

    test(`keeps ${kind} when it is never reset`, async ({ database }) => {
      const pool = openPool(database.connection, { max: 1, resetOnRelease: 'never' });
      const before = await soil(pool, make);
      expect(await answerOf(pool, ask)).not.toEqual(clean);
      expect(await pidOf(pool)).toBe(before);
    });
  }

  for (const text of STICKY) {
    test(`is replaced after "${text}"`, async ({ database }) => {
      const pool = openPool(database.connection, { max: 1 });
      const before = await soil(pool, text);
      expect(await pidOf(pool)).not.toBe(before);
      expect(pool.snapshot().closed).toEqual({ dirty: 1 });
    });
  }

  test('costs nothing when nothing visible was done', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const ended = listen('lifeguard:statement:ended', pool);
    await pool.query('begin; set local work_mem = 1234; commit');
    await pool.query("select 'set role postgres'");
    await pool.query('select 1');
    expect(pool.snapshot()).toMatchObject({ tending: 0, idle: 1, closed: {} });
    expect(ended).toHaveLength(3);
  });

  test('is reset after every lease where that is wanted', async ({ database }) => {
    const hide =
      "create function hide() returns void language sql as $$ select set_config('app.hidden', 'a', false) $$";
    await database.query(hide);
    const ask = "select nullif(current_setting('app.hidden', true), '')";
    const always = openPool(database.connection, { max: 1, resetOnRelease: 'always' });
    const before = await soil(always, 'select hide()');
    expect([await answerOf(always, ask), await pidOf(always)]).toEqual([null, before]);
    const dirty = openPool(database.connection, { max: 1 });
    await soil(dirty, 'select hide()');
    expect(await answerOf(dirty, ask)).toBe('a');
  });

  test('keeps its prepared statements through the reset', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const one = { name: 'one', text: 'select $1::int as x' };
    await pool.query(one, [1]);
    const before = await soil(pool, "set app.t = 'a'");
    expect((await pool.query(one, [2])).rows).toEqual([{ x: 2 }]);
    expect(await answerOf(pool, "select count(*)::int from pg_prepared_statements where name = 'one'")).toBe(1);
    expect(await pidOf(pool)).toBe(before);
  });

  test('is closed when it cannot be reset', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const lease = await pool.lease();
    await lease.query("set app.t = 'a'");
    const before = await pidOf(lease);
    await database.query('select pg_terminate_backend($1)', [before]);
    await lease.release();
    expect(await pidOf(pool)).not.toBe(before);
    await waitUntil(() => pool.snapshot().size === 1, { what: 'the old one to be gone' });
  });

  test('is closed when the hook fails after the reset', async ({ database }) => {
    let runs = 0;
    const onConnect = async (connection: HookConnection): Promise<void> => {
      runs += 1;
      if (runs === 2) await connection.query('select 1/0');
    };
    const pool = openPool(database.connection, { max: 1, onConnect });
    const closing = listen('lifeguard:pool:closing', pool);
    const before = await soil(pool, "set app.t = 'a'");
    expect(await pidOf(pool)).not.toBe(before);
    expect(closing).toMatchObject([{ reason: 'clean-failed', error: 'ERR_LIFEGUARD_HOOK_FAILED' }]);
    expect(runs).toBe(3);
  });

  test('is closed when the reset takes longer than its limit', async ({ database }) => {
    let runs = 0;
    const onConnect = (connection: HookConnection): Promise<unknown> => {
      runs += 1;
      return connection.query(runs === 2 ? 'select pg_sleep(30)' : 'select 1');
    };
    const limits = { max: 1, cleanTimeoutMillis: 50, onConnect: onConnect as () => Promise<void> };
    const pool = openPool(database.connection, limits);
    const before = await soil(pool, "set app.t = 'a'");
    expect(await pidOf(pool)).not.toBe(before);
    expect(pool.snapshot().closed).toEqual({ 'clean-failed': 1 });
  });
});

describe('a connection that comes back', () => {
  const UNFIT: Readonly<Record<string, (lease: Lease) => Promise<unknown>>> = {
    'inside a transaction': (lease) => lease.query('begin'),
    'inside a failed transaction': (lease) => outcomesOf([lease.query('begin'), lease.query('select 1/0')]),
    'inside a transaction that a procedure-less text left open': (lease) => lease.query('select 1; begin; select 2'),
    'after its backend has gone': (lease) => errorOf(lease.query('select pg_terminate_backend(pg_backend_pid())')),
  };

  for (const [how, unfit] of Object.entries(UNFIT)) {
    test(`${how} is not lent again`, async ({ database }) => {
      const pool = openPool(database.connection, { max: 1 });
      const lease = await pool.lease();
      const before = await pidOf(lease);
      await unfit(lease);
      await lease.release();
      expect(await pidOf(pool)).not.toBe(before);
      expect(pool.snapshot()).toMatchObject({ size: 1, leased: 0 });
    });
  }

  test('with a statement in flight is interrupted and lent again', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const lease = await pool.lease();
    const before = await pidOf(lease);
    const running = errorOf(lease.query('select pg_sleep(30)'));
    await lease.release();
    expect(await running).toMatchObject({ code: 'ERR_LIFEGUARD_LEASE_ENDED', consequence: 'may-have-run' });
    expect(await pidOf(pool)).toBe(before);
  });

  test('with a statement in flight inside a transaction is interrupted and rolled back', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const lease = await pool.lease();
    await lease.query('begin; create table written (id int)');
    const before = await pidOf(lease);
    const running = errorOf(lease.query('select pg_sleep(30)'));
    await lease.release();
    await running;
    expect(await answerOf(pool, "select to_regclass('written')")).toBeNull();
    expect(await pidOf(pool)).toBe(before);
  });

  test('with a dirty statement in flight is interrupted and cleaned', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const lease = await pool.lease();
    await lease.query("set app.t = 'a'");
    const before = await pidOf(lease);
    const running = errorOf(lease.query('select pg_sleep(30)'));
    await lease.release();
    await running;
    expect(await answerOf(pool, "select nullif(current_setting('app.t', true), '')")).toBeNull();
    expect(await pidOf(pool)).toBe(before);
  });
});

describe('a statement that fails on our side', () => {
  const broken = {
    getTypeParser: () => (): never => {
      throw new Error('no parser for you');
    },
  };
  const bad = {
    toPostgres: (): never => {
      throw new Error('no value for you');
    },
  };

  test('costs no connection when a row parser throws', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const before = await pidOf(pool);
    expect(await errorOf(pool.query({ text: 'select 1', types: broken }))).toMatchObject({
      message: 'no parser for you',
    });
    expect(await pidOf(pool)).toBe(before);
  });

  test('leaves the transaction open when a row parser throws in it', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    await using lease = await pool.lease();
    await lease.query('begin');
    await errorOf(lease.query({ text: 'select generate_series(1, 100)', types: broken }));
    expect(await answerOf<number>(lease, 'select 1')).toBe(1);
    await lease.query('rollback');
  });

  test('costs no connection when a value cannot be converted', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const before = await pidOf(pool);
    for (const name of [undefined, 'named']) {
      const statement = { text: 'select $1::text as x', ...(name === undefined ? {} : { name }) };
      expect(await errorOf(pool.query(statement, [bad]))).toMatchObject({ message: 'no value for you' });
      expect((await pool.query(statement, ['good'])).rows).toEqual([{ x: 'good' }]);
    }
    expect(await pidOf(pool)).toBe(before);
  });

  test('costs no connection when there is a NUL in a value', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const before = await pidOf(pool);
    expect(await errorOf(pool.query('select $1::text', ['a\0b']))).toMatchObject({ code: '22021' });
    expect(await pidOf(pool)).toBe(before);
  });

  test('is refused before it is sent when there is a NUL in its text', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const before = await pidOf(pool);
    for (const text of ['select 1 \0', "select 'a\0b'"]) {
      const codes = await outcomesOf([pool.query(text), pool.query(text, [])]);
      expect(codes).toEqual(['ERR_LIFEGUARD_ARGUMENT', 'ERR_LIFEGUARD_ARGUMENT']);
    }
    expect(await outcomesOf([pool.query({ name: 'a\0b', text: 'select 1' })])).toEqual(['ERR_LIFEGUARD_ARGUMENT']);
    expect(await pidOf(pool)).toBe(before);
  });

  test('costs no connection when one name is used for two texts', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const before = await pidOf(pool);
    await pool.query({ name: 'n', text: 'select 1' });
    expect((await errorOf(pool.query({ name: 'n', text: 'select 2' }))).message).toMatch(/must be unique/);
    expect(await pidOf(pool)).toBe(before);
  });

  test('is sent again when its prepared statement was taken away', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1, resetOnRelease: 'never' });
    const one = { name: 'one', text: 'select 1 as x' };
    await pool.query(one);
    await pool.query('discard all');
    expect((await pool.query(one)).rows).toEqual([{ x: 1 }]);
    expect(pool.snapshot().retries).toBe(1);
  });

  test('is sent again, on another connection, when the table of its prepared statement was changed', async ({
    database,
  }) => {
    const pool = openPool(database.connection, { max: 1 });
    const all = { name: 'all', text: 'select * from changing' };
    await database.query('create table changing (x int)');
    await pool.query(all);
    await database.query('alter table changing add y int');
    expect((await pool.query(all)).fields).toHaveLength(2);
  });

  test('costs no connection when it wants to copy from nowhere', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const before = await pidOf(pool);
    await pool.query('create table copied (x int)');
    expect(await errorOf(pool.query('copy copied from stdin'))).toMatchObject({ code: '57014' });
    expect(await pidOf(pool)).toBe(before);
  });

  test('answers several texts, no text and a thousand notices as pg does', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const several = (await pool.query('select 1 as a; select 2 as b')) as unknown as { rows: object[] }[];
    expect(several.map(({ rows }) => rows)).toEqual([[{ a: 1 }], [{ b: 2 }]]);
    expect((await pool.query('')).rows).toEqual([]);
    await pool.query("do $$ begin for i in 1..1000 loop raise notice 'n %', i; end loop; end $$");
    expect((await pool.query({ text: 'select 1, 2', rowMode: 'array' })).rows).toEqual([[1, 2]]);
  });
});
