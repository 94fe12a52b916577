import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type pg from 'pg';
import { answerOf, errorOf } from '../server/rig.ts';
import { Grace, Moment } from './inside-grace.ts';
import { promised } from './inside-library.ts';
import { Mine, prepared, put, undone } from './inside-rig.ts';

/** What a whole rejects with that would have lost what somebody was told is done. */
const INTERLEAVED = { code: 'ERR_LIFEGUARD_ROLLED_BACK', cause: { code: 'ERR_LIFEGUARD_INTERLEAVED' } };

/** A library's transaction that has written, and then waits for something that is no statement. */
function pausing(
  orm: pg.Pool,
  id: number,
): { done: Promise<unknown>; quiet: Moment; goOn: () => void; fail: () => void } {
  const [quiet, end] = [new Moment(), Promise.withResolvers<void>()];
  const done = promised(orm, async (client) => {
    await put(client, id);
    quiet.come();
    await end.promise;
    await put(client, id + 100);
  });
  return { done, quiet, goOn: () => end.resolve(), fail: () => end.reject(new Mine()) };
}

describe('a library that is quiet inside its transaction', () => {
  test('keeps others waiting until the grace has passed', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    const log: string[] = [];
    await pool.transaction(async () => {
      const host = pausing(orm, 1);
      await host.quiet.comes();
      const guest = put(orm, 2).then(() => log.push('guest'));
      await grace.passes();
      await guest;
      log.push('host');
      host.goOn();
      await host.done;
    });
    expect(log).toEqual(['guest', 'host']);
    expect(await stored()).toEqual([1, 2, 101]);
  });

  test('may ask others to begin transactions, which are nested in it', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const whole = promised(orm, async (client) => {
        await put(client, 1);
        await promised(orm, (inner) => put(inner, 2));
        await undone((fail) => promised(orm, (inner) => put(inner, 3).then(fail)));
        await put(client, 4);
      });
      await grace.passes();
      await grace.passes();
      await whole;
    });
    expect(await stored()).toEqual([1, 2, 4]);
  });

  test('may have guests of guests, as deep as they come', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    const nested = async (depth: number): Promise<unknown> =>
      promised(orm, async (client) => {
        await put(client, depth);
        if (depth < 4) await nested(depth + 1);
        await put(client, depth + 100);
      });
    await pool.transaction(async () => {
      await grace.passesFor(nested(1));
    });
    expect(await stored()).toEqual([1, 2, 3, 4, 101, 102, 103, 104]);
  });

  test('is joined by handles and transactions of ours as well', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async (tx) => {
      const whole = promised(orm, async (client) => {
        await put(client, 1);
        await put(tx, 2);
        await tx.batch(['insert into item values (3)']);
        await tx.transaction((nested) => put(nested, 4));
        await undone((fail) => tx.transaction((nested) => put(nested, 5).then(fail)));
        await put(client, 6);
      });
      for (const _ of [2, 3, 4, 5]) await grace.passes();
      await whole;
    });
    expect(await stored()).toEqual([1, 2, 3, 4, 6]);
  });

  test('is not poisoned by a guest that fails', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async (tx) => {
      const whole = promised(orm, async (client) => {
        await put(client, 1);
        expect(await errorOf(put(orm, 1))).toMatchObject({ code: '23505' });
        expect(await errorOf(promised(orm, (inner) => put(inner, 1)))).toMatchObject({ code: '23505' });
        expect(await errorOf(put(tx, 1))).toMatchObject({ code: '23505' });
        const limited = tx.query('insert into item values (1)', [], { timeoutMillis: 60_000 });
        expect(await errorOf(limited)).toMatchObject({ code: '23505' });
        await put(client, 2);
      });
      for (const _ of [1, 2, 3, 4]) await grace.passes();
      await whole;
    });
    expect(await stored()).toEqual([1, 2]);
  });

  test('lets in first who came while it was quiet', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    const log: string[] = [];
    await pool.transaction(async () => {
      const siblings: Promise<unknown>[] = [];
      const host = promised(orm, async (client) => {
        siblings.push(put(orm, 2).then(() => log.push('sibling')));
        await put(client, 1);
        await put(orm, 3);
        log.push('called from inside');
      });
      await grace.passes();
      await host;
      log.push('end');
      await Promise.all(siblings);
    });
    expect(log.indexOf('called from inside')).toBeLessThan(log.indexOf('end'));
    expect(log[0]).toBe('called from inside');
    expect(await stored()).toEqual([1, 2, 3]);
  });
});

describe('a library that rolls back over a guest', () => {
  test('who was told that its statement is done makes the whole fail', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    const whole = pool.transaction(async () => {
      const host = pausing(orm, 1);
      await host.quiet.comes();
      const guest = put(orm, 2);
      await grace.passes();
      await guest;
      host.fail();
      await expect(host.done).rejects.toBeInstanceOf(Mine);
    });
    expect(await errorOf(whole)).toMatchObject(INTERLEAVED);
    expect(await stored()).toEqual([]);
  });

  test('whose transaction it had let in makes the whole fail', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    const whole = pool.transaction(async () => {
      const host = pausing(orm, 1);
      await host.quiet.comes();
      const guest = promised(orm, (client) => put(client, 2));
      await grace.passes();
      await guest;
      host.fail();
      await errorOf(host.done);
      await put(orm, 3);
    });
    expect(await errorOf(whole)).toMatchObject(INTERLEAVED);
    expect(await stored()).toEqual([]);
  });

  test('deep inside makes the whole fail, also when all between have committed', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    const whole = pool.transaction(async () => {
      const host = pausing(orm, 1);
      await host.quiet.comes();
      const between = promised(orm, (client) => put(client, 2).then(() => promised(orm, (inner) => put(inner, 3))));
      await grace.passesFor(between);
      host.fail();
      await errorOf(host.done);
    });
    expect(await errorOf(whole)).toMatchObject(INTERLEAVED);
    expect(await stored()).toEqual([]);
  });

  test('in a nested transaction fails that one, and the rest may go on', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async (tx) => {
      await put(orm, 1);
      const nested = tx.transaction(async () => {
        const host = pausing(orm, 2);
        await host.quiet.comes();
        const guest = put(orm, 3);
        await grace.passes();
        await guest;
        host.fail();
        await errorOf(host.done);
      });
      expect(await errorOf(nested)).toMatchObject(INTERLEAVED);
      await put(orm, 4);
    });
    expect(await stored()).toEqual([1, 4]);
  });

  test('who only read, or had failed, or rolled back itself, harms nobody', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const host = pausing(orm, 1);
      await host.quiet.comes();
      const guests = [answerOf(orm, 'select count(*)::int from item'), errorOf(put(orm, 1))];
      guests.push(undone((fail) => promised(orm, (client) => put(client, 2).then(fail))));
      for (const guest of guests) {
        await grace.passes();
        await guest;
      }
      host.fail();
      await errorOf(host.done);
      await put(orm, 3);
    });
    expect(await stored()).toEqual([3]);
  });

  test('because its server said no makes the whole fail as well', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    const whole = pool.transaction(async () => {
      const host = promised(orm, async (client) => {
        await put(client, 1);
        await put(orm, 2);
        await put(client, 1);
      });
      await grace.passes();
      expect(await errorOf(host)).toMatchObject({ code: '23505' });
    });
    expect(await errorOf(whole)).toMatchObject(INTERLEAVED);
    expect(await stored()).toEqual([]);
  });
});

describe('a library that commits while a guest is inside', () => {
  test('waits for the guest, and both are kept', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const host = pausing(orm, 1);
      await host.quiet.comes();
      const guest = pausing(orm, 2);
      await grace.passes();
      await guest.quiet.comes();
      guest.goOn();
      host.goOn();
      await Promise.all([host.done, guest.done]);
    });
    expect(await stored()).toEqual([1, 2, 101, 102]);
  });

  test('waits with its last statements for a guest that only pauses, and both are right', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    const whole = pool.transaction(async () => {
      const host = pausing(orm, 1);
      await host.quiet.comes();
      const guest = pausing(orm, 2);
      await grace.passes();
      await guest.quiet.comes();
      host.goOn();
      await grace.passes();
      guest.goOn();
      await Promise.all([host.done, guest.done]);
    });
    await whole;
    expect(await stored()).toEqual([1, 2, 101, 102]);
  });
});
