import { type FaultProxy, type PostgresServer, startProxy, waitUntil } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, testWithServer } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, PoolOptions } from '../../src/index.ts';
import { answerOf, errorOf, openPool } from './rig.ts';

const test = testWithServer({});
const MAX = 4;

interface World {
  readonly server: PostgresServer;
  readonly proxy: FaultProxy;
  readonly pool: LifeguardPool;
}

async function worldOf(server: PostgresServer, options: PoolOptions = {}): Promise<World> {
  const proxy = await startProxy(server.connection());
  onTestFinished(() => proxy.close());
  return { server, proxy, pool: openPool(proxy.connection(), { max: MAX, ...options }) };
}

function all<T>(ask: () => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: MAX }, ask));
}

/** Statements run on all connections, and then the pool's side of every socket is gone and the server's is not. */
async function orphanAll({ server, pool, proxy }: World, cut: (proxy: FaultProxy) => void): Promise<void> {
  const running = all(() => errorOf(pool.query('select pg_sleep(20)')));
  const isBusy = async (): Promise<boolean> =>
    (await server.backends()).filter(({ query, state }) => state === 'active' && query.includes('pg_sleep')).length >=
    MAX;
  await waitUntil(isBusy, { what: 'all connections to be busy' });
  cut(proxy);
  await running;
}

describe('a session whose end was not seen', () => {
  const CUTS: Readonly<Record<string, (proxy: FaultProxy) => void>> = {
    'its socket was reset': (proxy) => proxy.resetAll(),
    'its cable was cut': (proxy) => proxy.halfOpen('server'),
  };

  for (const [why, cut] of Object.entries(CUTS)) {
    test(`because ${why} is counted until the server has ended it`, async ({ server }) => {
      const world = await worldOf(server);
      let peak = 0;
      for (let round = 0; round < 3; round += 1) {
        await orphanAll(world, cut);
        const answers = all(() => world.pool.query('select 1'));
        peak = Math.max(peak, (await server.backends()).length);
        await answers;
        peak = Math.max(peak, (await server.backends()).length);
      }
      expect(peak).toBeLessThanOrEqual(MAX + 1); // one asks about the others
      await world.pool.close();
      await waitUntil(async () => (await server.backends()).length === 0, { what: 'no session to be left' });
    });
  }

  test('is reported, and its place is free again after the server was asked', async ({ server }) => {
    const world = await worldOf(server, { max: 1 });
    await world.pool.query('select 1');
    world.proxy.halfOpen('server');
    await waitUntil(() => world.pool.snapshot().closed.lost === 1, { what: 'the loss to be noticed' });
    expect(await answerOf<number>(world.pool, 'select 1')).toBe(1);
    expect(world.pool.snapshot()).toMatchObject({ size: 1, overdue: 0, closed: { lost: 1 } });
  });
});

describe('an onConnect hook that fails', () => {
  test('on a peer that has vanished costs its place for no longer than it takes to ask', async ({ server }) => {
    let failures = 0;
    const world: World = await worldOf(server, {
      max: 1,
      closeTimeoutMillis: 200,
      onConnect: () => {
        failures += 1;
        if (failures > 1) return;
        world.proxy.halfOpen('client');
        throw new Error('gave up');
      },
    });
    await errorOf(world.pool.query('select 1', [], { timeoutMillis: 100 }));
    await waitUntil(() => world.pool.query('select 1').then(Boolean, () => false), { what: 'the pool to work again' });
    expect(world.pool.snapshot().closed).toMatchObject({ 'hook-failed': 1 });
  });
});

/** Whoever logs in under this name is kept waiting, inside a session that exists already. */
const SLOW = `create function slow() returns event_trigger language plpgsql as $$
 begin if current_setting('application_name') = 'slow' then perform pg_sleep(20); end if; end $$;
 create event trigger slow_login on login execute function slow()`;

describe('a login that was given up', () => {
  test('is counted until the server has let go of it', async ({ server }) => {
    await server.query(SLOW);
    const limits = { connectionTimeoutMillis: 100, acquireTimeoutMillis: 2_000, closeTimeoutMillis: 10_000 };
    const { pool } = await worldOf(server, { max: 2, startup: 'wait', application_name: 'slow', ...limits });
    const answer = errorOf(pool.query('select 1'));
    let peak = 0;
    await waitUntil(
      async () => {
        peak = Math.max(peak, (await server.backends({ applicationName: 'slow' })).length);
        return pool.snapshot().timeouts === 1;
      },
      { what: 'the caller to give up' },
    );
    expect(await answer).toMatchObject({ code: 'ERR_LIFEGUARD_ACQUIRE_TIMEOUT' });
    expect(peak).toBeGreaterThan(0);
    expect(peak).toBeLessThanOrEqual(2);
  });
});
