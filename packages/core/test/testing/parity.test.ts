import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { from as copyFrom } from 'pg-copy-streams';
import Cursor from 'pg-cursor';
import type { LifeguardPool } from '../../src/index.ts';
import { outsideSandboxes, sandbox } from '../../src/testing/index.ts';
import { answerOf } from '../server/rig.ts';
import { add, names, shop } from './rig.ts';

type Deed = (pool: LifeguardPool) => Promise<unknown>;

/** What code does with a pool. In a sandbox each has the same answer, or the same error, and leaves the same rows. */
const DEEDS: Readonly<Record<string, Deed>> = {
  'a nested transaction that fails and is caught': (pool) =>
    pool.transaction(async (tx) => {
      await add(tx, 'a');
      await tx.transaction((nested) => add(nested, 'a')).catch(() => undefined);
      await tx.transaction((nested) => add(nested, 'b'));
      return tx.depth;
    }),
  'an error that is caught and does not leave the transaction': (pool) =>
    pool.transaction(async (tx) => {
      await add(tx, 'a');
      await add(tx, 'a').catch(() => undefined);
    }),
  'a statement after one that failed': (pool) =>
    pool.transaction(async (tx) => {
      await tx.query('select 1/0').catch(() => undefined);
      await add(tx, 'a');
    }),
  'a last statement': (pool) =>
    pool.transaction(async (tx) => (await tx.last("insert into customers values ('a')")).rowCount),
  'a last statement that fails': (pool) => pool.transaction((tx) => tx.last('select 1/0')),
  'a rollback that was asked for': (pool) =>
    pool.transaction(async (tx) => {
      await add(tx, 'a');
      await tx.rollback();
      return 'done';
    }),
  'a part that joins and fails': (pool) =>
    pool.transaction(async (tx) => {
      await add(tx, 'a');
      await pool.transaction(() => Promise.reject(new Error('mine'))).catch(() => undefined);
    }),
  mandatory: (pool) => pool.transaction((tx) => add(tx, 'a'), { propagation: 'mandatory' }),
  supports: (pool) =>
    pool.transaction(async (tx) => [tx.depth, await add(tx, 'a').then(() => 'added')], { propagation: 'supports' }),
  'requires-new where none is open': (pool) =>
    pool.transaction((tx) => add(tx, 'a').then(() => tx.depth), { propagation: 'requires-new' }),
  'a batch': async (pool) =>
    (await pool.batch(['select 1 as n', "insert into customers values ('a') returning name"])).map(({ rows }) => rows),
  'a batch in a transaction that fails': (pool) =>
    pool.transaction(async (tx) => tx.batch(["insert into customers values ('a')", 'select 1/0'])),
  'several statements in one text': async (pool) => {
    const results = await pool.query("insert into customers values ('a'); select 1 as n; select 2 as n");
    return (results as unknown as { command: string; rows: unknown[] }[]).map(({ command, rows }) => [command, rows]);
  },
  'a cursor': (pool) =>
    pool.transaction(async (tx) => {
      const cursor = await tx.query(new Cursor<{ n: number }>('select n from generate_series(1, 5) as n'));
      const rows = await cursor.read(3);
      await cursor.close();
      return rows;
    }),
  'a COPY': (pool) =>
    pool.transaction(async (tx) => {
      const copy = await tx.query(copyFrom('copy customers from stdin'));
      await pipeline(Readable.from(['a\nb\n']), copy);
    }),
  'a user’s own savepoint': (pool) =>
    pool.transaction(async (tx) => {
      for (const text of ['savepoint mine', "insert into customers values ('a')", 'rollback to mine'])
        await tx.query(text);
      await add(tx, 'b');
    }),
  'a COMMIT of the user’s own': (pool) => pool.transaction((tx) => tx.query('commit')),
  'SET LOCAL and what comes after': async (pool) => {
    const inside = await pool.transaction(async (tx) => {
      await tx.query("set local app.x = 'in'");
      return answerOf(tx, "select current_setting('app.x')");
    });
    return [inside, (await answerOf(pool, "select coalesce(current_setting('app.x', true), '')")) as string];
  },
  'SET TRANSACTION': (pool) =>
    pool.transaction(async (tx) => {
      await tx.query('set transaction read only');
      await add(tx, 'a');
    }),
  'a scope that is over its time': (pool) => pool.scope({ timeoutMillis: 40 }, (db) => db.query('select pg_sleep(30)')),
  'names and arrays': (pool) =>
    pool
      .query({ text: 'select $1::int as n', values: [7], name: 'seven', rowMode: 'array' })
      .then(({ rows, fields }) => [rows, fields.map(({ name }) => name)]),
  'hooks of a nested part that was rolled back': async (pool) => {
    const log: string[] = [];
    await pool.transaction(async (tx) => {
      tx.afterCommit(() => log.push('outer committed'));
      await add(tx, 'a');
      const nested = tx.transaction(async (inner) => {
        inner.afterRollback(() => log.push('inner rolled back'));
        await add(inner, 'a');
      });
      await nested.catch(() => log.push('caught'));
    });
    return log;
  },
};

describe('in a sandbox and on the database', () => {
  test.for(Object.entries(DEEDS))('the same comes of: %s', async ([, deed], { database }) => {
    const pool = await shop(database, { max: 3 });
    const inside = await sandbox(pool, () => seen(pool, deed));
    expect(await names(pool)).toEqual([]);
    const outside = await outsideSandboxes(pool, () => seen(pool, deed));
    expect(inside).toEqual(outside);
    expect(pool.snapshot().leased).toBe(0);
  });
});

/** The answer or the error, the rows that are left, and that the pool is of use afterwards. */
async function seen(pool: LifeguardPool, deed: Deed): Promise<unknown> {
  const outcome = await deed(pool).then(
    (value) => ({ value }),
    (error: { code?: string; message: string }) => ({ code: error.code ?? error.message }),
  );
  return { outcome, left: await names(pool), next: await answerOf(pool, 'select 1') };
}
