import { describeLibrary, openHost, storedIn } from '@lifeguard/conformance';
import type { LifeguardPool } from '@lifeguard/core';
import { slonikOptions } from '@lifeguard/core/orms';
import type { Database } from '@lifeguard/testkit';
import { expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import QueryStream from 'pg-query-stream';
import * as slonik from 'slonik';
import { fixture } from '../fixture.ts';

describeLibrary(fixture);

const { sql } = slonik;

test('its own type parsers are in force inside a transaction and outside', async ({ database }) => {
  const { pool, db } = await open(database);
  const read = () =>
    db.one(
      sql.unsafe`select date '2020-01-02' as day, interval '1 day' as span, 7::int8 as big, '{1.5}'::numeric[] as list`,
    );
  const expected = { day: '2020-01-02', span: 86_400, big: 7n, list: [1.5] };
  expect(await pool.transaction(read)).toEqual(expected);
  expect(await read()).toEqual(expected);
});

test('its errors stay its own inside a transaction', async ({ database }) => {
  const { pool, db } = await open(database);
  await pool.transaction(async () => {
    await db.query(sql.unsafe`insert into t (id) values (1)`);
    const twice = db.query(sql.unsafe`insert into t (id) values (1)`);
    await expect(twice).rejects.toThrow(slonik.UniqueIntegrityConstraintViolationError);
    await expect(db.query(sql.unsafe`insert into t (id) values (null)`)).rejects.toThrow(
      slonik.NotNullIntegrityConstraintViolationError,
    );
  });
  expect(await storedIn(database)).toEqual([1]);
});

test('a stream of slonik reads its rows inside a transaction and outside', async ({ database }) => {
  const { pool, db } = await open(database);
  const count = async (): Promise<number> => {
    let rows = 0;
    await db.stream(sql.unsafe`select n from generate_series(1, 250) as n`, (stream) => {
      stream.on('data', () => {
        rows += 1;
      });
    });
    return rows;
  };
  expect(await pool.transaction(count)).toBe(250);
  expect(await count()).toBe(250);
});

test('what slonik holds and what the pool holds do not wait for each other', async ({ database }) => {
  const { pool, db } = await open(database, 1);
  const ids = Array.from({ length: 30 }, (_, index) => index);
  await Promise.all(ids.map((id) => pool.transaction(() => db.query(sql.unsafe`insert into t (id) values (${id})`))));
  expect(await storedIn(database)).toEqual(ids);
});

async function open(database: Database, max = 3): Promise<{ pool: LifeguardPool; db: slonik.DatabasePool }> {
  const { pool } = await openHost(database, { max });
  const db = await slonik.createPool('postgres://', slonikOptions(pool, { pg, slonik, QueryStream }));
  onTestFinished(async () => {
    await db.end();
    await pool.close({ graceMillis: 0 });
  });
  return { pool, db };
}
