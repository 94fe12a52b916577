import { codesOf, describeLibrary, errorOf, playedOn } from '@lifeguard/conformance';
import { expect, test } from '@lifeguard/testkit/vitest';
import { sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { fixture } from '../fixture.ts';

describeLibrary(fixture);

test(
  'an isolation level that a savepoint cannot have is refused',
  playedOn(fixture, async ({ pool, pgPool, stored }) => {
    const db = drizzle({ client: pgPool });
    const serializable = (id: number): Promise<unknown> =>
      db.transaction((tx) => tx.execute(sql`insert into t (id) values (${id})`), { isolationLevel: 'serializable' });
    const error = await errorOf(pool.transaction(() => serializable(1)));
    expect(codesOf(error)).toContainEqual(expect.stringMatching(/^ERR_LIFEGUARD_/));
    await pool.transaction(() => serializable(2), { isolation: 'serializable' });
    expect(await stored()).toEqual([2]);
  }),
);

test(
  'a query begins when it is awaited and belongs to where that is',
  playedOn(fixture, async ({ pool, pgPool, stored }) => {
    const db = drizzle({ client: pgPool });
    let insert: PromiseLike<unknown> | undefined;
    const whole = pool.transaction(async () => {
      insert = db.execute(sql`insert into t (id) values (1)`);
      throw new Error('changed my mind');
    });
    await expect(whole).rejects.toThrow('changed my mind');
    await insert;
    expect(await stored()).toEqual([1]);
  }),
);
