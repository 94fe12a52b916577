import { describeLibrary, openHost, storedIn } from '@lifeguard/conformance';
import type { LifeguardPool } from '@lifeguard/core';
import { mikroOrmOptions } from '@lifeguard/core/orms';
import type { Database } from '@lifeguard/testkit';
import { expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import { MikroORM, UniqueConstraintViolationException } from '@mikro-orm/postgresql';
import pg from 'pg';
import { fixture, Notes } from '../fixture.ts';

describeLibrary(fixture);

test('its own type parsers are in force inside a transaction and outside', async ({ database }) => {
  const { pool, orm } = await open(database);
  const read = (): Promise<unknown> =>
    orm.em
      .fork()
      .execute("select date '2020-01-02' as day, timestamp '2020-01-02 03:04:05' as local, interval '1 day' as span");
  const expected = [{ day: '2020-01-02', local: '2020-01-02 03:04:05', span: '1 day' }];
  expect(await pool.transaction(read)).toEqual(expected);
  expect(await read()).toEqual(expected);
});

test('a flush goes with the transaction that rolls back', async ({ database }) => {
  const { pool, orm } = await open(database);
  const whole = pool.transaction(async () => {
    const em = orm.em.fork();
    em.create(Notes, { id: 1 });
    em.create(Notes, { id: 2 });
    await em.flush();
    throw new Error('changed my mind');
  });
  await expect(whole).rejects.toThrow('changed my mind');
  expect(await storedIn(database)).toEqual([]);
});

test('a flush that fails leaves the transaction around it at work', async ({ database }) => {
  const { pool, orm } = await open(database);
  await orm.em.fork().insert(Notes, { id: 1 });
  await pool.transaction(async () => {
    const em = orm.em.fork();
    em.create(Notes, { id: 2 });
    em.create(Notes, { id: 1 });
    await expect(em.flush()).rejects.toThrow(UniqueConstraintViolationException);
    await orm.em.fork().insert(Notes, { id: 3 });
  });
  expect(await storedIn(database)).toEqual([1, 3]);
});

async function open(database: Database): Promise<{ pool: LifeguardPool; orm: MikroORM }> {
  const { pool, connection } = await openHost(database);
  const driverOptions = mikroOrmOptions(pool, { pg });
  const orm = await MikroORM.init({ entities: [Notes], dbName: connection.database, driverOptions });
  onTestFinished(async () => {
    await orm.close();
    await pool.close({ graceMillis: 0 });
  });
  return { pool, orm };
}
