import { expectNothingLeft, storedIn } from '@lifeguard/conformance';
import { expect, test } from '@lifeguard/testkit/vitest';
import { fixture as drizzle } from '../../examples/drizzle/fixture.ts';
import { fixture as knex } from '../../examples/knex/fixture.ts';
import { fixture as prisma } from '../../examples/prisma/fixture.ts';
import { openAll } from './sessions.ts';

const THREE = [drizzle, knex, prisma];

test('three libraries in one transaction see the rows of each other', async ({ database }) => {
  const { pool, sessions } = await openAll(database, THREE);
  await pool.transaction(async () => {
    for (const [index, session] of sessions.entries()) await session.insert(index);
    for (const session of sessions) expect(await session.ids()).toEqual([0, 1, 2]);
  });
  expect(await storedIn(database)).toEqual([0, 1, 2]);
  await expectNothingLeft(pool, database);
});

test('what three libraries did together is undone together', async ({ database }) => {
  const { pool, sessions } = await openAll(database, THREE);
  const whole = pool.transaction(async () => {
    for (const [index, session] of sessions.entries()) await session.transaction?.((tx) => tx.insert(index));
    throw new Error('changed my mind');
  });
  await expect(whole).rejects.toThrow('changed my mind');
  expect(await storedIn(database)).toEqual([]);
});

test('own transactions of three libraries side by side lose nothing', async ({ database }) => {
  const { pool, sessions } = await openAll(database, THREE);
  const ids = Array.from({ length: 30 }, (_, index) => index);
  await pool.transaction(() =>
    Promise.allSettled(
      ids.map((id) =>
        sessions[id % 3]?.transaction?.(async (tx) => {
          await tx.insert(id);
          if (id % 5 === 0) throw new Error('changed my mind');
        }),
      ),
    ),
  );
  expect(await storedIn(database)).toEqual(ids.filter((id) => id % 5 !== 0));
  await expectNothingLeft(pool, database);
});
