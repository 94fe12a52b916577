import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, Transaction } from '../../src/index.ts';
import { answerOf, errorOf, listen, Notes, openPool } from './rig.ts';

/** Notes both ends of a level under one name. */
function note(log: string[], tx: Transaction, name: string): void {
  tx.afterCommit(() => log.push(`${name} committed`));
  tx.afterRollback(() => log.push(`${name} rolled back`));
}

const fail = (): never => {
  throw new Error('mine');
};

const CONFLICT = `do $$ begin raise exception using errcode = '40001'; end $$`;

describe('hooks of a transaction', () => {
  test('run in their order, one after the other, and are awaited', async ({ database }) => {
    const pool = openPool(database.connection);
    const log: string[] = [];
    await pool.transaction(async (tx) => {
      tx.afterCommit(async () => {
        await answerOf(pool, 'select pg_sleep(0.02)');
        log.push('first');
      });
      tx.afterCommit(() => log.push('second'));
      tx.afterRollback(() => log.push('never'));
      await tx.query('select 1');
      log.push('body');
    });
    expect(log).toEqual(['body', 'first', 'second']);
  });

  test('run after a rollback whichever way it came', async ({ database }) => {
    const pool = openPool(database.connection);
    const log: string[] = [];
    const ways: ((tx: Transaction) => unknown)[] = [fail, (tx) => tx.rollback(), (tx) => tx.query('select 1/0')];
    for (const [index, way] of ways.entries()) {
      const work = pool.transaction(async (tx) => {
        note(log, tx, `${index}`);
        await tx.query('select 1');
        await way(tx);
      });
      await work.catch(() => undefined);
    }
    expect(log).toEqual(['0 rolled back', '1 rolled back', '2 rolled back']);
  });

  test('run where no statement was ever sent', async ({ database }) => {
    const pool = openPool(database.connection);
    const log: string[] = [];
    await pool.transaction((tx) => note(log, tx, 'empty'));
    await errorOf(
      pool.transaction((tx) => {
        note(log, tx, 'thrown');
        fail();
      }),
    );
    expect(log).toEqual(['empty committed', 'thrown rolled back']);
  });

  test('find the connection given back, and the rows committed', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    await pool.query('create table seen (x int)');
    const found: unknown[] = [];
    const look = async (): Promise<void> => {
      found.push(pool.snapshot().leased, pool.current(), await answerOf(pool, 'select count(*)::int from seen'));
    };
    await pool.transaction(async (tx) => {
      await tx.query('insert into seen values (1)');
      tx.afterCommit(look);
    });
    const undone = pool.transaction(async (tx) => {
      await tx.query('insert into seen values (2)');
      tx.afterRollback(look);
      fail();
    });
    expect((await errorOf(undone)).message).toBe('mine');
    expect(found).toEqual([0, undefined, 1, 0, undefined, 1]);
  });

  test('run before the answer of the transaction is there, with last() too', async ({ database }) => {
    const pool = openPool(database.connection);
    const log: string[] = [];
    await pool.transaction(async (tx) => {
      note(log, tx, 'it');
      await tx.last('select 1');
      log.push('body');
    });
    log.push('after');
    expect(log).toEqual(['body', 'it committed', 'after']);
  });

  test('that fail are reported, and change neither the result nor the other hooks', async ({ database }) => {
    const notes = new Notes();
    const pool = openPool(database.connection, { logger: notes });
    const failures = listen('lifeguard:transaction:hook-failed', pool);
    const log: string[] = [];
    const answer = await pool.transaction(
      async (tx) => {
        tx.afterCommit(fail);
        tx.afterCommit(() => Promise.reject(new RangeError('secret')));
        note(log, tx, 'third');
        await tx.query('select 1');
        return 5;
      },
      { name: 'pay' },
    );
    expect([answer, log]).toEqual([5, ['third committed']]);
    expect(failures).toEqual([
      { pool: pool.name, name: 'pay', when: 'commit', error: 'Error' },
      { pool: pool.name, name: 'pay', when: 'commit', error: 'RangeError' },
    ]);
    expect(notes.codes).toContain('LIFEGUARD_HOOK_FAILED');
    expect(JSON.stringify(notes.lines.map(({ message }) => message))).not.toContain('secret');
  });

  test('that fail after a rollback do not hide why it was rolled back', async ({ database }) => {
    const pool = openPool(database.connection, { logger: new Notes() });
    const mine = new Error('the first');
    const work = pool.transaction(async (tx) => {
      tx.afterRollback(fail);
      await tx.query('select 1');
      throw mine;
    });
    expect(await errorOf(work)).toBe(mine);
  });

  test('that come when all is over are refused, and not silently forgotten', async ({ database }) => {
    const pool = openPool(database.connection);
    const kept: Transaction[] = [];
    await pool.transaction((tx) => tx.transaction((nested) => kept.push(tx, nested)));
    for (const tx of kept) {
      for (const way of ['afterCommit', 'afterRollback'] as const) {
        const late = Promise.resolve().then(() => tx[way](fail));
        expect(await errorOf(late)).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_ENDED' });
      }
    }
  });

  test('must be functions, in every kind of transaction', async ({ database }) => {
    const pool = openPool(database.connection);
    for (const propagation of ['required', 'supports'] as const) {
      for (const way of ['afterCommit', 'afterRollback'] as const) {
        const work = pool.transaction((tx) => tx[way]('no' as never), { propagation });
        expect(await errorOf(work)).toMatchObject({ code: 'ERR_LIFEGUARD_ARGUMENT' });
      }
    }
  });
});

describe('hooks of levels', () => {
  test('of a nested one that was kept wait for the whole', async ({ database }) => {
    const pool = openPool(database.connection);
    const log: string[] = [];
    await pool.transaction(async (tx) => {
      note(log, tx, 'outer');
      await tx.transaction(async (nested) => {
        await nested.query('select 1');
        note(log, nested, 'nested');
      });
      log.push('body');
      note(log, tx, 'outer again');
    });
    expect(log).toEqual(['body', 'outer committed', 'nested committed', 'outer again committed']);
  });

  test('of a nested one that was undone say so, though the whole commits', async ({ database }) => {
    const pool = openPool(database.connection);
    const log: string[] = [];
    await pool.transaction(async (tx) => {
      note(log, tx, 'outer');
      for (const end of [fail, (nested: Transaction) => nested.rollback()]) {
        const nested = tx.transaction(async (inner) => {
          await inner.transaction((innermost) => note(log, innermost, 'innermost'));
          note(log, inner, 'nested');
          await end(inner);
        });
        await nested.catch(() => undefined);
      }
      await tx.query('select 1');
    });
    const undone = ['innermost rolled back', 'nested rolled back'];
    expect(log).toEqual(['outer committed', ...undone, ...undone]);
  });

  test('of a nested one that was kept say so when the whole is undone', async ({ database }) => {
    const pool = openPool(database.connection);
    const log: string[] = [];
    const work = pool.transaction(async (tx) => {
      await tx.transaction((nested) => note(log, nested, 'nested'));
      await tx.query('select 1');
      fail();
    });
    await errorOf(work);
    expect(log).toEqual(['nested rolled back']);
  });

  test('of a part that joined are those of the whole', async ({ database }) => {
    const pool: LifeguardPool = openPool(database.connection);
    const log: string[] = [];
    await pool.transaction(async (tx) => {
      await pool.transaction((part) => note(log, part, 'part'));
      log.push('body');
      await tx.query('select 1');
    });
    const doomed = pool.transaction(async (tx) => {
      await tx.query('select 1');
      const part = pool.transaction((joined) => {
        note(log, joined, 'failed part');
        fail();
      });
      await errorOf(part);
    });
    await errorOf(doomed);
    expect(log).toEqual(['body', 'part committed', 'failed part rolled back']);
  });

  test('of each attempt say what became of that one', async ({ database }) => {
    const pool = openPool(database.connection);
    const log: string[] = [];
    await pool.transaction(async (tx) => {
      note(log, tx, `attempt ${tx.attempt}`);
      if (tx.attempt < 3) await tx.query(CONFLICT);
      await tx.query('select 1');
    });
    expect(log).toEqual(['attempt 1 rolled back', 'attempt 2 rolled back', 'attempt 3 committed']);
  });
});
