import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, Transaction, TransactionOptions } from '../../src/index.ts';
import { answerOf, errorOf, openPool } from './rig.ts';

/** Runs a transaction on an empty table, and answers with what the table holds afterwards. */
async function remains(
  database: { readonly connection: object },
  work: (tx: Transaction) => Promise<unknown>,
  options: TransactionOptions = {},
): Promise<number[]> {
  const pool: LifeguardPool = openPool(database.connection, { max: 2 });
  await pool.query('create table if not exists item (id int)');
  await pool.query('truncate item');
  await pool.transaction(work, options);
  return (await pool.query<{ id: number }>('select id from item order by id')).rows.map(({ id }) => id);
}

const put = (tx: Transaction, id: number): Promise<unknown> => tx.query('insert into item values ($1)', [id]);

describe('savepoints of the user in a transaction', () => {
  test('are set, returned to and released', async ({ database }) => {
    const ids = await remains(database, async (tx) => {
      await put(tx, 1);
      await tx.query('savepoint mine');
      await put(tx, 2);
      await tx.query('ROLLBACK TO SAVEPOINT mine');
      await put(tx, 3);
      await tx.query('release mine');
    });
    expect(ids).toEqual([1, 3]);
  });

  test('make good what had failed', async ({ database }) => {
    const ids = await remains(database, async (tx) => {
      await put(tx, 1);
      await tx.query('savepoint mine');
      await errorOf(tx.query('select 1/0'));
      expect(await errorOf(put(tx, 2))).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_FAILED' });
      await tx.query('rollback to mine');
      await put(tx, 3);
    });
    expect(ids).toEqual([1, 3]);
  });

  test('make good what had failed as the first statement behind them', async ({ database }) => {
    const ids = await remains(database, async (tx) => {
      await tx.query('savepoint mine');
      await errorOf(tx.batch(['select 1', 'select 1/0', 'select 2']));
      await tx.query('rollback work to savepoint mine');
      await put(tx, 1);
    });
    expect(ids).toEqual([1]);
  });

  test('make good what had failed under a time limit of its own', async ({ database }) => {
    const ids = await remains(database, async (tx) => {
      await tx.query('savepoint mine');
      await errorOf(tx.query('select 1/0', [], { timeoutMillis: 1_000 }));
      await tx.query('rollback to mine');
      await put(tx, 1);
    });
    expect(ids).toEqual([1]);
  });

  test('make good what had failed long after the deadline was told', async ({ database }) => {
    const ids = await remains(
      database,
      async (tx) => {
        await tx.query('savepoint mine');
        await errorOf(tx.query('select 1 / count(*) * 0 / 0 from (select pg_sleep(0.3)) slow'));
        await tx.query('rollback to mine');
        await put(tx, 1);
      },
      { timeoutMillis: 2_000 },
    );
    expect(ids).toEqual([1]);
  });

  test('that do not exist leave the failed one failed, with the first error as the cause', async ({ database }) => {
    const pool = openPool(database.connection);
    const error = await errorOf(
      pool.transaction(async (tx) => {
        await errorOf(tx.query('select 1/0'));
        expect(await errorOf(tx.query('rollback to nowhere'))).toMatchObject({ code: '3B001' });
      }),
    );
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_ROLLED_BACK', cause: { code: '22012' } });
  });

  test('work inside a nested one, and around it', async ({ database }) => {
    const ids = await remains(database, async (tx) => {
      await tx.query('savepoint outer_one');
      await tx.transaction(async (nested) => {
        await put(nested, 1);
        await nested.query('savepoint inner_one');
        await errorOf(nested.query('select 1/0'));
        await nested.query('rollback to inner_one');
        await put(nested, 2);
      });
      await put(tx, 3);
      await tx.query('rollback to outer_one');
      await put(tx, 4);
    });
    expect(ids).toEqual([4]);
  });

  test('may stand with other statements in one text', async ({ database }) => {
    const ids = await remains(database, async (tx) => {
      await tx.query('savepoint a; insert into item values (1); savepoint b; insert into item values (2)');
      await tx.query('rollback to b; insert into item values (3); release a');
    });
    expect(ids).toEqual([1, 3]);
  });

  test('do not leave behind a limit that was told before or after them', async ({ database }) => {
    const pool = openPool(database.connection, { statementTimeoutMillis: 20_000 });
    const look = "select setting::int from pg_settings where name = 'statement_timeout'";
    const short = { timeoutMillis: 1_000 };
    await pool.transaction(async (tx) => {
      await tx.query('savepoint mine', [], { timeoutMillis: 9_000 });
      await tx.query('select 1', [], short);
      await tx.query('rollback to mine', [], short); // To the server it is 9 s again.
      const { rows } = await tx.query<{ setting: number }>(look, [], short);
      expect(rows[0]?.setting).toBeLessThanOrEqual(1_000);
      expect(await answerOf(tx, look)).toBe(20_000);
      await tx.transaction((nested) => nested.query('select 1/0', [], short)).catch(() => undefined);
      const again = await tx.query<{ setting: number }>(look, [], short);
      expect(again.rows[0]?.setting).toBeLessThanOrEqual(1_000);
    });
  });

  test('by the name of one of ours do not come between a nested one and its end', async ({ database }) => {
    const ids = await remains(database, async (tx) => {
      const nested = tx.transaction(async (inner) => {
        await put(inner, 1);
        for (const name of ['lifeguard_0', 'lifeguard_1', 'lifeguard_2', 'lifeguard']) {
          await inner.query(`savepoint ${name}`).catch(() => undefined);
        }
        await put(inner, 2).catch(() => undefined);
        throw new Error('mine');
      });
      await errorOf(nested);
      await put(tx, 3);
    });
    expect(ids).toEqual([3]);
  });
});
