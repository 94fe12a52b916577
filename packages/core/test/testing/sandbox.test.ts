import { expect, test } from '@lifeguard/testkit/vitest';
import * as testing from '../../src/testing/index.ts';
import { sandbox } from '../../src/testing/index.ts';
import { errorOf } from '../server/rig.ts';
import { add, names, openTransactions, shop, stored } from './rig.ts';

test('the rest of a function is inside its sandbox, and nothing of it remains', async ({ database }) => {
  const pool = await shop(database);
  {
    await using _ = await sandbox(pool);
    await add(pool, 'ada');
    await pool.transaction(async (tx) => void (await add(tx, 'grace')));
    await pool.batch(["insert into customers values ('linus')", 'select 1']);
    expect(await names(pool)).toEqual(['ada', 'grace', 'linus']);
    expect(await stored(database)).toBe(0);
  }
  expect(await stored(database)).toBe(0);
  expect(pool.snapshot().leased).toBe(0);
  expect(await openTransactions(database)).toBe(0);
});

test('an inner transaction that throws takes back its own part and no other', async ({ database }) => {
  const pool = await shop(database);
  await using db = await sandbox(pool);
  await add(pool, 'ada');
  const failed = pool.transaction(async (tx) => {
    await add(tx, 'grace');
    throw new Error('no');
  });
  await expect(failed).rejects.toThrow('no');
  expect(await names(pool)).toEqual(['ada']);
  expect([db.committed, db.rolledBack]).toEqual([0, 1]);
});

test('a statement that fails is its own affair, as on a pool', async ({ database }) => {
  const pool = await shop(database);
  await using _ = await sandbox(pool);
  await add(pool, 'ada');
  expect((await errorOf(add(pool, 'ada')))['code']).toBe('23505');
  expect((await errorOf(pool.query('select 1; select 1/0')))['code']).toBe('22012');
  expect((await errorOf(pool.batch(["insert into customers values ('x')", 'select 1/0'])))['code']).toBe(
    'ERR_LIFEGUARD_BATCH',
  );
  expect(await names(pool)).toEqual(['ada']);
});

test('what is asked before a sandbox is open is not sent, and told so', async ({ database }) => {
  const pool = await shop(database);
  const opening = sandbox(pool, { name: 'mine' });
  expect(await errorOf(pool.query('select 1'))).toMatchObject({
    code: 'ERR_LIFEGUARD_ARGUMENT',
    message: 'Nothing was sent: the sandbox "mine" is not open yet; await sandbox() first.',
  });
  await (await opening).end();
});

test('the package hands out three functions for tests', () => {
  expect(Object.keys(testing).sort()).toEqual(['honourSandboxes', 'outsideSandboxes', 'sandbox']);
});
