import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, Transaction } from '../../src/index.ts';
import { answerOf, errorOf, openPool, pidOf } from './rig.ts';

/** A pool and an empty table. */
async function prepared(database: { readonly connection: object }): Promise<LifeguardPool> {
  const pool = openPool(database.connection, { max: 2 });
  await pool.query('create table if not exists item (id int)');
  await pool.query('truncate item');
  return pool;
}

const idsOf = async (pool: LifeguardPool): Promise<number[]> =>
  (await pool.query<{ id: number }>('select id from item order by id')).rows.map(({ id }) => id);

const put = (tx: Transaction, id: number): Promise<unknown> => tx.query('insert into item values ($1)', [id]);

describe('a transaction', () => {
  test('takes no connection before its first statement', async ({ database }) => {
    const pool = openPool(database.connection);
    const seen: number[] = [];
    await pool.transaction(async (tx) => {
      await Promise.resolve();
      seen.push(pool.snapshot().opened, pool.snapshot().leased);
      await tx.query('select 1');
      seen.push(pool.snapshot().opened, pool.snapshot().leased);
    });
    expect(seen).toEqual([0, 0, 1, 1]);
    expect(pool.snapshot()).toMatchObject({ leased: 0, idle: 1 });
  });

  test('without a statement never asks for a connection, however it ends', async ({ database }) => {
    const pool = openPool(database.connection);
    expect(await pool.transaction(() => 7)).toBe(7);
    expect(await pool.transaction((tx) => tx.rollback())).toBeUndefined();
    expect(await errorOf(pool.transaction(() => Promise.reject(new RangeError('mine'))))).toBeInstanceOf(RangeError);
    expect(await pool.transaction((tx) => tx.transaction((nested) => nested.depth))).toBe(1);
    expect(await pool.transaction((tx) => tx.batch([]))).toEqual([]);
    expect(pool.snapshot()).toMatchObject({ opened: 0, acquired: 0 });
  });

  test('commits when its function returns, and answers with what that returned', async ({ database }) => {
    const pool = await prepared(database);
    const answer = await pool.transaction(async (tx) => {
      await put(tx, 1);
      expect(await idsOf(pool)).toEqual([1]); // As a part of it.
      expect(await pool.outside(() => idsOf(pool))).toEqual([]);
      return { done: true };
    });
    expect(answer).toEqual({ done: true });
    expect(await idsOf(pool)).toEqual([1]);
    expect(pool.snapshot().commits).toEqual({ committed: 1, notCommitted: 0, unknown: 0 });
  });

  test.for<readonly [what: string, thrown: unknown]>([
    ['an error', Object.assign(new Error('mine'), { own: 1 })],
    ['a frozen object', Object.freeze({ status: 400 })],
    ['a string', 'no'],
    ['undefined', undefined],
    ['null', null],
  ])(
    'rolls back and rejects with the very same thing when its function throws %s',
    async ([, thrown], { database }) => {
      const pool = await prepared(database);
      const outcome = await pool
        .transaction(async (tx) => {
          await put(tx, 1);
          throw thrown;
        })
        .then(
          () => 'committed',
          (error: unknown) => ({ error }),
        );
      expect(outcome).toEqual({ error: thrown });
      expect((outcome as { error: unknown }).error).toBe(thrown);
      expect(await idsOf(pool)).toEqual([]);
    },
  );

  test('rolls back when its function throws before it returns a promise', async ({ database }) => {
    const pool = await prepared(database);
    const mine = new Error('at once');
    const error = await errorOf(
      pool.transaction((tx) => {
        void put(tx, 1).catch(() => undefined);
        throw mine;
      }),
    );
    expect(error).toBe(mine);
    expect(await idsOf(pool)).toEqual([]);
    expect(pool.snapshot().leased).toBe(0);
  });

  test('is rolled back without an error by rollback(), and takes no statement after it', async ({ database }) => {
    const pool = await prepared(database);
    const answer = await pool.transaction(async (tx) => {
      await put(tx, 1);
      await tx.rollback();
      expect(pool.snapshot().leased).toBe(0);
      await tx.rollback();
      return (await errorOf(put(tx, 2)))['code'];
    });
    expect(answer).toBe('ERR_LIFEGUARD_TRANSACTION_ENDED');
    expect(await idsOf(pool)).toEqual([]);
  });

  test.for<readonly [how: string, end: (tx: Transaction) => unknown]>([
    ['committed', () => undefined],
    ['thrown', () => Promise.reject(new Error('mine'))],
    ['rolled back', (tx) => tx.rollback()],
  ])('refuses all that comes when it has %s', async ([, end], { database }) => {
    const pool = await prepared(database);
    let kept: Transaction | undefined;
    const work = pool.transaction(async (tx) => {
      kept = tx;
      await put(tx, 1);
      await end(tx);
    });
    await work.catch(() => undefined);
    const tx = kept as Transaction;
    const late = [put(tx, 2), tx.last('select 1'), tx.batch(['select 1']), tx.transaction(() => put(tx, 3))];
    for (const one of late) {
      expect(await errorOf(one)).toMatchObject({
        code: 'ERR_LIFEGUARD_TRANSACTION_ENDED',
        consequence: 'nothing-sent',
        retryable: false,
      });
    }
    expect(await idsOf(pool)).not.toContain(2);
  });

  test('holds one connection for all of its statements, and gives it back clean', async ({ database }) => {
    const pool = openPool(database.connection, { max: 2 });
    const pids = await pool.transaction(async (tx) => [await pidOf(tx), await pidOf(tx), await pidOf(pool)]);
    expect(new Set(pids).size).toBe(1);
    await errorOf(pool.transaction((tx) => tx.query('select 1/0')));
    await using lease = await pool.lease();
    expect(await pidOf(lease)).toBe(pids[0]);
    expect(await answerOf(lease, 'select pg_current_xact_id_if_assigned() is null')).toBe(true);
    expect(pool.snapshot()).toMatchObject({ opened: 1, closed: {} });
  });

  test('is as its options say, and only until its end', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const look = `select concat_ws(' / ', current_setting('transaction_isolation'), current_setting('transaction_read_only'),
      current_setting('transaction_deferrable'), current_setting('lock_timeout'), current_setting('app.tenant', true), current_user)`;
    const inside = await pool.transaction((tx) => answerOf(tx, look), {
      isolation: 'serializable',
      readOnly: true,
      deferrable: true,
      lockTimeoutMillis: 1234.2,
      settings: { 'app.tenant': `o'neil" --` },
      role: 'pg_monitor',
    });
    expect(inside).toBe(`serializable / on / on / 1235ms / o'neil" -- / pg_monitor`);
    expect(await answerOf(pool, look)).toBe(`read committed / off / off / 0 /  / ${database.connection.user}`);
  });

  test('is not deferrable where it says so, whatever its session is', async ({ database }) => {
    const pool = openPool({ ...database.connection, options: '-c default_transaction_deferrable=on' });
    const look = "select current_setting('transaction_deferrable')";
    const seen = [
      await pool.transaction((tx) => answerOf(tx, look), { deferrable: false }),
      await pool.transaction((tx) => answerOf(tx, look)),
    ];
    expect(seen).toEqual(['off', 'on']);
  });

  test('has what its scope has set, where it sets nothing else itself', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const look = "select concat_ws('/', current_setting('app.a', true), current_setting('app.b', true), current_user)";
    const scope = { settings: { 'app.a': 'scope', 'app.b': 'scope' }, role: 'pg_monitor' };
    const seen = await pool.scope(scope, async (db) => [
      await db.transaction((tx) => answerOf<string>(tx, look)),
      await db.transaction((tx) => answerOf<string>(tx, look), {
        settings: { 'app.b': 'own' },
        role: 'pg_read_all_data',
      }),
      await pool.transaction((tx) => answerOf<string>(tx, look)),
    ]);
    expect(seen).toEqual(['scope/scope/pg_monitor', 'scope/own/pg_read_all_data', 'scope/scope/pg_monitor']);
  });

  test('sets what its role could not set, before it takes that role', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const options = { settings: { log_min_duration_statement: 300_000 }, role: 'pg_monitor' };
    expect(await pool.transaction((tx) => answerOf(tx, 'select current_user'), options)).toBe('pg_monitor');
    expect(await pool.scope(options, (db) => answerOf(db, 'select current_user'))).toBe('pg_monitor');
    const nested = pool.transaction((tx) => tx.transaction((inner) => answerOf(inner, 'select current_user'), options));
    expect(await nested).toBe('pg_monitor');
  });

  test('tells its function what it is and how long it may go on', async ({ database }) => {
    const pool = openPool(database.connection);
    await pool.transaction((tx) => {
      expect(tx).toMatchObject({
        name: 'transaction',
        attempt: 1,
        depth: 0,
        remainingMillis: Number.POSITIVE_INFINITY,
      });
      expect(tx.signal.aborted).toBe(false);
      expect(pool.current()).toBe(tx);
    });
    await pool.transaction(
      (tx) => {
        expect(tx.name).toBe('pay');
        expect(tx.remainingMillis).toBeGreaterThan(0);
        expect(tx.remainingMillis).toBeLessThanOrEqual(60_000);
      },
      { name: 'pay', timeoutMillis: 60_000 },
    );
    expect(pool.current()).toBeUndefined();
  });
});

describe('a statement of a transaction', () => {
  /** They cannot travel in one packet with BEGIN. */
  const ALONE: readonly (readonly [what: string, text: string, rows: number])[] = [
    ['several statements in one text', 'insert into item values (1); insert into item values (2)', 2],
    ['a COPY without a reader', 'copy (select 1) to stdout', 0],
    ['an empty text', '', 0],
    ['a text of nothing but a comment', '-- nothing', 0],
    ['a function that is made', 'create or replace function one() returns int language sql as $$ select 1; $$', 0],
  ];

  test.for(ALONE)('may be %s, and the first one too', async ([, text, rows], { database }) => {
    const pool = await prepared(database);
    const options = { isolation: 'serializable', timeoutMillis: 9_000, settings: { 'app.tenant': 1 } } as const;
    await pool.transaction(async (tx) => {
      await tx.query(text);
      expect(await answerOf(tx, "select current_setting('app.tenant')")).toBe('1');
      expect(await pool.outside(() => idsOf(pool))).toEqual([]);
      await tx.query(text);
      await tx.rollback();
    }, options);
    await pool.transaction((tx) => tx.transaction((nested) => nested.query(text)));
    expect(await idsOf(pool)).toHaveLength(rows);
  });

  test('is prepared once where it has a name, and survives a failure', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const quotient = (by: number): object => ({ name: 'quotient', text: 'select 10 / $1::int as x', values: [by] });
    const run = (by: number): Promise<number[]> =>
      pool.transaction(async (tx) => {
        const first = await tx.query<{ x: number }>(quotient(by) as never);
        const last = await tx.last<{ x: number }>(quotient(by * 2) as never);
        return [...first.rows, ...last.rows].map(({ x }) => x);
      });
    expect(await errorOf(run(0))).toMatchObject({ code: '22012' });
    expect(await run(5)).toEqual([2, 1]);
    expect(await errorOf(run(0))).toMatchObject({ code: '22012' });
    expect(await run(2)).toEqual([5, 2]);
    const count = "select count(*)::int from pg_prepared_statements where name = 'quotient'";
    expect(await answerOf(pool, count)).toBe(1);
  });

  test('whose value cannot be converted was not sent, and nothing has failed', async ({ database }) => {
    const pool = await prepared(database);
    const circle: { self?: object } = {};
    circle.self = circle;
    await pool.transaction(async (tx) => {
      expect(await errorOf(tx.query('select $1', [circle]))).toBeInstanceOf(TypeError);
      await put(tx, 1);
      expect(await errorOf(tx.query('select $1', [circle]))).toBeInstanceOf(TypeError);
      expect(await errorOf(tx.last('select $1', [circle]))).toBeInstanceOf(TypeError);
      await put(tx, 2);
    });
    expect(await idsOf(pool)).toEqual([1, 2]);
  });

  test('is given up alone while it waits for its turn', async ({ database }) => {
    const pool = await prepared(database);
    await pool.transaction(async (tx) => {
      const running = tx.query('select pg_sleep(0.1)');
      const caller = new AbortController();
      const waiting = errorOf(tx.query('insert into item values (1)', [], { signal: caller.signal }));
      caller.abort();
      expect(await waiting).toMatchObject({ code: 'ERR_LIFEGUARD_ABORTED', consequence: 'nothing-sent' });
      await running;
      await put(tx, 2);
    });
    expect(await idsOf(pool)).toEqual([2]);
  });
});
