import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { createPool } from '../../src/index.ts';
import { nestable, prismaOn } from '../../src/orms/index.ts';
import { prismaLike, silentPool } from './doctored.ts';

describe('a PrismaClient on our pool', () => {
  test('is the same object, also the second time', () => {
    const pool = silentPool();
    const prisma = prismaLike();
    expect(prismaOn(prisma, pool)).toBe(prisma);
    const { request } = prisma.loader;
    expect(prismaOn(prisma, pool)).toBe(prisma);
    expect(prisma.loader.request).toBe(request);
  });

  test('is hooked with those that were made of it', () => {
    const pool = silentPool();
    const prisma = prismaLike();
    const extended = Object.create(prisma) as typeof prisma;
    prismaOn(prisma, pool);
    const { request } = prisma.loader;
    expect(prismaOn(extended, pool).loader.request).toBe(request);
  });

  test('asks together what one transaction asks in one tick, and apart what two do', async () => {
    const pool = silentPool();
    const { loader, answered } = prismaOn(prismaLike(), pool);
    const ask = (...requests: number[]): Promise<unknown> =>
      pool.transaction(() => Promise.all(requests.map((request) => loader.request(request))));
    expect(await Promise.all([ask(1, 2), ask(3, 4)])).toEqual([
      [1, 2],
      [3, 4],
    ]);
    expect(answered).toEqual([
      [1, 2],
      [3, 4],
    ]);
  });

  test('asks apart what two scopes ask in one tick, and what nobody asks', async () => {
    const pool = silentPool();
    const { loader, answered } = prismaOn(prismaLike(), pool);
    const ask = (request: string): Promise<unknown> => pool.scope({ name: request }, () => loader.request(request));
    await Promise.all([ask('a'), ask('b'), loader.request('none'), loader.request('none either')]);
    expect(answered).toEqual([['a'], ['b'], ['none', 'none either']]);
  });

  test('asks apart what two marked calls of a library ask in one transaction', async () => {
    const pool = silentPool();
    const { loader, answered } = prismaOn(prismaLike(), pool);
    const library = nestable(pool, { transaction: async (fn: () => Promise<unknown>) => fn() }, 'transaction');
    const ask = (request: string): Promise<unknown> => library.transaction(() => loader.request(request));
    await pool.transaction(() => Promise.all([ask('a'), ask('b'), loader.request('beside')]));
    expect(answered).toEqual([['a'], ['b'], ['beside']]);
  });

  test('asks together where there is no ambient context to tell them apart', async () => {
    const pool = createPool({ host: '127.0.0.1', port: 1, mode: 'explicit' });
    const { loader, answered } = prismaOn(prismaLike(), pool);
    const ask = (request: number): Promise<unknown> => pool.transaction(() => loader.request(request));
    await Promise.all([ask(1), ask(2)]);
    expect(answered).toEqual([[1, 2]]);
    await pool.close({ graceMillis: 0 });
  });
});
