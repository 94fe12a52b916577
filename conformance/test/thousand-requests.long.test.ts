import { dice, expectNothingLeft, planRequest, playAll, type Session, storedIn } from '@lifeguard/conformance';
import { nestable } from '@lifeguard/core/orms';
import { expect, test } from '@lifeguard/testkit/vitest';
import { fixture as databasesPg } from '../../examples/databases-pg/fixture.ts';
import { fixture as drizzle } from '../../examples/drizzle/fixture.ts';
import { fixture as knex } from '../../examples/knex/fixture.ts';
import { fixture as kysely } from '../../examples/kysely/fixture.ts';
import { fixture as mikroOrm } from '../../examples/mikro-orm/fixture.ts';
import { fixture as objection } from '../../examples/objection/fixture.ts';
import { fixture as prisma } from '../../examples/prisma/fixture.ts';
import { fixture as sequelize } from '../../examples/sequelize/fixture.ts';
import { fixture as typeorm } from '../../examples/typeorm/fixture.ts';
import { fixture as zapatos } from '../../examples/zapatos/fixture.ts';
import { openAll } from './sessions.ts';

// Slonik is not among them: it refuses what others begin within its transactions.
const LIBRARIES = [drizzle, kysely, knex, objection, typeorm, sequelize, prisma, mikroOrm, databasesPg, zapatos];
const SEEDS = Array.from({ length: 20 }, (_, index) => index + 1);

test.for(SEEDS)(
  'a thousand requests of ten libraries and seed %i lose and mix up nothing',
  async (seed, { database }) => {
    const { pool, sessions } = await openAll(database, LIBRARIES);
    const marked = sessions.map((session) => nestable(pool, session as Required<Session>, 'transaction'));
    const random = dice(seed);
    const plans = Array.from({ length: 1_000 }, (_, index) => planRequest(index, random));
    await database.query('insert into t (id) values (-1)');
    const { acknowledged, seen, surprises } = await playAll(plans, pool, marked);
    const stored = await storedIn(database);
    expect(stored).toEqual([-1, ...acknowledged]);
    expect([...seen].filter((id) => !stored.includes(id))).toEqual([]);
    expect(surprises).toEqual([]);
    await expectNothingLeft(pool, database);
  },
);
