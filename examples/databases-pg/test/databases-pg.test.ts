import { sql } from '@databases/pg';
import { describeLibrary, playedOn } from '@lifeguard/conformance';
import { expect, test } from '@lifeguard/testkit/vitest';
import { fixture, openDatabase } from '../fixture.ts';

describeLibrary(fixture);

test(
  'its own type parsers are in force inside a transaction and outside',
  playedOn(fixture, async (rig) => {
    const db = await openDatabase(rig);
    const read = () => db.query(sql`select 7::int8 as big`);
    expect(await rig.pool.transaction(read)).toEqual([{ big: 7 }]);
    expect(await read()).toEqual([{ big: 7 }]);
    await db.dispose();
  }),
);

test(
  'a task keeps one connection, which is the one of the transaction',
  playedOn(fixture, async (rig) => {
    const db = await openDatabase(rig);
    await rig.pool.transaction(async (tx) => {
      const { rows } = await tx.query('select pg_backend_pid() as pid');
      await db.task(async (task) => {
        expect(await task.query(sql`select pg_backend_pid() as pid`)).toEqual(rows);
      });
    });
    await db.dispose();
  }),
);

test(
  'several statements in one query are one part of the transaction',
  playedOn(fixture, async (rig) => {
    const db = await openDatabase(rig);
    await rig.pool.transaction(() =>
      db.query([sql`insert into t (id) values (1)`, sql`insert into t (id) values (2)`]),
    );
    expect(await rig.stored()).toEqual([1, 2]);
    await db.dispose();
  }),
);
