import { AsyncLocalStorage } from 'node:async_hooks';
import { type Database, missing, startPgBouncer, startPostgres, startProxy, waitUntil } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool } from '../../src/index.ts';
import { HELD, hold, known, lanePool, NAME, namesOf, namesUpTo, placeOf, readMany } from './lanes-rig.ts';
import { errorOf, listen, Notes, outcomesOf } from './rig.ts';

describe('the async context of a caller', () => {
  test('is his own after his answer, his error, and his wait in the line', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    await known(pool, 'select 1 / 0');
    const requests = new AsyncLocalStorage<number>();
    const callers = Array.from({ length: 300 }, (_, caller) =>
      requests.run(caller, async () => {
        const text = caller % 3 === 0 ? 'select 1 / 0' : NAME;
        await pool.query(text, caller % 3 === 0 ? [] : [caller]).catch(() => undefined);
        return requests.getStore();
      }),
    );
    expect(await Promise.all(callers)).toEqual(callers.map((_, caller) => caller));
  });

  test('is his own after his lane was lost', async ({ server }) => {
    const proxy = await startProxy(server.connection());
    onTestFinished(() => proxy.close());
    const pool = await lanePool(server, proxy.connection());
    const letGo = await hold(server.connection());
    const requests = new AsyncLocalStorage<number>();
    const callers = Array.from({ length: 100 }, (_, caller) =>
      requests.run(caller, async () => {
        await pool.query(caller === 0 ? HELD : NAME, caller === 0 ? [] : [caller]).catch(() => undefined);
        return requests.getStore();
      }),
    );
    const isHeld = async (): Promise<boolean> =>
      (await server.backends()).some(({ waitEvent }) => waitEvent === 'relation');
    await waitUntil(isHeld, { what: 'the lane to be held up' });
    proxy.resetAll();
    await letGo();
    expect(await Promise.all(callers)).toEqual(callers.map((_, caller) => caller));
  });

  test('is not that in which the events of others on his lane are published', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    const [started, ended] = [listen('lifeguard:statement:started', pool), listen('lifeguard:statement:ended', pool)];
    await Promise.all(['a', 'b', 'c'].map((name) => pool.scope({ name }, (db) => db.query(NAME, [1]))));
    expect([started, ended].map((heard) => heard.map(({ name }) => name))).toEqual([
      ['a', 'b', 'c'],
      ['a', 'b', 'c'],
    ]);
  });

  test('is kept by nobody when his request is over, while his lane lives on', async ({ database }) => {
    const pool = await lanePool(database, database.connection);
    await known(pool, 'select 1 / 0');
    const stores = await Promise.all(Array.from({ length: 20 }, (_, request) => requestOn(pool, request)));
    const areGone = (): boolean => {
      globalThis.gc?.();
      return stores.every((store) => store.deref() === undefined);
    };
    await waitUntil(areGone, { what: 'the stores to be collected' });
    expect(pool.snapshot()).toMatchObject({ lanes: 1, closed: {} });
    expect(await namesOf(readMany(pool, 5))).toEqual(namesUpTo(5));
  });
});

async function requestOn(pool: LifeguardPool, request: number): Promise<WeakRef<object>> {
  const requests = new AsyncLocalStorage<object>();
  const store = { request };
  await requests.run(store, async () => {
    const { signal } = new AbortController();
    await pool.scope({ name: 'request', signal }, (db) => db.query(NAME, [request]));
    await errorOf(pool.query('select 1 / 0', [], { timeoutMillis: 60_000 }));
  });
  return new WeakRef(store);
}

describe('a server that reads backslashes in plain strings', () => {
  test('is asked nothing on a lane, because words cannot be told from strings there', async ({ database }) => {
    const options = '-c standard_conforming_strings=off';
    const pool = await lanePool(database, { ...database.connection, options });
    expect(await placeOf(pool, () => namesOf(readMany(pool, 20)))).toBe('own');
    expect(await placeOf(pool, () => namesOf(readMany(pool, 20, { lane: true })))).toBe('own');
  });
});

describe.skipIf(missing('openssl'))('over TLS', () => {
  test('statements share a connection, each with its own answer', async () => {
    const server = await startPostgres({ ssl: true });
    onTestFinished(() => server.stop());
    const pool = await lanePool(server, { ...server.connection(), ssl: { ca: server.certificate } });
    await known(pool, 'select 1 / 0');
    const failing = errorOf(pool.query('select 1 / 0'));
    const long = pool.query("select repeat('x', 300000) as x", [], { lane: true });
    const reads = async (): Promise<void> => {
      for (let time = 0; time < 6; time += 1) expect(await namesOf(readMany(pool, 60))).toEqual(namesUpTo(60));
    };
    expect(await placeOf(pool, reads)).toBe('lanes');
    expect(((await long).rows[0] as { x: string }).x.length).toBe(300_000);
    expect(await failing).toMatchObject({ code: '22012' });
    await pool.close();
  });
});

describe.skipIf(missing('pgbouncer'))('behind PgBouncer', () => {
  for (const [mode, pooler, place] of [
    ['session', 'pgbouncer-session', 'lanes'],
    ['transaction', 'pgbouncer-transaction', 'own'],
  ] as const) {
    const who = place === 'lanes' ? 'statements' : 'no statements';
    test(`in ${mode} mode ${who} share a connection`, async ({ database }) => {
      const options = { pooler, max: 4, min: 1, logger: new Notes() };
      const pool = await lanePool(database, await bouncerOf(database, mode), options);
      const reads = async (): Promise<void> => expect(await namesOf(readMany(pool, 40))).toEqual(namesUpTo(40));
      for (let time = 0; time < 6; time += 1) expect(await placeOf(pool, reads)).toBe(place);
      expect(await outcomesOf([pool.query('select 1 / 0'), pool.query(NAME, [1])])).toEqual(['22012', 'ok']);
    });
  }

  test('of which the pool was not told it stops sharing when sessions turn out to be shared', async ({ database }) => {
    const pool = await lanePool(database, await bouncerOf(database, 'transaction'), { max: 4, logger: new Notes() });
    const leases = await Promise.all([1, 2, 3].map(() => pool.lease()));
    for (const lease of leases) await lease.query('select 1');
    await Promise.all(leases.map((lease) => lease.release()));
    for (let time = 0; time < 6; time += 1) expect(await namesOf(readMany(pool, 40))).toEqual(namesUpTo(40));
    expect(await placeOf(pool, () => namesOf(readMany(pool, 40)))).toBe('own');
  });

  test('of which no pool was told, pools whose sessions are swapped under their lanes read what they asked for', async ({
    database,
  }) => {
    const bouncer = await bouncerOf(database, 'transaction');
    const options = { max: 2, logger: new Notes() };
    const pools = await Promise.all([1, 2, 3].map(() => lanePool(database, bouncer, options)));
    const read = async (pool: LifeguardPool): Promise<void> => {
      for (let time = 0; time < 15; time += 1) expect(await namesOf(readMany(pool, 30))).toEqual(namesUpTo(30));
    };
    expect(await outcomesOf(pools.map(read))).toEqual(['ok', 'ok', 'ok']);
  });
});

/** With a limit for statements that is in force although a PgBouncer passes none on: else nothing would ever share. */
async function bouncerOf(database: Database, poolMode: 'session' | 'transaction'): Promise<object> {
  await database.query(`alter database ${database.name} set statement_timeout = '30s'`);
  const bouncer = await startPgBouncer({ target: database.connection, poolMode, poolSize: 5 });
  onTestFinished(async () => {
    await bouncer?.stop();
    await database.query(`alter database ${database.name} reset statement_timeout`);
  });
  return bouncer?.connection() ?? {};
}
