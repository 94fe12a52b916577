import { codesOf, dice, expectNothingLeft, planRequest, playAll, type Session, storedIn } from '@lifeguard/conformance';
import { nestable } from '@lifeguard/core/orms';
import { expect, test } from '@lifeguard/testkit/vitest';
import { fixture as drizzle } from '../../examples/drizzle/fixture.ts';
import { fixture as knex } from '../../examples/knex/fixture.ts';
import { fixture as prisma } from '../../examples/prisma/fixture.ts';
import { openAll } from './sessions.ts';

const THREE = [drizzle, knex, prisma];

test('a thousand requests of three libraries keep what was acknowledged and nothing else', async ({ database }) => {
  const { pool, sessions } = await openAll(database, THREE);
  const marked = sessions.map((session) => nestable(pool, session as Required<Session>, 'transaction'));
  const random = dice(20_261_121);
  const plans = Array.from({ length: 1_000 }, (_, index) => planRequest(index, random));
  await database.query('insert into t (id) values (-1)');
  const { acknowledged, seen, surprises } = await playAll(plans, pool, marked);
  const stored = await storedIn(database);
  expect(stored).toEqual([-1, ...acknowledged]);
  expect([...seen].filter((id) => !stored.includes(id))).toEqual([]);
  expect(surprises).toEqual([]);
  await expectNothingLeft(pool, database);
}, 120_000);

test('where nothing tells what is within what the doubtful are refused and nothing is lost', async ({ database }) => {
  const { pool, sessions } = await openAll(database, THREE);
  const random = dice(20_261_122);
  const plans = Array.from({ length: 300 }, (_, index) => planRequest(index, random));
  await database.query('insert into t (id) values (-1)');
  const { acknowledged, seen, surprises } = await playAll(plans, pool, sessions);
  const stored = await storedIn(database);
  expect(stored).toEqual([-1, ...acknowledged]);
  expect([...seen].filter((id) => !stored.includes(id))).toEqual([]);
  expect(surprises.filter((error) => !codesOf(error).includes('ERR_LIFEGUARD_INTERLEAVED'))).toEqual([]);
  await expectNothingLeft(pool, database);
}, 120_000);
