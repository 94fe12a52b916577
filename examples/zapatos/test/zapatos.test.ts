import { codesOf, describeLibrary, errorOf, playedOn } from '@lifeguard/conformance';
import { expect, test } from '@lifeguard/testkit/vitest';
import * as db from 'zapatos/db';
import { fixture } from '../fixture.ts';

describeLibrary(fixture);

test(
  'the level that zapatos always asks for is granted where ours is as strict',
  playedOn(fixture, async ({ pool, pgPool, stored }) => {
    const insert = (id: number): Promise<unknown> =>
      db.readCommitted(pgPool, (tx) => db.sql`insert into t (id) values (${db.param(id)})`.run(tx));
    await pool.transaction(() => insert(1));
    await pool.transaction(() => insert(2), { isolation: 'serializable' });
    expect(await stored()).toEqual([1, 2]);
  }),
);

test(
  'a level above ours is refused with a code',
  playedOn(fixture, async ({ pool, pgPool }) => {
    const error = await errorOf(pool.transaction(() => db.serializable(pgPool, async () => undefined)));
    expect(codesOf(error)).toContainEqual(expect.stringMatching(/^ERR_LIFEGUARD_/));
  }),
);

test(
  'a read-only transaction of zapatos cannot write and what follows it can',
  playedOn(fixture, async ({ pool, pgPool, stored }) => {
    const insert = (id: number, on: db.Queryable): Promise<unknown> =>
      db.sql`insert into t (id) values (${db.param(id)})`.run(on);
    await pool.transaction(async () => {
      const error = await errorOf(db.readCommittedRO(pgPool, (tx) => insert(1, tx)));
      expect(codesOf(error)).toContain('25006');
      await insert(2, pgPool);
    });
    expect(await stored()).toEqual([2]);
  }),
);
