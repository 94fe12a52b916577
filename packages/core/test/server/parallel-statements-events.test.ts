import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { listen, openPool, outcomesOf } from './rig.ts';

describe('the events of statements that travel together', () => {
  test('tell of each of them, and which one failed', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const started = listen('lifeguard:statement:started', pool);
    const ended = listen('lifeguard:statement:ended', pool);
    await pool.transaction(async (tx) => {
      await outcomesOf(['select 1', 'select 2', 'select 1/0', 'select 4'].map((text) => tx.query(text)));
      await tx.rollback();
    });
    const texts = ['select 1', 'select 2', 'select 1/0', 'select 4', 'ROLLBACK'];
    expect(started.map(({ text }) => text)).toEqual(texts);
    expect(ended.map(({ text, error }) => [text, error])).toEqual([
      ['select 1', undefined],
      ['select 2', undefined],
      ['select 1/0', '22012'],
      ['select 4', 'ERR_LIFEGUARD_TRANSACTION_FAILED'],
      ['ROLLBACK', undefined],
    ]);
  });

  test('leave a connection alone whose statements together take longer than one may', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1, statementTimeoutMillis: 300 });
    const sleep = 'select pg_sleep(0.2)';
    const work = pool.transaction((tx) => Promise.all(Array.from({ length: 12 }, () => tx.query(sleep))));
    expect(await work).toHaveLength(12);
    expect(pool.snapshot()).toMatchObject({ opened: 1, closed: {} });
  });
});
