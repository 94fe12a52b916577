import { expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { sandbox } from '../../src/testing/index.ts';
import { errorOf } from '../server/rig.ts';
import { add, names, shop, stored } from './rig.ts';

test('a library begins, commits and rolls back in a sandbox through its pg.Pool', async ({ database }) => {
  const pool = await shop(database);
  const pgPool = pool.asPgPool({ pg });
  await sandbox(pool, async () => {
    await add(pgPool, 'plain');
    for (const [name, end] of [
      ['kept', 'COMMIT'],
      ['undone', 'ROLLBACK'],
    ] as const) {
      const client = await pgPool.connect();
      await client.query('BEGIN');
      await client.query('insert into customers values ($1)', [name]);
      await client.query(end);
      client.release();
    }
    expect((await errorOf(pgPool.query('select 1/0')))['code']).toBe('22012');
    expect(await names(pool)).toEqual(['kept', 'plain']);
  });
  expect(await stored(database)).toBe(0);
});

test('a library joins a transaction of ours in a sandbox', async ({ database }) => {
  const pool = await shop(database);
  const pgPool = pool.asPgPool({ pg });
  await sandbox(pool, async (db) => {
    await pool.transaction(async (tx) => {
      await add(tx, 'ours');
      await add(pgPool, 'theirs');
      const client = await pgPool.connect();
      await client.query('BEGIN');
      await add(client, 'nested');
      await client.query('ROLLBACK');
      client.release();
    });
    expect(await names(pgPool)).toEqual(['ours', 'theirs']);
    expect(db.committed).toBe(1);
  });
  expect(await stored(database)).toBe(0);
});
