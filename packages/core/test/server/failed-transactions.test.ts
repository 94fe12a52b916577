import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, Transaction } from '../../src/index.ts';
import { errorOf, openPool } from './rig.ts';

/** A pool, and what `item` holds. */
async function prepared(database: { readonly connection: object }): Promise<LifeguardPool> {
  const pool = openPool(database.connection, { max: 2 });
  await pool.query('create table if not exists item (id int)');
  await pool.query('truncate item');
  return pool;
}

const countOf = async (pool: LifeguardPool): Promise<number> => (await pool.query('select from item')).rowCount ?? 0;
const put = (tx: Transaction): Promise<unknown> => tx.query('insert into item values (1)');
const LATER_BATCH = (tx: Transaction): Promise<unknown> => tx.batch(['select 1']);
const LATER_PART = (tx: Transaction): Promise<unknown> => tx.transaction(put);

describe('a transaction with a statement that failed', () => {
  test("passes on the server's own error", async ({ database }) => {
    const pool = await prepared(database);
    const error = await errorOf(
      pool.transaction(async (tx) => {
        await put(tx);
        await tx.query('select 1/0');
      }),
    );
    expect(error).toMatchObject({ name: 'error', code: '22012', routine: 'int4div' });
    expect(await countOf(pool)).toBe(0);
  });

  test('refuses the statements after it, with the first error as their cause', async ({ database }) => {
    const pool = await prepared(database);
    await errorOf(
      pool.transaction(async (tx) => {
        const first = await errorOf(tx.query('select 1/0'));
        for (const next of [put, (again: Transaction) => again.last('select 1'), LATER_BATCH, LATER_PART]) {
          const error = await errorOf(next(tx));
          expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_FAILED', consequence: 'nothing-sent' });
          expect(error.cause).toBe(first);
        }
      }),
    );
    expect(await countOf(pool)).toBe(0);
  });

  test('refuses those too that were asked for at the same time', async ({ database }) => {
    const pool = await prepared(database);
    const codes: unknown[] = [];
    const error = await errorOf(
      pool.transaction(async (tx) => {
        const asked = [put(tx), tx.query('select 1/0'), put(tx), tx.query('select 2/0')];
        for (const one of await Promise.allSettled(asked)) {
          codes.push(one.status === 'fulfilled' ? 'ok' : one.reason.code);
        }
        await Promise.all(asked);
      }),
    );
    const failed = 'ERR_LIFEGUARD_TRANSACTION_FAILED';
    expect(codes).toEqual(['ok', '22012', failed, failed]);
    expect(error).toMatchObject({ code: '22012' });
    expect(await countOf(pool)).toBe(0);
  });

  test('rejects when its function has caught the error and returns', async ({ database }) => {
    const pool = await prepared(database);
    let first: unknown;
    const error = await errorOf(
      pool.transaction(async (tx) => {
        await put(tx);
        first = await errorOf(tx.query('select 1/0'));
        await errorOf(put(tx));
        return 'all is well';
      }),
    );
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_ROLLED_BACK', statusCode: 500, retryable: false });
    expect(error.cause).toBe(first);
    expect(await countOf(pool)).toBe(0);
    expect(pool.snapshot()).toMatchObject({ leased: 0, retries: 0 });
  });

  test('rejects with what its function made of the error', async ({ database }) => {
    const pool = await prepared(database);
    const mine = new Error('no such account');
    const error = await errorOf(
      pool.transaction(async (tx) => {
        await tx.query('select 1/0').catch(() => {
          throw mine;
        });
      }),
    );
    expect(error).toBe(mine);
  });

  test('returns normally when it was rolled back on purpose after the error', async ({ database }) => {
    const pool = await prepared(database);
    const answer = await pool.transaction(async (tx) => {
      await put(tx);
      await errorOf(tx.query('select 1/0'));
      await tx.rollback();
      return 'given up';
    });
    expect(answer).toBe('given up');
    expect(await countOf(pool)).toBe(0);
  });

  test('costs no connection, also where BEGIN itself is refused', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const refused = await errorOf(pool.transaction((tx) => tx.query('select 1'), { settings: { 'no such.thing': 1 } }));
    expect(refused).toMatchObject({ code: 'ERR_LIFEGUARD_SETTING', consequence: 'nothing-sent' });
    const unknown = await errorOf(pool.transaction((tx) => tx.query('select 1'), { role: 'no_such_role' }));
    expect(unknown).toMatchObject({ code: 'ERR_LIFEGUARD_SETTING', cause: { code: '22023' } });
    const value = await errorOf(pool.transaction((tx) => tx.query('select 1'), { settings: { work_mem: 'much' } }));
    expect(value).toMatchObject({ code: 'ERR_LIFEGUARD_SETTING', cause: { code: '22023' } });
    await errorOf(pool.transaction((tx) => tx.query('select syntax error')));
    expect(await pool.transaction((tx) => tx.query('select 1'))).toMatchObject({ rowCount: 1 });
    expect(pool.snapshot()).toMatchObject({ opened: 1, closed: {} });
  });
});

describe("a transaction's own words, BEGIN and COMMIT", () => {
  const TEXTS = [
    'begin',
    'START TRANSACTION',
    'commit',
    'COMMIT AND CHAIN',
    'end',
    'rollback',
    'ROLLBACK AND CHAIN',
    'abort',
    "prepare transaction 'x'",
    "select 1; commit; select 'a'",
    '/* a comment */ Commit -- here',
    '  ; ; end work',
  ];

  test.for(TEXTS)('are refused in a text of the user before anything is sent: %s', async (text, { database }) => {
    const pool = openPool(database.connection);
    const codes = await pool.transaction(async (tx) => {
      const errors = [await errorOf(tx.query(text)), await errorOf(tx.last({ text }))];
      return errors.map(({ code, consequence }) => `${code} ${consequence}`);
    });
    expect(new Set(codes)).toEqual(new Set(['ERR_LIFEGUARD_TRANSACTION_CONTROL nothing-sent']));
    expect(pool.snapshot().opened).toBe(0);
  });

  test('may stand in a text where they mean something else', async ({ database }) => {
    const pool = openPool(database.connection);
    const texts = [`select 'commit; rollback'`, 'select 1 as "commit"', 'select $$begin$$', '-- commit\nselect 1'];
    await pool.transaction(async (tx) => {
      for (const text of texts) expect((await tx.query(text)).rowCount).toBe(1);
      await tx.query(`do $$ begin perform 1; end $$`);
    });
  });

  test('are noticed when a procedure or a cursor has smuggled them in', async ({ database }) => {
    const pool = openPool(database.connection);
    await pool.query('create procedure leave() language plpgsql as $$ begin commit; end $$');
    const error = await errorOf(pool.transaction((tx) => tx.query('call leave()')));
    expect(error).toMatchObject({ code: '2D000' });
    expect(pool.snapshot()).toMatchObject({ leased: 0 });
  });
});
