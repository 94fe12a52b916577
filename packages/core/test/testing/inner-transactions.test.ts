import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool } from '../../src/index.ts';
import { sandbox } from '../../src/testing/index.ts';
import { answerOf, errorOf } from '../server/rig.ts';
import { add, names, shop, stored } from './rig.ts';

const SETTING = "select current_setting('app.tenant', true)";

describe('a transaction in a sandbox', () => {
  test('runs its hooks at its own end, when its connection has gone back', async ({ database }) => {
    const pool = await shop(database);
    await using db = await sandbox(pool);
    const log: string[] = [];
    await pool.transaction(async (tx) => {
      tx.afterCommit(async () => log.push(`committed, sees ${(await names(pool)).length}`));
      await add(tx, 'ada');
      await tx.transaction(async (nested) => nested.afterCommit(() => log.push('nested too')));
      log.push('returns');
    });
    expect(log).toEqual(['returns', 'committed, sees 1', 'nested too']);
    const undone = pool.transaction(async (tx) => {
      tx.afterRollback(() => log.push('rolled back'));
      await add(tx, 'ada');
    });
    expect((await errorOf(undone))['code']).toBe('23505');
    expect([log.at(-1), db.committed, db.rolledBack]).toEqual(['rolled back', 1, 1]);
  });

  test('is tried again after a conflict, as a real one', async ({ database }) => {
    const pool = await shop(database);
    await using _ = await sandbox(pool);
    const attempts: number[] = [];
    await pool.transaction(async (tx) => {
      attempts.push(tx.attempt);
      await add(tx, `attempt ${tx.attempt}`);
      if (tx.attempt < 3) await tx.query("do $$ begin raise exception using errcode = '40001'; end $$");
    });
    expect(attempts).toEqual([1, 2, 3]);
    expect(await names(pool)).toEqual(['attempt 3']);
  });

  test('keeps its settings and its role to itself, as a real one', async ({ database }) => {
    const pool = await shop(database);
    await using _ = await sandbox(pool);
    const inside = await pool.transaction(
      async (tx) => [await answerOf(tx, SETTING), await answerOf(tx, 'select current_user::text')],
      { settings: { 'app.tenant': 'a' }, role: 'pg_read_all_data' },
    );
    expect(inside).toEqual(['a', 'pg_read_all_data']);
    await pool.transaction((tx) => tx.query("select set_config('app.tenant', 'b', true)"));
    await pool.query('select 1', [], { timeoutMillis: 5_000 });
    expect(await answerOf(pool, SETTING)).toBeFalsy();
    expect(await answerOf(pool, 'select current_user = session_user')).toBe(true);
    expect(await answerOf(pool, 'show statement_timeout')).toBe('30s');
  });

  test('checks at its COMMIT what waits for that', async ({ database }) => {
    const pool = await shop(database);
    await using _ = await sandbox(pool);
    const orphan = pool.transaction((tx) => tx.query("insert into orders (customer) values ('nobody')"));
    expect(await errorOf(orphan)).toMatchObject({ code: '23503' });
    expect((await errorOf(pool.query("insert into orders (customer) values ('nobody')")))['code']).toBe('23503');
    await pool.transaction(async (tx) => {
      await tx.query("insert into orders (customer) values ('ada')");
      await add(tx, 'ada');
    });
    expect(await answerOf(pool, 'select count(*)::int from orders')).toBe(1);
  });

  test('ends at its deadline, and the sandbox goes on', async ({ database }) => {
    const pool = await shop(database);
    await using _ = await sandbox(pool);
    const slow = pool.transaction((tx) => tx.query('select pg_sleep(30)'), { timeoutMillis: 50 });
    expect((await errorOf(slow))['code']).toBe('ERR_LIFEGUARD_DEADLINE');
    const signal = AbortSignal.timeout(50);
    expect((await errorOf(pool.query('select pg_sleep(30)', [], { signal })))['code']).toBe('ERR_LIFEGUARD_ABORTED');
    await add(pool, 'ada');
    expect(await names(pool)).toEqual(['ada']);
  });

  test('only reads where it was asked to', async ({ database }) => {
    const pool = await shop(database);
    await using _ = await sandbox(pool);
    const writes = pool.transaction((tx) => add(tx, 'ada'), { readOnly: true });
    expect((await errorOf(writes))['code']).toBe('25006');
    await pool.scope({ readOnly: true }, async (db) => expect((await errorOf(add(db, 'ada')))['code']).toBe('25006'));
    await add(pool, 'ada');
  });

  test('has the isolation that its sandbox was opened with, and no higher one', async ({ database }) => {
    const pool = await shop(database);
    const high = (): Promise<unknown> => pool.transaction((tx) => tx.query('select 1'), { isolation: 'serializable' });
    await sandbox(pool, async () => {
      expect(await errorOf(high())).toMatchObject({ code: 'ERR_LIFEGUARD_SANDBOX' });
      expect((await errorOf(high())).message).toMatch(/isolation: 'serializable'/);
    });
    await sandbox(pool, { isolation: 'serializable' }, async () => {
      await high();
      const level = await pool.transaction((tx) => answerOf(tx, 'show transaction_isolation'));
      expect(level).toBe('serializable');
    });
  });
});

describe('what needs a second connection inside an open transaction', () => {
  const calls: readonly (readonly [string, (pool: LifeguardPool) => Promise<unknown>])[] = [
    ['requires-new', (pool) => pool.transaction((tx) => add(tx, 'b'), { propagation: 'requires-new' })],
    ['not-supported', (pool) => pool.transaction((tx) => add(tx, 'b'), { propagation: 'not-supported' })],
    ['outside()', (pool) => pool.outside(() => add(pool, 'b'))],
    ['lease()', (pool) => pool.lease().then((lease) => lease.query('select 1').finally(() => lease.release()))],
  ];

  test.for(calls)('is refused at once: %s', async ([, call], { database }) => {
    const pool = await shop(database);
    await using _ = await sandbox(pool, { name: 'mine' });
    await pool.transaction(async (tx) => {
      await add(tx, 'a');
      expect(await errorOf(call(pool))).toMatchObject({
        code: 'ERR_LIFEGUARD_SANDBOX',
        message: expect.stringMatching(/"mine".*wait for itself.*outsideSandboxes/),
      });
    });
    expect(await names(pool)).toEqual(['a']);
    expect(await stored(database)).toBe(0);
  });

  test('takes turns where it belongs to nobody inside', async ({ database }) => {
    const pool = await shop(database);
    await using _ = await sandbox(pool);
    const parallel = Array.from({ length: 20 }, (_, index) =>
      pool.transaction(async (tx) => {
        await add(tx, `n${index}`);
        if (index % 4 === 0) throw new Error('no');
        await tx.query('select 1');
      }),
    );
    const settled = await Promise.allSettled(parallel);
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(15);
    expect(await names(pool)).toHaveLength(15);
  });
});

test('what no transaction can hold is refused, and says why', async ({ database }) => {
  const pool = await shop(database);
  await using _ = await sandbox(pool);
  const texts = [
    'vacuum customers',
    'create index concurrently on customers (name)',
    'listen news',
    "prepare transaction 'x'",
  ];
  for (const text of texts) {
    const error = await errorOf(pool.query(text));
    expect([text, error['code']]).toEqual([text, 'ERR_LIFEGUARD_SANDBOX']);
    expect(error.message).toMatch(/never commits/);
  }
  await database.query('create or replace procedure commits() language plpgsql as $$ begin commit; end $$');
  expect((await errorOf(pool.query('call commits()')))['code']).toBe('ERR_LIFEGUARD_SANDBOX');
  expect(await names(pool)).toEqual([]);
});
