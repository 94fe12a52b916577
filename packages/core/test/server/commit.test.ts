import { type ConnectionParameters, type MessageHook, startProxy } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, Transaction } from '../../src/index.ts';
import { answerOf, errorOf, openPool } from './rig.ts';

/** A pool behind a proxy with a hook, and an empty table. */
async function prepared(
  { connection }: { readonly connection: ConnectionParameters },
  onMessage?: MessageHook,
): Promise<LifeguardPool> {
  const proxy = await startProxy(connection, onMessage === undefined ? {} : { onMessage });
  onTestFinished(() => proxy.close());
  const pool = openPool(proxy.connection(), { max: 1 });
  await pool.query('create table if not exists item (id int unique deferrable initially deferred)');
  await pool.query('truncate item');
  return pool;
}

const put = (tx: Transaction, id: number): Promise<unknown> => tx.query('insert into item values ($1)', [id]);
const countOf = (pool: LifeguardPool): Promise<number> => answerOf<number>(pool, 'select count(*)::int from item');

/** Makes the server answer COMMIT by ROLLBACK: on its way the word is changed to another one of the same meaning. */
const commitBecomesAbort: MessageHook = ({ from, body }) => {
  const at = from === 'client' ? body.indexOf('COMMIT\0') : -1;
  if (at >= 0) body.write('ABORT ', at);
  return undefined;
};

describe('COMMIT', () => {
  test("that violates a deferred constraint rejects with the server's own error, once", async ({ database }) => {
    const pool = await prepared(database);
    let attempts = 0;
    const error = await errorOf(
      pool.transaction(async (tx) => {
        attempts += 1;
        await put(tx, 1);
        await put(tx, 1);
      }),
    );
    expect(error).toMatchObject({ name: 'error', code: '23505', constraint: 'item_id_key' });
    expect([attempts, await countOf(pool), pool.snapshot().retries]).toEqual([1, 0, 0]);
    expect(pool.snapshot()).toMatchObject({ opened: 1, commits: { committed: 0, notCommitted: 1, unknown: 0 } });
  });

  test.for<readonly [how: string, work: (tx: Transaction) => Promise<unknown>]>([
    ['alone', (tx) => put(tx, 1)],
    ['with its last statement', (tx) => tx.last('insert into item values (1)')],
  ])('that is sent %s and answered by ROLLBACK is an error', async ([, work], { database }) => {
    const pool = await prepared(database, commitBecomesAbort);
    const error = await errorOf(pool.transaction(work));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_ROLLED_BACK', statusCode: 500 });
    expect(await countOf(pool)).toBe(0);
    expect(pool.snapshot()).toMatchObject({ leased: 0, opened: 1 });
  });

  test('that a joined part has forbidden is never sent', async ({ database }) => {
    const texts: string[] = [];
    const pool = await prepared(database, ({ from, body }) => {
      if (from === 'client') texts.push(body.toString());
      return undefined;
    });
    await errorOf(
      pool.transaction(async (tx) => {
        await put(tx, 1);
        await errorOf(pool.transaction(() => Promise.reject(new Error('mine'))));
      }),
    );
    expect(texts.filter((text) => text.startsWith('COMMIT'))).toEqual([]);
    expect(texts.filter((text) => text.startsWith('ROLLBACK'))).toHaveLength(1);
  });
});

describe('the last statement of a transaction', () => {
  test('commits before its rows are there, and is the last one', async ({ database }) => {
    const pool = await prepared(database);
    await pool.transaction(async (tx) => {
      await put(tx, 1);
      const { rows } = await tx.last('insert into item values (2) returning id');
      expect(rows).toEqual([{ id: 2 }]);
      expect(pool.snapshot().leased).toBe(0);
      expect(await pool.outside(() => countOf(pool))).toBe(2);
      for (const late of [put(tx, 3), tx.last('select 1'), tx.transaction(() => put(tx, 4))]) {
        expect(await errorOf(late)).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_ENDED' });
      }
    });
    expect(await countOf(pool)).toBe(2);
  });

  test('that fails rolls all back, also where its error is caught', async ({ database }) => {
    const pool = await prepared(database);
    const work = async (tx: Transaction): Promise<void> => {
      await put(tx, 1);
      await tx.last('select 1/0');
    };
    expect(await errorOf(pool.transaction(work))).toMatchObject({ code: '22012' });
    const swallowing = pool.transaction((tx) => work(tx).catch(() => undefined));
    expect(await errorOf(swallowing)).toMatchObject({ code: 'ERR_LIFEGUARD_ROLLED_BACK', cause: { code: '22012' } });
    expect(await countOf(pool)).toBe(0);
    expect(pool.snapshot()).toMatchObject({ leased: 0, opened: 1 });
  });

  test('that fails only at its COMMIT rolls all back', async ({ database }) => {
    const pool = await prepared(database);
    const work = pool.transaction(async (tx) => {
      await put(tx, 1);
      await tx.last('insert into item values (1)');
    });
    expect(await errorOf(work)).toMatchObject({ code: '23505' });
    expect(await countOf(pool)).toBe(0);
  });

  test('has committed though its rows cannot be read, and that can be caught', async ({ database }) => {
    const pool = await prepared(database);
    const broken = {
      getTypeParser: () => () => {
        throw new RangeError('unreadable');
      },
    };
    const last = (tx: Transaction): Promise<unknown> =>
      tx.last({ text: 'insert into item values (1) returning id', types: broken as never });
    const log: string[] = [];
    const work = pool.transaction((tx) => {
      tx.afterCommit(() => log.push('committed'));
      return last(tx);
    });
    expect(await errorOf(work)).toBeInstanceOf(RangeError);
    expect([await countOf(pool), log, pool.snapshot().retries]).toEqual([1, ['committed'], 0]);
    await pool.query('truncate item');
    expect(await pool.transaction((tx) => last(tx).catch(() => 'caught'))).toBe('caught');
    expect(await countOf(pool)).toBe(1);
  });

  test('commits although the function throws after it, and that is what is thrown', async ({ database }) => {
    const pool = await prepared(database);
    const log: string[] = [];
    const work = pool.transaction(async (tx) => {
      tx.afterCommit(() => log.push('committed'));
      tx.afterRollback(() => log.push('rolled back'));
      await tx.last('insert into item values (1)');
      throw new Error('after it');
    });
    expect((await errorOf(work)).message).toBe('after it');
    expect(await countOf(pool)).toBe(1);
    expect(log).toEqual(['committed']);
  });

  test('of a nested transaction ends that one alone', async ({ database }) => {
    const pool = await prepared(database);
    await pool.transaction(async (tx) => {
      await put(tx, 1);
      await tx.transaction(async (nested) => {
        expect((await nested.last('insert into item values (2) returning id')).rows).toEqual([{ id: 2 }]);
        expect(await errorOf(put(nested, 3))).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_ENDED' });
      });
      expect(await pool.outside(() => pool.snapshot().leased)).toBe(1);
      await tx.last('insert into item values (4)');
    });
    expect(await countOf(pool)).toBe(3);
  });

  test.for(['', 'select 1; select 2', 'copy (select 1) to stdout'])(
    'may be a text that cannot travel with others: "%s"',
    async (text, { database }) => {
      const pool = await prepared(database);
      await pool.transaction(async (tx) => {
        await put(tx, 1);
        await tx.last(text);
        expect(await errorOf(put(tx, 2))).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_ENDED' });
      });
      expect(await countOf(pool)).toBe(1);
    },
  );

  test('waits for those before it that were not awaited', async ({ database }) => {
    const pool = await prepared(database);
    await pool.transaction(async (tx) => {
      for (let id = 0; id < 5; id += 1) void put(tx, id);
      const { rows } = await tx.last('select count(*)::int as count from item');
      expect(rows).toEqual([{ count: 5 }]);
    });
    expect(await countOf(pool)).toBe(5);
  });
});
