import { inspect } from 'node:util';
import { waitUntil } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { answerOf, errorOf } from '../server/rig.ts';
import { alike, onBoth, openFacade, openPgPool, withClient } from './peers.ts';

const countsOf = ({ totalCount, idleCount, waitingCount, expiredCount }: pg.Pool): number[] => [
  totalCount,
  idleCount,
  waitingCount,
  expiredCount,
];

describe('counts of a pool', () => {
  test('are those of pg, from the first connection to the last', async ({ database }) => {
    const seen = await alike(
      database,
      async (pgPool) => {
        const counts = [countsOf(pgPool)];
        const [one, other] = [await pgPool.connect(), await pgPool.connect()];
        counts.push(countsOf(pgPool));
        const waiting = [pgPool.connect(), pgPool.query('select 1')];
        await waitUntil(() => pgPool.waitingCount === 2, { what: 'both in the line' });
        counts.push(countsOf(pgPool));
        one.release();
        ((await waiting[0]) as pg.PoolClient).release();
        await waiting[1];
        other.release();
        return [...counts, countsOf(pgPool)];
      },
      { max: 2 },
    );
    expect(seen).toEqual([
      [0, 0, 0, 0],
      [2, 0, 0, 0],
      [2, 0, 2, 0],
      [2, 2, 0, 0],
    ]);
  });

  test('a dial that fails is no connection', async () => {
    const { pgPool } = openFacade({ host: '127.0.0.1', port: 1 }, { acquireTimeoutMillis: 200 });
    await errorOf(pgPool.query('select 1'));
    expect(countsOf(pgPool)).toEqual([0, 0, 0, 0]);
  });
});

describe('what a façade is', () => {
  test('an instance of the very class that was given, with Pool in its name', async ({ database }) => {
    const { pgPool } = openFacade(database.connection);
    expect(pgPool).toBeInstanceOf(pg.Pool);
    expect(pgPool.constructor.name).toContain('Pool');
    expect(Object.getPrototypeOf(pgPool).constructor.name).toContain('Pool');
    for (const foreign of ['_connected', 'numFree', 'numUsed', 'acquire']) expect(foreign in pgPool).toBe(false);
  });

  test('an instance of another class, where that is the one that is given', async ({ database }) => {
    class OtherPool extends pg.Pool {}
    const { pool } = openFacade(database.connection);
    const other = pool.asPgPool({ pg: { Pool: OtherPool } });
    expect(other).toBeInstanceOf(OtherPool);
    expect(await answerOf(other, 'select 7')).toBe(7);
  });

  test('it has the states of a pool, and reads them only', async ({ database }) => {
    const states = await alike(database, async (pgPool) => {
      const before = [pgPool.ending, pgPool.ended];
      await pgPool.query('select 1');
      const ended = pgPool.end();
      const during = pgPool.ending;
      await ended;
      return [...before, during, pgPool.ending, pgPool.ended];
    });
    expect(states).toEqual([false, false, true, true, true]);
  });
});

describe('options of a façade', () => {
  test('name the server and the sizes as those of pg do', async ({ database }) => {
    const { host, port, user, database: name } = database.connection;
    const seen = await alike(
      database,
      async ({ options }) => {
        const { host, port, user, database: name, max, min } = options as pg.PoolConfig;
        return { host, port, user, name, max, min };
      },
      { max: 7, min: 1 },
    );
    expect(seen).toEqual({ host, port, user, name, max: 7, min: 1 });
  });

  test('hide the password from whoever prints or spreads them, and have it', async ({ database }) => {
    const secret = { ...database.connection, password: 'hidden-word' };
    for (const pgPool of [openPgPool(secret), openFacade(secret).pgPool]) {
      expect(pgPool.options.password).toBe('hidden-word');
      expect({ ...pgPool.options }).not.toHaveProperty('password');
      expect(inspect(pgPool, { depth: 9 })).not.toContain('hidden-word');
      expect(JSON.stringify(pgPool.options)).not.toContain('hidden-word');
    }
  });

  test('have the connection string, for whoever opens a client with it', async ({ database }) => {
    const { host, port, user, database: name } = database.connection;
    const connectionString = `postgres://${user}@${host}:${port}/${name}`;
    const { pgPool } = openFacade({ connectionString });
    const client = new pg.Client({ ...pgPool.options });
    await client.connect();
    onTestFinished(() => client.end());
    expect(await answerOf(client, 'select current_database()')).toBe(name);
  });

  test('open another client of the same kind on the same database', async ({ database }) => {
    const seen = await alike(database, async (pgPool) => {
      const { Client, options } = pgPool as unknown as { Client: typeof pg.Client; options: pg.PoolOptions };
      const client = new Client({ ...options });
      await client.connect();
      onTestFinished(() => client.end());
      return [Client === pg.Client, await answerOf(client, 'select current_database()')];
    });
    expect(seen).toEqual([true, database.name]);
  });
});

describe('the end of a façade', () => {
  test('comes when the last client is back, and is told to whoever asked', async ({ database }) => {
    const seen = await alike(database, async (pgPool) => {
      const log: string[] = [];
      const client = await pgPool.connect();
      const ended = pgPool.end().then(() => log.push('ended'));
      log.push(`${await answerOf(client, "select 'still works'")}`);
      client.release();
      await ended;
      return log;
    });
    expect(seen).toEqual(['still works', 'ended']);
  });

  test('is told by callback as well, also when nothing was ever opened', async ({ database }) => {
    const seen = await alike(database, async (pgPool) => {
      const { promise, resolve } = Promise.withResolvers<unknown[]>();
      const returned: unknown = pgPool.end((...told: unknown[]) => resolve(told));
      return [returned, (await promise).filter(Boolean)];
    });
    expect(seen).toEqual([undefined, []]);
  });

  test('cannot come twice: the second one is told so', async ({ database }) => {
    const seen = await alike(database, async (pgPool) => {
      await pgPool.query('select 1');
      await pgPool.end();
      const again = await pgPool.end().then(
        () => 'resolved',
        () => 'rejected',
      );
      const { promise, resolve } = Promise.withResolvers<boolean>();
      (pgPool.end as (callback: (error?: unknown) => void) => void).call(pgPool, (error) =>
        resolve(error instanceof Error),
      );
      return [again, await promise];
    });
    expect(seen).toEqual(['rejected', true]);
  });

  test('leaves nobody anything to use', async ({ database }) => {
    const seen = await alike(database, async (pgPool) => {
      await pgPool.end();
      const { promise, resolve } = Promise.withResolvers<unknown[]>();
      pgPool.connect((error, client) => resolve([error instanceof Error, client]));
      const failed = [await errorOf(pgPool.connect()), await errorOf(pgPool.query('select 1'))];
      return [failed.map((error) => error instanceof Error), await promise];
    });
    expect(seen).toEqual([
      [true, true],
      [true, undefined],
    ]);
  });

  test('ends that façade, and neither the pool nor another façade', async ({ database }) => {
    const { pool, pgPool } = openFacade(database.connection);
    const other = pool.asPgPool({ pg });
    await pgPool.query('select 1');
    await pgPool.end();
    expect(await errorOf(pgPool.query('select 1'))).toMatchObject({ code: 'ERR_LIFEGUARD_POOL_CLOSED' });
    expect(await answerOf(other, 'select 7')).toBe(7);
    expect(await answerOf(pool, 'select 8')).toBe(8);
    expect(pool.snapshot().closed).toEqual({});
  });

  test('the end of the pool ends what its façades can do', async ({ database }) => {
    const { pool, pgPool } = openFacade(database.connection);
    await pgPool.query('select 1');
    await pool.close();
    expect(await errorOf(pgPool.query('select 1'))).toMatchObject({ code: 'ERR_LIFEGUARD_POOL_CLOSED' });
    expect(await errorOf(pgPool.connect())).toMatchObject({ code: 'ERR_LIFEGUARD_POOL_CLOSED' });
    await pgPool.end();
    expect(pgPool.ended).toBe(true);
  });
});

describe('the line before a full pool', () => {
  test('serves who came first, however they asked', async ({ database }) => {
    const served = await alike(
      database,
      async (pgPool) => {
        await pgPool.query('drop sequence if exists turn; create sequence turn');
        const next = "select nextval('turn')::int";
        const holder = await pgPool.connect();
        const ask = [
          () => answerOf(pgPool, next),
          () => withClient(pgPool, (client) => answerOf(client, next)),
          () => answerOf(pgPool, next),
          () => withClient(pgPool, (client) => answerOf(client, next)),
        ];
        const waiters = ask.map((one) => one());
        await waitUntil(() => pgPool.waitingCount === 4, { what: 'all in the line' });
        holder.release();
        return Promise.all(waiters);
      },
      { max: 1 },
    );
    expect(served).toEqual([1, 2, 3, 4]);
  });

  test('tells by promise and by callback that the time is up, where pg has no numbers to tell', async ({
    database,
  }) => {
    const { pool, pgPool } = openFacade(database.connection, { max: 1, acquireTimeoutMillis: 30 });
    await pool.ready();
    const holder = await pgPool.connect();
    const { promise, resolve } = Promise.withResolvers<unknown[]>();
    pgPool.connect((error, client, release) => resolve([error, client, typeof release]));
    const wanted = { code: 'ERR_LIFEGUARD_ACQUIRE_TIMEOUT', message: expect.stringContaining('1 of 1') };
    expect(await errorOf(pgPool.query('select 1'))).toMatchObject(wanted);
    expect(await promise).toMatchObject([wanted, undefined, 'function']);
    holder.release();
  });

  test('an end of the façade lets go those who wait, where in pg they wait for ever', async ({ database }) => {
    const waits = async (pgPool: pg.Pool): Promise<unknown> => {
      const holder = await pgPool.connect();
      let settled = 'never';
      const waiting = pgPool.query('select 1').then(
        () => (settled = 'answered'),
        () => (settled = 'refused'),
      );
      await waitUntil(() => pgPool.waitingCount === 1, { what: 'one in the line' });
      const ended = pgPool.end();
      holder.release();
      await ended;
      await Promise.race([waiting, answerOf(openPgPool(database.connection), 'select 1')]);
      return settled;
    };
    const { theirs, ours } = await onBoth(database, waits, { max: 1 });
    expect(theirs).toBe('never');
    expect(ours).not.toBe('never');
  });
});
