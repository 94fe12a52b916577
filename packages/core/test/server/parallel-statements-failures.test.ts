import { waitUntil } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, PoolOptions, Transaction } from '../../src/index.ts';
import { accidents, answerOf, errorOf, listen, openPool, outcomesOf, pidOf } from './rig.ts';

const FAILED = 'ERR_LIFEGUARD_TRANSACTION_FAILED';
const ENDED = 'ERR_LIFEGUARD_TRANSACTION_ENDED';

/** A pool, an empty table, and a sequence that counts what has run: no rollback takes that back. */
async function prepared(database: { readonly connection: object }, options: PoolOptions = {}): Promise<LifeguardPool> {
  const pool = openPool(database.connection, { max: 2, ...options });
  await pool.query('create table if not exists item (id int unique)');
  await pool.query('truncate item');
  await pool.query('create sequence if not exists ran');
  await pool.query('alter sequence ran restart');
  return pool;
}

const put = (tx: Transaction, id: number): Promise<unknown> => tx.query('insert into item values ($1)', [id]);
const count = (tx: Transaction): Promise<unknown> => tx.query("select nextval('ran')");
const nextOf = async (pool: LifeguardPool): Promise<number> => Number(await answerOf(pool, "select nextval('ran')"));
const SLOW = 'select pg_sleep(9)';

const idsOf = async (pool: LifeguardPool): Promise<number[]> =>
  (await pool.query<{ id: number }>('select id from item order by id')).rows.map(({ id }) => id);

/** Settles with the outcomes of what `ask` asks for, whatever becomes of the transaction. */
async function outcomes(
  pool: LifeguardPool,
  ask: (tx: Transaction) => readonly Promise<unknown>[],
  options = {},
): Promise<{ of: string[]; whole: string }> {
  let settled: Promise<string[]> = Promise.resolve([]);
  const work = pool.transaction((tx) => {
    settled = outcomesOf(ask(tx));
    return settled;
  }, options);
  const [whole] = await outcomesOf([work]);
  return { of: await settled, whole: whole as string };
}

const circle: { self?: object } = {};
circle.self = circle;

describe('when one of the statements that travel together fails', () => {
  test('those before it are answered, it has its own error, and those behind it never ran', async ({ database }) => {
    const pool = await prepared(database);
    const { of, whole } = await outcomes(pool, (tx) => [
      count(tx),
      count(tx),
      tx.query('select 1/0'),
      count(tx),
      put(tx, 1),
    ]);
    expect(of).toEqual(['ok', 'ok', '22012', FAILED, FAILED]);
    expect(whole).toBe('ERR_LIFEGUARD_ROLLED_BACK');
    expect(await nextOf(pool)).toBe(3);
    expect(await idsOf(pool)).toEqual([]);
  });

  test("its error is the server's own, and the cause of those behind it", async ({ database }) => {
    const pool = await prepared(database);
    const errors = await pool
      .transaction((tx) => Promise.all([tx.query('select 1/0'), put(tx, 1), tx.query('select 2/0')].map(errorOf)))
      .catch((error) => [error.cause]);
    expect(errors).toMatchObject([{ name: 'error', code: '22012', routine: 'int4div' }]);
    const [first, second] = await pool.transaction(async (tx) => {
      const both = await Promise.all([errorOf(tx.query('select 1/0')), errorOf(put(tx, 1))]);
      await tx.rollback();
      return both;
    });
    expect(second).toMatchObject({ code: FAILED, consequence: 'nothing-sent' });
    expect(second?.cause).toBe(first);
  });

  test('far ahead of ten thousand, all of those are refused', async ({ database }) => {
    const pool = await prepared(database);
    const { of } = await outcomes(pool, (tx) =>
      Array.from({ length: 10_000 }, (_, at) => (at === 300 ? tx.query('select 1/0') : count(tx))),
    );
    expect(of.slice(0, 300)).toEqual(Array.from({ length: 300 }, () => 'ok'));
    expect(of[300]).toBe('22012');
    expect(new Set(of.slice(301))).toEqual(new Set([FAILED]));
    expect(await nextOf(pool)).toBe(301);
  });

  test('a way back to a savepoint makes it good for those behind it', async ({ database }) => {
    const pool = await prepared(database);
    const { of, whole } = await outcomes(pool, (tx) => [
      ...[put(tx, 1), tx.query('savepoint a'), put(tx, 2), put(tx, 1), put(tx, 3)],
      ...[tx.query('rollback to a'), put(tx, 4)],
    ]);
    expect(of).toEqual(['ok', 'ok', 'ok', '23505', FAILED, 'ok', 'ok']);
    expect(whole).toBe('ok');
    expect(await idsOf(pool)).toEqual([1, 4]);
  });

  test('in a nested one, what the outer one was asked for meanwhile runs', async ({ database }) => {
    const pool = await prepared(database);
    const { of, whole } = await outcomes(pool, (tx) => [
      put(tx, 1),
      tx.transaction((nested) => Promise.all([put(nested, 2), put(nested, 1), put(nested, 3)])),
      put(tx, 4),
      put(tx, 5),
    ]);
    expect(of).toEqual(['ok', '23505', 'ok', 'ok']);
    expect(whole).toBe('ok');
    expect(await idsOf(pool)).toEqual([1, 4, 5]);
  });

  test('because of a conflict, the whole transaction is tried again', async ({ database }) => {
    const pool = await prepared(database);
    const conflict = "do $$ begin raise sqlstate '40001'; end $$";
    let attempts = 0;
    await pool.transaction((tx) => {
      attempts = tx.attempt;
      return Promise.all([put(tx, tx.attempt), tx.query(tx.attempt < 3 ? conflict : 'select 1'), put(tx, 9)]);
    });
    expect(attempts).toBe(3);
    expect(await idsOf(pool)).toEqual([3, 9]);
  });

  test('at a limit of the pool, that is said of it alone', async ({ database }) => {
    const pool = await prepared(database, { statementTimeoutMillis: 100 });
    const { of } = await outcomes(pool, (tx) => [count(tx), tx.query(SLOW), count(tx)]);
    expect(of).toEqual(['ok', 'ERR_LIFEGUARD_DEADLINE', FAILED]);
    expect(await nextOf(pool)).toBe(2);
  });
});

describe('when one of the statements that travel together', () => {
  test.for([0, 1, 2])(
    'has a value that cannot be converted, the others run (place %i)',
    async (place, { database }) => {
      const pool = await prepared(database);
      const { of, whole } = await outcomes(pool, (tx) =>
        [0, 1, 2].map((at) => (at === place ? tx.query('insert into item values ($1)', [circle]) : put(tx, at))),
      );
      expect(of).toEqual([0, 1, 2].map((at) => (at === place ? 'undefined' : 'ok')));
      expect(whole).toBe('ok');
      expect(await idsOf(pool)).toEqual([0, 1, 2].filter((at) => at !== place));
    },
  );

  test('gives a name to a second text, it is refused alone', async ({ database }) => {
    const pool = await prepared(database);
    const named = (text: string): object => ({ name: 'a', text });
    const { of, whole } = await outcomes(pool, (tx) => [
      tx.query(named('insert into item values (1)') as never),
      tx.query(named('insert into item values (2)') as never),
      put(tx, 3),
    ]);
    expect(of).toEqual(['ok', 'undefined', 'ok']);
    expect(whole).toBe('ok');
    expect(await idsOf(pool)).toEqual([1, 3]);
  });

  test('has a row that cannot be read, it rejects alone', async ({ database }) => {
    const pool = await prepared(database);
    const types = {
      getTypeParser: () => (): never => {
        throw Object.assign(new Error('unreadable'), { code: 'UNREADABLE' });
      },
    };
    const { of, whole } = await outcomes(pool, (tx) => [
      put(tx, 1),
      tx.query({ text: 'insert into item values (2) returning id', types }),
      put(tx, 3),
    ]);
    expect(of).toEqual(['ok', 'UNREADABLE', 'ok']);
    expect(whole).toBe('ok');
    expect(await idsOf(pool)).toEqual([1, 2, 3]);
  });
});

describe('when the transaction around them ends, statements that travel together', () => {
  test('all reject where what is set for it is refused, and none has run', async ({ database }) => {
    const pool = await prepared(database);
    const options = { settings: { work_mem: 'much' } };
    const { of, whole } = await outcomes(pool, (tx) => [count(tx), count(tx), count(tx)], options);
    expect(of).toEqual(['ERR_LIFEGUARD_SETTING', FAILED, FAILED]);
    expect(whole).toBe('ERR_LIFEGUARD_ROLLED_BACK');
    expect(await nextOf(pool)).toBe(1);
  });

  test('all reject after one wait where there is no connection', async ({ database }) => {
    const pool = await prepared(database, { max: 1, acquireTimeoutMillis: 700 });
    const refused = listen('lifeguard:pool:refused', pool);
    await using _lease = await pool.lease();
    const { of } = await outcomes(pool, (tx) => [count(tx), count(tx), count(tx)]);
    expect(new Set(of)).toEqual(new Set(['ERR_LIFEGUARD_ACQUIRE_TIMEOUT']));
    expect(refused).toHaveLength(1);
  });

  test.for(['deadline', 'abort'] as const)('all reject, and leave nothing: %s', async (how, { database }) => {
    const seen = accidents();
    const pool = await prepared(database);
    const caller = new AbortController();
    const options = how === 'abort' ? { signal: caller.signal } : { timeoutMillis: 150 };
    const ended = outcomes(pool, (tx) => [count(tx), tx.query(SLOW), put(tx, 1), put(tx, 2)], options);
    await waitUntil(async () => (await answerOf<number>(pool, RUNNING)) === 1, { what: 'it to run' });
    caller.abort();
    const { of, whole } = await ended;
    expect(whole).toBe(how === 'abort' ? 'ERR_LIFEGUARD_ABORTED' : 'ERR_LIFEGUARD_DEADLINE');
    expect(of.slice(1)).not.toContain('ok');
    expect(await idsOf(pool)).toEqual([]);
    await waitUntil(() => pool.snapshot().leased === 0, { what: 'the connection to come back' });
    expect(seen).toEqual([]);
  });

  test('all reject where the backend is killed, and it is tried again', async ({ database }) => {
    const pool = await prepared(database);
    const first: Promise<string[]>[] = [];
    await pool.transaction(async (tx) => {
      const pid = tx.attempt === 1 ? await pidOf(tx) : 0;
      const asked = [put(tx, 1), tx.query(pid === 0 ? 'select 1' : SLOW), put(tx, 2)];
      first.push(outcomesOf(asked));
      if (pid !== 0) await killWhileRunning(pool, pid);
      await Promise.all(asked);
    });
    expect(await first[0]).toEqual(Array.from({ length: 3 }, () => 'ERR_LIFEGUARD_CONNECTION_LOST'));
    expect(await first[1]).toEqual(['ok', 'ok', 'ok']);
    expect(await idsOf(pool)).toEqual([1, 2]);
  });

  test('are told so, and not what its function has thrown', async ({ database }) => {
    const pool = await prepared(database);
    const left: Promise<string[]>[] = [];
    const work = pool.transaction((tx) => {
      left.push(outcomesOf([put(tx, 1), tx.query(SLOW), put(tx, 2)]));
      return Promise.reject(Object.assign(new Error('mine'), { code: 'MINE' }));
    });
    expect(await outcomesOf([work])).toEqual(['MINE']);
    expect(await left[0]).toEqual([ENDED, ENDED, ENDED]);
    expect(await idsOf(pool)).toEqual([]);
  });

  test('are refused where it is rolled back before their turn', async ({ database }) => {
    const pool = await prepared(database);
    const waiting: Promise<string[]>[] = [];
    await pool.transaction(async (tx) => {
      await count(tx);
      waiting.push(outcomesOf([count(tx), count(tx)]));
      await tx.rollback();
    });
    expect(await waiting[0]).toEqual([ENDED, ENDED]);
    expect(await nextOf(pool)).toBe(2);
  });

  test('are refused from the next group on where it is nested, and rolled back meanwhile', async ({ database }) => {
    const pool = await prepared(database);
    const waiting: Promise<string[]>[] = [];
    await pool.transaction(async (tx) => {
      await tx.transaction(async (nested) => {
        waiting.push(outcomesOf(Array.from({ length: 600 }, () => count(nested))));
        await new Promise(setImmediate);
        await nested.rollback();
      });
      await put(tx, 1);
    });
    const of = await waiting[0];
    expect(of?.slice(0, 256)).toEqual(Array.from({ length: 256 }, () => 'ok'));
    expect(new Set(of?.slice(256))).toEqual(new Set([ENDED]));
    expect([await idsOf(pool), await nextOf(pool)]).toEqual([[1], 257]);
  });
});

const RUNNING =
  "select count(*)::int from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()";

async function killWhileRunning(pool: LifeguardPool, pid: number): Promise<void> {
  await waitUntil(async () => (await answerOf<number>(openedBeside(pool), RUNNING)) === 1, { what: 'it to run' });
  await pool.outside(() => pool.query('select pg_terminate_backend($1)', [pid]));
}

/** The pool, for what is not part of the transaction around the call. */
function openedBeside(pool: LifeguardPool): { query(text: string): Promise<unknown> } {
  return { query: (text) => pool.outside(() => pool.query(text)) };
}
