import { createPool } from '@lifeguard/core';
import { expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { reset } from '../src/index.ts';
import { afterwards, interleaved, openNamespace } from './rig.ts';

test('callbacks of a pg client run in the context in which it was connected', async ({ database }) => {
  const seen = await interleaved(openNamespace(), (done) => {
    const client = new pg.Client(database.connection);
    client.connect(() => client.query('select 1', () => client.end(done)));
  });
  expect(seen).toEqual([1, 2, 3, 4, 5]);
});

test('promises of a pool of one connection keep the context of who asked', async ({ database }) => {
  const pool = onePool(database.connection);
  const seen = await interleaved(openNamespace(), (done) => void pool.query('select 1').then(done));
  expect(seen).toEqual([1, 2, 3, 4, 5]);
});

test('callbacks that are bound keep it too, on a connection that another context has opened', async ({ database }) => {
  const pool = onePool(database.connection);
  const namespace = openNamespace();
  const seen = await interleaved(namespace, (done) => {
    const ask = namespace.bind((_error: unknown, client: pg.PoolClient, release: () => void) => {
      const answered = namespace.bind(() => {
        release();
        done();
      });
      void client.query('select 1', answered);
    });
    pool.connect(ask as never);
  });
  expect(seen).toEqual([1, 2, 3, 4, 5]);
});

test('a reset forgets the namespaces, and no transaction that is under way', async ({ database }) => {
  const pool = createPool({ name: 'reset', ...database.connection });
  onTestFinished(() => pool.close({ graceMillis: 0 }));
  await pool.query('create table kept (id int)');
  const failed = pool.transaction(async () => {
    await pool.query('insert into kept values (1)');
    reset();
    // It joins by the ambient context, which is an AsyncLocalStorage of its own.
    await pool.query('insert into kept values (2)');
    throw new Error('on purpose');
  });
  await expect(failed).rejects.toThrow('on purpose');
  expect((await pool.query('select id from kept')).rows).toEqual([]);
});

test('a context lives on through statements of our own pool', async ({ database }) => {
  const pool = createPool({ name: 'contexts', max: 1, ...database.connection });
  onTestFinished(() => pool.close({ graceMillis: 0 }));
  const namespace = openNamespace();
  const values = [1, 2, 3].map((value) =>
    afterwards(namespace, (done) => void pool.transaction((tx) => tx.query('select 1')).then(done), value),
  );
  expect(await Promise.all(values)).toEqual([1, 2, 3]);
});

function onePool(connection: object): pg.Pool {
  const pool = new pg.Pool({ ...connection, max: 1 });
  pool.on('error', () => undefined); // The server may end before the last socket has closed.
  onTestFinished(() => pool.end());
  return pool;
}
