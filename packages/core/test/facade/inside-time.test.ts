import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { errorOf, pidOf } from '../server/rig.ts';
import { Grace, Moment } from './inside-grace.ts';
import { promised, STYLES } from './inside-library.ts';
import { prepared, put } from './inside-rig.ts';

const conflict = `do $$ begin raise exception 'lost' using errcode = '40001'; end $$`;

describe.for(STYLES)('with a library %s', ([, transact]) => {
  test('a transaction that lost a conflict runs again, the library with it', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const attempts = await pool.transaction(async (tx) => {
      await put(orm, tx.attempt);
      await transact(orm, async (client) => {
        await put(client, tx.attempt + 10);
        if (tx.attempt < 3) await client.query(conflict);
      });
      return tx.attempt;
    });
    expect(attempts).toBe(3);
    expect(await stored()).toEqual([3, 13]);
  });

  test('a deadline ends what runs, and the whole', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const slow = (): Promise<unknown> =>
      transact(orm, (client) => put(client, 1).then(() => client.query('select pg_sleep(60)')));
    expect(await errorOf(pool.transaction(slow, { timeoutMillis: 100 }))).toMatchObject({
      code: 'ERR_LIFEGUARD_DEADLINE',
    });
    expect(await stored()).toEqual([]);
  });

  test('a caller who leaves ends what runs, and the whole', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const caller = new AbortController();
    const left = pool.transaction(
      () =>
        transact(orm, async (client) => {
          await put(client, 1);
          const running = client.query('select pg_sleep(60)');
          await database.waitFor('a sleeping statement', (all) => all.some(({ query }) => query.includes('pg_sleep')));
          caller.abort(new Error('gone'));
          await running;
        }),
      { signal: caller.signal },
    );
    expect(await errorOf(left)).toMatchObject({ code: 'ERR_LIFEGUARD_ABORTED', cause: { message: 'gone' } });
    expect(await stored()).toEqual([]);
  });

  test('a lost connection fails the whole', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const whole = pool.transaction(
      () =>
        transact(orm, async (client) => {
          await put(client, 1);
          await database.query('select pg_terminate_backend($1)', [await pidOf(client)]);
          await put(client, 2);
        }),
      { retry: false },
    );
    expect(await errorOf(whole)).toHaveProperty('code');
    expect(await stored()).toEqual([]);
    await put(orm, 3);
    expect(await stored()).toEqual([3]);
  });
});

describe('a conflict that a library has caught', () => {
  test('in a transaction of its own lets the whole run again where it tells of it', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const attempts: number[] = [];
    await pool.transaction(async (tx) => {
      attempts.push(tx.attempt);
      if (tx.attempt === 1) await promised(orm, (client) => client.query(conflict));
      await put(orm, 1);
    });
    expect(attempts).toEqual([1, 2]);
    expect(await stored()).toEqual([1]);
  });

  test('and tried again by itself is not run again by us', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const attempts = await pool.transaction(async (tx) => {
      await errorOf(promised(orm, (client) => put(client, 1).then(() => client.query(conflict))));
      await promised(orm, (client) => put(client, 2));
      return tx.attempt;
    });
    expect(attempts).toBe(1);
    expect(await stored()).toEqual([2]);
  });
});

describe('time that passes while a library waits', () => {
  test('for its turn ends the wait at the deadline of the whole', async ({ database }) => {
    Grace.held();
    const { pool, orm, stored } = await prepared(database);
    const [begun, never] = [new Moment(), Promise.withResolvers<void>()];
    const whole = pool.transaction(
      async () => {
        const host = promised(orm, (client) =>
          put(client, 1)
            .then(begun.come)
            .then(() => never.promise),
        );
        host.catch(() => undefined);
        await begun.comes();
        await put(orm, 2);
      },
      { timeoutMillis: 150 },
    );
    expect(await errorOf(whole)).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE' });
    never.resolve();
    expect(await stored()).toEqual([]);
  });

  test('for its turn ends the wait at its own limit, and the rest goes on', async ({ database }) => {
    Grace.held();
    const { pool, orm, stored } = await prepared(database);
    const [begun, gate] = [new Moment(), Promise.withResolvers<void>()];
    await pool.transaction(async () => {
      const host = promised(orm, (client) =>
        put(client, 1)
          .then(begun.come)
          .then(() => gate.promise),
      );
      await begun.comes();
      const waiting = orm.query({ text: 'select 1', query_timeout: 50 } as never);
      expect(await errorOf(waiting)).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE', consequence: 'nothing-sent' });
      gate.resolve();
      await host;
      await put(orm, 2);
    });
    expect(await stored()).toEqual([1, 2]);
  });

  test('in a statement with a limit of its own ends that statement', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const whole = pool.transaction(async () => {
      await put(orm, 1);
      const slow = orm.query({ text: 'select pg_sleep(60)', query_timeout: 50 } as never);
      expect(await errorOf(slow)).toMatchObject({ code: expect.stringMatching(/57014|ERR_LIFEGUARD_DEADLINE/) });
      await put(orm, 2);
    });
    await whole;
    expect(await stored()).toEqual([1, 2]);
  });

  test('in a scope bounds statements and transactions of libraries', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const inTime = (work: () => Promise<unknown>): Promise<unknown> => pool.scope({ timeoutMillis: 100 }, work);
    expect(await errorOf(inTime(() => orm.query('select pg_sleep(60)')))).toMatchObject({
      code: 'ERR_LIFEGUARD_DEADLINE',
    });
    const slow = inTime(() =>
      promised(orm, (client) => put(client, 1).then(() => client.query('select pg_sleep(60)'))),
    );
    expect(await errorOf(slow)).toHaveProperty('code');
    expect(await stored()).toEqual([]);
  });
});
