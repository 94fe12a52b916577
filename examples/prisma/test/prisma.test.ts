import { codesOf, describeLibrary, errorOf, openHost, storedIn } from '@lifeguard/conformance';
import type { LifeguardPool } from '@lifeguard/core';
import { prismaOn } from '@lifeguard/core/orms';
import type { Database } from '@lifeguard/testkit';
import { expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import { PrismaPg } from '@prisma/adapter-pg';
import { fixture } from '../fixture.ts';
import { PrismaClient } from '../generated/client.ts';

describeLibrary(fixture);

test('two requests of one tick never share a statement', async ({ database }) => {
  const { pool, prisma } = await open(database);
  const { note } = prisma;
  const notes: Notes = {
    create: (id) => note.create({ data: { id } }),
    find: (id) => note.findUnique({ where: { id } }),
  };
  expect(await sightsOfTwo(pool, notes)).toEqual([
    [1, undefined],
    [undefined, 2],
  ]);
});

test('two requests of one tick never share a statement of an extended client', async ({ database }) => {
  const { pool, prisma } = await open(database);
  const { note } = prisma.$extends({ query: { note: { findUnique: ({ args, query }) => query(args) } } });
  const notes: Notes = {
    create: (id) => note.create({ data: { id } }),
    find: (id) => note.findUnique({ where: { id } }),
  };
  expect(await sightsOfTwo(pool, notes)).toEqual([
    [1, undefined],
    [undefined, 2],
  ]);
});

test('one request still reads many rows with one statement', async ({ database }) => {
  const { pool, statements, prisma } = await open(database);
  await prisma.note.createMany({ data: [{ id: 1 }, { id: 2 }, { id: 3 }] });
  statements.length = 0;
  const found = await pool.transaction(() =>
    Promise.all([1, 2, 3].map((id) => prisma.note.findUnique({ where: { id } }))),
  );
  expect(found.map((note) => note?.id)).toEqual([1, 2, 3]);
  expect(statements.filter((text) => text.includes('SELECT'))).toHaveLength(1);
});

test('a transaction of an array of queries is a savepoint', async ({ database }) => {
  const { pool, prisma } = await open(database);
  await pool.transaction(async () => {
    await prisma.$transaction([prisma.note.create({ data: { id: 1 } }), prisma.note.create({ data: { id: 2 } })]);
    const twice = [prisma.note.create({ data: { id: 3 } }), prisma.note.create({ data: { id: 1 } })];
    expect(codesOf(await errorOf(prisma.$transaction(twice)))).toContain('P2002');
  });
  expect(await storedIn(database)).toEqual([1, 2]);
});

test("a transaction that Prisma's own limit has ended leaves the one around it at work", async ({ database }) => {
  const { pool, prisma } = await open(database);
  await pool.transaction(async () => {
    await prisma.note.create({ data: { id: 1 } });
    const late = prisma.$transaction(
      async (tx) => {
        await tx.note.create({ data: { id: 2 } });
        await tx.$queryRaw`select 1 as slept from pg_sleep(0.3)`;
        await tx.note.create({ data: { id: 3 } });
      },
      { timeout: 100 },
    );
    expect(codesOf(await errorOf(late))).toContain('P2028');
    await prisma.note.create({ data: { id: 4 } });
  });
  expect(await storedIn(database)).toEqual([1, 4]);
});

interface Opened {
  readonly pool: LifeguardPool;
  readonly prisma: PrismaClient;
  /** What Prisma has sent. */
  readonly statements: string[];
}

async function open(database: Database): Promise<Opened> {
  const { pool, pgPool } = await openHost(database);
  const client = new PrismaClient({ adapter: new PrismaPg(pgPool), log: [{ emit: 'event', level: 'query' }] });
  const statements: string[] = [];
  client.$on('query', ({ query }) => void statements.push(query));
  const prisma = prismaOn(client, pool) as PrismaClient;
  onTestFinished(async () => {
    await prisma.$disconnect();
    await pool.close({ graceMillis: 0 });
  });
  return { pool, prisma, statements };
}

/** What the two requests need of a client, extended or not. */
interface Notes {
  create(id: number): PromiseLike<unknown>;
  find(id: number): PromiseLike<{ readonly id: number } | null>;
}

/** Each writes a row of its own, and in one tick both look for both; none commits. */
async function sightsOfTwo(pool: LifeguardPool, notes: Notes): Promise<(number | undefined)[][]> {
  const bothWrote = Promise.withResolvers<void>();
  let wrote = 0;
  const request = async (me: number): Promise<(number | undefined)[]> => {
    await notes.create(me);
    wrote += 1;
    if (wrote === 2) bothWrote.resolve();
    await bothWrote.promise;
    return (await Promise.all([1, 2].map((id) => notes.find(id)))).map((found) => found?.id);
  };
  const undone = (me: number): Promise<(number | undefined)[]> =>
    pool.transaction(async (tx) => {
      const sights = await request(me);
      await tx.rollback();
      return sights;
    });
  return await Promise.all([undone(1), undone(2)]);
}
