import { codesOf, describeLibrary, errorOf, openHost, storedIn } from '@lifeguard/conformance';
import type { LifeguardPool } from '@lifeguard/core';
import type { Database } from '@lifeguard/testkit';
import { expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import { Kysely, PostgresDialect, sql } from 'kysely';
import Cursor from 'pg-cursor';
import { fixture, type Tables } from '../fixture.ts';

describeLibrary(fixture);

test('the savepoints of a controlled transaction are savepoints within ours', async ({ database }) => {
  const { pool, db } = await open(database);
  await pool.transaction(async () => {
    const tx = await db.startTransaction().execute();
    await tx.insertInto('t').values({ id: 1, note: null }).execute();
    const point = await tx.savepoint('before').execute();
    await point.insertInto('t').values({ id: 2, note: null }).execute();
    await point.rollbackToSavepoint('before').execute();
    await tx.insertInto('t').values({ id: 3, note: null }).execute();
    await tx.commit().execute();
  });
  expect(await storedIn(database)).toEqual([1, 3]);
});

test('a commit that the server turns into a rollback is an error of kysely', async ({ database }) => {
  const { pool, db } = await open(database);
  await pool.transaction(async () => {
    const own = db.transaction().execute(async (tx) => {
      await tx.insertInto('t').values({ id: 1, note: null }).execute();
      await errorOf(sql`select 1 / 0`.execute(tx));
    });
    await expect(own).rejects.toThrow(/rolled back instead of committed/);
    await db.insertInto('t').values({ id: 2, note: null }).execute();
  });
  expect(await storedIn(database)).toEqual([2]);
});

test('an isolation level that a savepoint cannot have is refused', async ({ database }) => {
  const { pool, db } = await open(database);
  const level = 'serializable' as const;
  const error = await errorOf(
    pool.transaction(() =>
      db
        .transaction()
        .setIsolationLevel(level)
        .execute(async () => undefined),
    ),
  );
  expect(codesOf(error)).toContainEqual(expect.stringMatching(/^ERR_LIFEGUARD_/));
  await pool.transaction(
    () =>
      db
        .transaction()
        .setIsolationLevel(level)
        .execute((tx) => tx.insertInto('t').values({ id: 1, note: null }).execute()),
    { isolation: level },
  );
  expect(await storedIn(database)).toEqual([1]);
});

async function open(database: Database): Promise<{ pool: LifeguardPool; db: Kysely<Tables> }> {
  const { pool, pgPool } = await openHost(database);
  onTestFinished(() => pool.close({ graceMillis: 0 }));
  return { pool, db: new Kysely<Tables>({ dialect: new PostgresDialect({ pool: pgPool, cursor: Cursor }) }) };
}
