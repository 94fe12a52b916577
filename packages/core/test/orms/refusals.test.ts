import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import type { LifeguardPool } from '../../src/index.ts';
import {
  databasesOn,
  type HookOptions,
  mikroOrmOptions,
  nestable,
  prismaOn,
  sequelizeOn,
  slonikOptions,
  typeormDriver,
} from '../../src/orms/index.ts';
import { ON, prismaLike, sequelizeLike, silentPool } from './doctored.ts';
import { slonikLike } from './slonik-like.ts';

/** Each hook with what it takes beside the pool. */
type Use = (pool: LifeguardPool, options: never) => unknown;
const HOOKS: Readonly<Record<string, Use>> = {
  sequelizeOn: (pool, options) => sequelizeOn(sequelizeLike(), pool, options),
  slonikOptions: (pool, options) =>
    slonikOptions(pool, options && { slonik: slonikLike(), ...(options as HookOptions) }),
  databasesOn: (pool, options) => databasesOn({} as never, pool, options),
  mikroOrmOptions: (pool, options) => mikroOrmOptions(pool, options),
  typeormDriver: (pool, options) => typeormDriver(pool, options),
  prismaOn: (pool) => prismaOn(prismaLike(), pool),
  nestable: (pool) => nestable(pool, { work: async () => 1 }, 'work'),
};
const WITH_PG = Object.entries(HOOKS).filter(([name]) => !/^(prismaOn|nestable)$/.test(name));

/** What it says, whether it throws or rejects. */
async function refusalOf(use: () => unknown): Promise<string> {
  try {
    await use();
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_OPTION' });
    return (error as Error).message;
  }
  throw new Error('It was not refused');
}

const NO_POOLS: readonly (readonly [string, () => unknown])[] = [
  ['undefined', () => undefined],
  ['null', () => null],
  ['a pg.Pool', () => new pg.Pool()],
  ['a façade', () => silentPool().asPgPool({ pg })],
  ['options of a pool', () => ({ max: 10 })],
];

describe.for(Object.entries(HOOKS))('%s()', ([name, use]) => {
  test.for(NO_POOLS)('refuses %s in the place of the pool', async ([, make]) => {
    const message = await refusalOf(() => use(make() as never, { pg } as never));
    expect(message).toBe(
      `${name}() changed nothing: it takes the pool that createPool() answers with, and makes a pg.Pool of it by itself.`,
    );
  });
});

describe.for(WITH_PG)('%s()', ([name, use]) => {
  test.for([
    ['no options', undefined, /it needs the package pg/],
    ['no pg', {}, /import pg from "pg"/],
    ['the Pool in the place of the package', { pg: pg.Pool }, /import pg from "pg"/],
    ['a word that is nearly right', { pg, isolateStatement: false }, /isolateStatement/],
    ['type parsers, which the library has', { pg, types: pg.types }, /types/],
  ] as const)('refuses %s, and says what it takes', async ([, options, said]) => {
    const message = await refusalOf(() => use(silentPool(), options as never));
    expect(message).toMatch(said);
    expect(message).toContain(`${name}() changed nothing: `);
  });
});

const PARTS = { tx: async (): Promise<void> => undefined, dispose: async (): Promise<void> => undefined };

describe.for([
  ['sequelizeOn', 'undefined', undefined, /it takes a Sequelize/],
  ['sequelizeOn', 'an object', {}, /it takes a Sequelize/],
  ['sequelizeOn', 'another version', sequelizeLike({ version: '7.0.0' }), /6\.37\.x; this is 7\.0\.0\. Use Sequelize/],
  ['sequelizeOn', 'an older version', sequelizeLike({ version: '6.3.7' }), /6\.37\.x; this is 6\.3\.7/],
  ['sequelizeOn', 'another dialect', sequelizeLike({ getDialect: () => 'mysql' }), /dialect is "mysql"/],
  ['sequelizeOn', 'pg-native', sequelizeLike({ config: { native: true } }), /"native"/],
  ['sequelizeOn', 'replication', sequelizeLike({ config: { replication: {} } }), /"replication"/],
  ['sequelizeOn', 'another manager', sequelizeLike({ connectionManager: {} }), /connectionManager/],
  ['prismaOn', 'undefined', undefined, /it takes a PrismaClient/],
  ['prismaOn', 'an object', {}, /it takes a PrismaClient/],
  ['prismaOn', 'another version', prismaLike({ _clientVersion: '7.11.0' }), /7\.10\.x; this is 7\.11\.0\. Use Prisma/],
  ['prismaOn', 'a longer number', prismaLike({ _clientVersion: '7.100.0' }), /this is 7\.100\.0/],
  ['prismaOn', 'another handler', prismaLike({ _requestHandler: {} }), /_requestHandler/],
  ['prismaOn', 'a pool of the adapter', prismaLike({ _engineConfig: { adapter: { externalPool: null } } }), /PrismaPg/],
  ['databasesOn', 'undefined', undefined, /it takes what createConnectionPool\(\)/],
  ['databasesOn', 'a pool of pg', new pg.Pool(), /it takes what createConnectionPool\(\)/],
  ['databasesOn', 'another pool inside', PARTS, /its _pool is not .* 6\.1/],
  ['databasesOn', 'no types inside', { ...PARTS, _pool: new pg.Pool() }, /its _pool is not/],
] as const)('%s()', ([name, what, library, said]) => {
  test(`refuses ${what} where the library should be`, async () => {
    expect(await refusalOf(() => ON[name]?.(library as never, silentPool()))).toMatch(said);
  });
});

describe('a library that works with one pool', () => {
  test.for([
    ['sequelizeOn', sequelizeLike],
    ['prismaOn', prismaLike],
  ] as const)('is refused to another one by %s()', async ([name, make]) => {
    const library = make() as never;
    await ON[name]?.(library, silentPool('shop'));
    const message = await refusalOf(() => ON[name]?.(library, silentPool('reports')));
    expect(message).toContain('works with the pool "shop" already; make another one for "reports"');
  });
});

describe('slonikOptions()', () => {
  test.for([
    ['nothing', undefined, /import \* as slonik/],
    ['its function', () => undefined, /import \* as slonik/],
    ['a version without its errors', { createDriverFactory: () => undefined }, /slonik has no Backend.* as 49 has/],
  ] as const)('refuses %s in the place of slonik', async ([, slonik, said]) => {
    expect(await refusalOf(() => slonikOptions(silentPool(), { pg, slonik: slonik as never }))).toMatch(said);
  });

  test('refuses what is no class in the place of QueryStream', async () => {
    const options = { pg, slonik: slonikLike(), QueryStream: 'pg-query-stream' as never };
    expect(await refusalOf(() => slonikOptions(silentPool(), options))).toMatch(/import QueryStream/);
  });
});

describe('mikroOrmOptions()', () => {
  test('refuses another kind of pool than pg has', async () => {
    const { onPoolCreated } = mikroOrmOptions(silentPool(), { pg });
    expect(await refusalOf(() => onPoolCreated({} as never))).toMatch(/another kind of pool than pg\.Pool/);
  });
});

describe('nestable()', () => {
  const library = { work: async () => 1, name: 'x' };
  test.for([
    ['no object', undefined, 'work', /not undefined/],
    ['a text', 'library', 'work', /not string/],
    ['no methods', library, undefined, /no names of methods/],
    ['a method that is not there', library, 'worck', /there is no method "worck"/],
    ['what is no method', library, 'name', /there is no method "name"/],
    ['a frozen object', Object.freeze({ ...library }), 'work', /"work" cannot be replaced.*\{ \.\.\.library \}/],
  ] as const)('refuses %s, and says why', async ([, object, method, said]) => {
    const names = (method === undefined ? [] : [method]) as never;
    expect(await refusalOf(() => nestable(silentPool(), object as never, ...(names as [never])))).toMatch(said);
  });

  test('wraps none of its methods where it refuses one', async () => {
    const object = { first: async () => 1, second: 2 };
    const { first } = object;
    await refusalOf(() => nestable(silentPool(), object, 'first', 'second' as never));
    expect(object.first).toBe(first);
  });

  test('rejects a call that answers with no promise, and says what to wrap', async () => {
    const builder = { transaction: () => ({ execute: async () => 1 }) };
    const wrapped = nestable(silentPool(), builder, 'transaction' as never);
    await expect(wrapped.transaction()).rejects.toMatchObject({
      code: 'ERR_LIFEGUARD_ARGUMENT',
      message: expect.stringContaining('"transaction" was given to nestable(), and answers with no promise'),
    });
  });
});
