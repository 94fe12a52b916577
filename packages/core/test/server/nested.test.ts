import { passes } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, Transaction } from '../../src/index.ts';
import { answerOf, errorOf, openPool } from './rig.ts';

/** A pool, and an empty table of its own. */
async function prepared(database: { readonly connection: object }): Promise<LifeguardPool> {
  const pool = openPool(database.connection, { max: 3 });
  await pool.query('create table if not exists item (id int)');
  await pool.query('truncate item');
  return pool;
}

const put = (tx: Transaction, id: number): Promise<unknown> => tx.query('insert into item values ($1)', [id]);

const idsOf = async (pool: LifeguardPool): Promise<number[]> =>
  (await pool.query<{ id: number }>('select id from item order by id')).rows.map(({ id }) => id);

const fail = (): never => {
  throw new Error('mine');
};

describe('a nested transaction', () => {
  test('is kept with the one around it, and its answer is passed on', async ({ database }) => {
    const pool = await prepared(database);
    const answer = await pool.transaction(async (tx) => {
      await put(tx, 1);
      const inner = await tx.transaction(async (nested) => {
        await put(nested, 2);
        return nested.depth;
      });
      await put(tx, 3);
      return inner;
    });
    expect(answer).toBe(1);
    expect(await idsOf(pool)).toEqual([1, 2, 3]);
  });

  test('that fails is undone alone, and rejects with the same error', async ({ database }) => {
    const pool = await prepared(database);
    const mine = new Error('mine');
    await pool.transaction(async (tx) => {
      await put(tx, 1);
      const nested = tx.transaction(async (inner) => {
        await put(inner, 2);
        throw mine;
      });
      expect(await errorOf(nested)).toBe(mine);
      await put(tx, 3);
    });
    expect(await idsOf(pool)).toEqual([1, 3]);
  });

  test("survives with the server's error of one of its statements", async ({ database }) => {
    const pool = await prepared(database);
    await pool.transaction(async (tx) => {
      const nested = tx.transaction((inner) => inner.query('select 1/0')); // The very first statement of all.
      expect(await errorOf(nested)).toMatchObject({ code: '22012' });
      await put(tx, 1);
      await errorOf(tx.transaction((inner) => inner.batch(['select 1', 'select 1/0'])));
      await put(tx, 2);
    });
    expect(await idsOf(pool)).toEqual([1, 2]);
  });

  test('that swallows an error rejects, and leaves the one around it whole', async ({ database }) => {
    const pool = await prepared(database);
    await pool.transaction(async (tx) => {
      await put(tx, 1);
      const nested = tx.transaction(async (inner) => {
        await put(inner, 2);
        await errorOf(inner.query('select 1/0'));
      });
      expect(await errorOf(nested)).toMatchObject({ code: 'ERR_LIFEGUARD_ROLLED_BACK', cause: { code: '22012' } });
      await put(tx, 3);
    });
    expect(await idsOf(pool)).toEqual([1, 3]);
  });

  test('is undone by its own rollback(), without an error', async ({ database }) => {
    const pool = await prepared(database);
    await pool.transaction(async (tx) => {
      const answer = await tx.transaction(async (nested) => {
        await put(nested, 1);
        await nested.rollback();
        return errorOf(put(nested, 2));
      });
      expect(answer).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_ENDED' });
      await put(tx, 3);
    });
    expect(await idsOf(pool)).toEqual([3]);
  });

  test('is undone at three levels as each of them ended', async ({ database }) => {
    const pool = await prepared(database);
    const half = async (tx: Transaction, id: number): Promise<void> => {
      await put(tx, id);
      if (tx.depth === 3) return;
      await tx.transaction((inner) => half(inner, id * 10));
      await tx.transaction((inner) => half(inner, id * 10 + 1).then(fail)).catch(() => undefined);
      await put(tx, id);
    };
    await pool.transaction((tx) => half(tx, 1));
    expect(await idsOf(pool)).toEqual([1, 1, 10, 10, 100, 100, 1000]);
  });

  test('goes seventy levels deep, and comes back as far as it must', async ({ database }) => {
    const pool = await prepared(database);
    const dive = async (tx: Transaction): Promise<void> => {
      await put(tx, tx.depth);
      if (tx.depth === 70) fail();
      const deeper = tx.transaction(dive);
      await (tx.depth === 40 ? deeper.catch(() => undefined) : deeper);
      await put(tx, 100 + tx.depth);
    };
    await pool.transaction(dive);
    const kept = Array.from({ length: 41 }, (_, depth) => depth);
    expect(await idsOf(pool)).toEqual([...kept, ...kept.map((depth) => 100 + depth)]);
  });

  test('opens the levels that had no statement yet together with its first one', async ({ database }) => {
    const pool = await prepared(database);
    const dive = (tx: Transaction): Promise<unknown> => (tx.depth === 70 ? put(tx, 70) : tx.transaction(dive));
    await pool.transaction(dive);
    expect(await idsOf(pool)).toEqual([70]);
  });

  test('has its settings and its role to itself', async ({ database }) => {
    const pool = openPool(database.connection);
    const look =
      "select concat_ws('/', current_setting('app.tenant', true), current_user, current_setting('lock_timeout'))";
    const { user } = database.connection;
    const own = { settings: { 'app.tenant': 'b' }, role: 'pg_monitor', lockTimeoutMillis: 70 };
    const seen = await pool.transaction(
      async (tx) => {
        const kept = await tx.transaction((nested) => answerOf<string>(nested, look), own);
        const between = await answerOf<string>(tx, look);
        await tx.transaction((nested) => answerOf(nested, look).then(fail), own).catch(() => undefined);
        return [kept, between, await answerOf<string>(tx, look)];
      },
      { settings: { 'app.tenant': 'a' } },
    );
    expect(seen).toEqual(['b/pg_monitor/70ms', `a/${user}/0`, `a/${user}/0`]);
  });

  test('whose settings are refused by the server leaves the one around it whole', async ({ database }) => {
    const pool = await prepared(database);
    await pool.transaction(async (tx) => {
      await put(tx, 1);
      const nested = tx.transaction((inner) => put(inner, 2), { settings: { work_mem: 'much' } });
      expect(await errorOf(nested)).toMatchObject({ code: 'ERR_LIFEGUARD_SETTING', cause: { code: '22023' } });
      await put(tx, 3);
    });
    expect(await idsOf(pool)).toEqual([1, 3]);
  });

  test('ends at its own deadline, and the one around it goes on', async ({ database }) => {
    const pool = await prepared(database);
    await pool.transaction(async (tx) => {
      await put(tx, 1);
      const slow = tx.transaction((nested) => nested.query('select pg_sleep(30)'), { timeoutMillis: 50 });
      expect(await errorOf(slow)).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE' });
      const idle = tx.transaction(
        async (nested) => {
          await put(nested, 2);
          await passes(30, 'the deadline of the nested one');
        },
        { timeoutMillis: 20 },
      );
      expect(await errorOf(idle)).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE' });
      await put(tx, 3);
    });
    expect(await idsOf(pool)).toEqual([1, 3]);
  });
});

describe('nested transactions that run at the same time', () => {
  test('take turns, and what stands beside them waits too', async ({ database }) => {
    const pool = await prepared(database);
    const log: string[] = [];
    await pool.transaction(async (tx) => {
      const part = (name: string): Promise<unknown> =>
        tx.transaction(async (nested) => {
          log.push(`${name} in`);
          await nested.query('select pg_sleep(0.01)');
          log.push(`${name} out`);
        });
      await Promise.all([part('a'), tx.query('select 1').then(() => log.push('beside')), part('b')]);
    });
    expect(log.filter((line) => line !== 'beside')).toEqual(['a in', 'a out', 'b in', 'b out']);
    expect(log.indexOf('beside')).toBeGreaterThan(log.indexOf('a out'));
  });

  test('never lose a write that was acknowledged, whichever of them fail', async ({ database }) => {
    const pool = await prepared(database);
    const acknowledged: number[] = [];
    await pool.transaction(async (tx) => {
      const work = Array.from({ length: 40 }, async (_, id) => {
        if (id % 4 === 0) return put(tx, id).then(() => acknowledged.push(id));
        const nested = tx.transaction(async (inner) => {
          await Promise.all([put(inner, id), put(inner, id)]);
          if (id % 4 === 1) fail();
          if (id % 4 === 2) await inner.query('select 1/0');
        });
        return nested.then(() => acknowledged.push(id, id));
      });
      await Promise.allSettled(work);
    });
    expect(await idsOf(pool)).toEqual(acknowledged.sort((a, b) => a - b));
    expect(acknowledged).toHaveLength(30);
  });

  test('refuse the handle of the one around them, which would wait for itself', async ({ database }) => {
    const pool = await prepared(database);
    const refused = { code: 'ERR_LIFEGUARD_PROPAGATION', consequence: 'nothing-sent', retryable: false };
    await pool.transaction(async (tx) => {
      await tx.transaction((nested) =>
        nested.transaction(async (inner) => {
          for (const outer of [tx, nested]) {
            const calls = [() => put(outer, 1), () => outer.transaction(() => 1), () => outer.last('select 1')];
            for (const call of [...calls, () => outer.batch(['select 1']), () => outer.rollback()]) {
              expect(await errorOf(call())).toMatchObject(refused);
            }
          }
          await put(inner, 2);
        }),
      );
      await put(tx, 3);
    });
    expect(await idsOf(pool)).toEqual([2, 3]);
  });

  test('refuse it too where another kind of work lies between', async ({ database }) => {
    const pool = await prepared(database);
    const soon = { timeoutMillis: 500 }; // Without the refusal it would wait for itself.
    const codes = await pool.transaction((tx) =>
      tx.transaction(async (nested) => {
        const late = async (): Promise<unknown> => (await errorOf(tx.query('select 1', [], soon)))['code'];
        return [
          await nested.transaction(late, { propagation: 'requires-new' }),
          await nested.transaction(late, { propagation: 'not-supported' }),
          await pool.scope(late),
          await pool.outside(late),
        ];
      }),
    );
    expect(new Set(codes)).toEqual(new Set(['ERR_LIFEGUARD_PROPAGATION']));
  });

  test('have the turn from the first moment on, though nobody can refuse the outer handle', async ({ database }) => {
    const pool = openPool(database.connection, { mode: 'explicit' });
    const error = await pool.transaction(async (tx) => {
      await tx.query('select 1');
      return tx.transaction(async (nested) => {
        const waiting = errorOf(tx.query('select pg_sleep(0.05)', [], { timeoutMillis: 100 }));
        await nested.query('select 1');
        return waiting;
      });
    });
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE', consequence: 'nothing-sent' });
  });

  test('that wait for their turn give up at their own limits', async ({ database }) => {
    const pool = await prepared(database);
    await pool.transaction(async (tx) => {
      const first = tx.transaction((nested) => nested.query('select pg_sleep(0.2)'));
      const second = errorOf(tx.transaction(() => expect.unreachable(), { timeoutMillis: 20 }));
      const third = errorOf(tx.query('select 1', [], { timeoutMillis: 20 }));
      for (const late of await Promise.all([second, third])) {
        expect(late).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE', consequence: 'nothing-sent' });
      }
      await first;
      await put(tx, 1);
    });
    expect(await idsOf(pool)).toEqual([1]);
  });
});
