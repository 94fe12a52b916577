import diagnostics from 'node:diagnostics_channel';
import { Socket } from 'node:net';
import { startProxy, waitUntil } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool } from '../../src/index.ts';
import { accidents, answerOf, errorOf, listen, openPool, outcomesOf, pidOf } from './rig.ts';

type End = (pid: number, world: World) => unknown;

/** Ways in which a connection ends without being asked to. */
const ENDS: Readonly<Record<string, { how: End; cause: object }>> = {
  'is terminated': {
    how: (pid, { server }) => server.query('select pg_terminate_backend($1)', [pid]),
    cause: { code: '57P01' },
  },
  'is killed': { how: (pid, { server }) => server.killBackend(pid), cause: { message: /terminated|ECONNRESET/ } },
  'is ended by the crash of another': {
    how: async (_, { server }) => {
      const victim = openPool(server.connection(), { max: 1 });
      server.killBackend(await pidOf(victim));
    },
    cause: { code: '57P02' },
  },
  'is reset by the network': { how: (_, { proxy }) => proxy.resetAll(), cause: { code: 'ECONNRESET' } },
  'is ended by a fast restart': { how: (_, { server }) => server.restart('fast'), cause: { code: '57P01' } },
  'is ended by an immediate restart': { how: (_, { server }) => server.restart('immediate'), cause: { code: '57P01' } },
};

describe('a connection that ends', () => {
  for (const [what, { how }] of Object.entries(ENDS)) {
    test(`idle because it ${what} is replaced without a word`, async ({ server }) => {
      const world = await worldOf(server);
      const before = await pidOf(world.pool);
      await how(before, world);
      await waitUntil(() => world.pool.snapshot().closed.lost === 1, { what: 'the loss' });
      expect(await pidOf(world.pool)).not.toBe(before);
      await allIsWell(world);
    });

    test(`between two statements because it ${what} fails the next one, which was not sent`, async ({ server }) => {
      const world = await worldOf(server);
      const lease = await world.pool.lease();
      const lost = listen('lifeguard:pool:closing', world.pool);
      await how(await pidOf(lease), world);
      await waitUntil(
        () =>
          lease.query('select 1').then(
            () => false,
            () => true,
          ),
        { what: 'the loss' },
      );
      const error = await errorOf(lease.query('select 1'));
      expect(error).toMatchObject({
        code: 'ERR_LIFEGUARD_CONNECTION_LOST',
        consequence: 'nothing-sent',
        retryable: true,
      });
      expect(error.cause).toBeInstanceOf(Error);
      await lease.release();
      expect(lost).toMatchObject([{ reason: 'lost' }]);
      await allIsWell(world);
    });

    test(`during a statement because it ${what} says that it may have run`, async ({ server }) => {
      const world = await worldOf(server);
      const lease = await world.pool.lease();
      const before = await pidOf(lease);
      const running = errorOf(lease.query('select pg_sleep(30)'));
      await waitUntil(async () => (await server.backends()).some(({ state }) => state === 'active'), {
        what: 'it to run',
      });
      await how(before, world);
      const error = await running;
      expect(error).toMatchObject({
        code: 'ERR_LIFEGUARD_CONNECTION_LOST',
        consequence: 'may-have-run',
        retryable: false,
      });
      expect(error.cause).toMatchObject({ message: expect.any(String) });
      await lease.release();
      await allIsWell(world);
    });
  }

  test('during its reset is closed and replaced', async ({ server }) => {
    const world = await worldOf(server);
    const lease = await world.pool.lease();
    await lease.query("set app.t = 'a'");
    const before = await pidOf(lease);
    world.proxy.set({ latencyMillis: 50 });
    await lease.release();
    world.proxy.resetAll();
    world.proxy.heal();
    expect(await pidOf(world.pool)).not.toBe(before);
    expect(world.pool.snapshot().closed).toEqual({ 'clean-failed': 1 });
    await allIsWell(world);
  });

  test('during the login fails no caller who can wait', async ({ server }) => {
    const world = await worldOf(server);
    world.proxy.set({ latencyMillis: 60 });
    const asked = pidOf(world.pool);
    await waitUntil(() => world.proxy.counts().open === 1, { what: 'the dial' });
    world.proxy.resetAll();
    world.proxy.heal();
    expect(await asked).toBeGreaterThan(0);
    expect(world.pool.snapshot().failedDials).toBe(1);
    await allIsWell(world);
  });

  test('while it is being closed is gone for good', async ({ server }) => {
    const world = await worldOf(server);
    const lease = await world.pool.lease();
    await pidOf(lease);
    world.proxy.set({ latencyMillis: 60 });
    await lease.discard('unfit');
    world.proxy.resetAll();
    world.proxy.heal();
    await waitUntil(() => world.pool.snapshot().size === 0, { what: 'the slot to be free' });
    await allIsWell(world);
  });

  test('in the middle of a row fails its statement and no other', async ({ server }) => {
    const world = await worldOf(server);
    const running = errorOf(world.pool.query("select repeat('x', 1000000) from generate_series(1, 20)"));
    world.proxy.set({ bytesPerSecond: 1_000_000 });
    await waitUntil(() => world.proxy.counts().toClient.bytes > 100_000, { what: 'some of the rows' });
    world.proxy.resetAll();
    world.proxy.heal();
    expect(await running).toMatchObject({ code: 'ERR_LIFEGUARD_CONNECTION_LOST', consequence: 'may-have-run' });
    await allIsWell(world);
  });

  test('byte by byte answers as any other does', async ({ server }) => {
    const world = await worldOf(server);
    world.proxy.set({ sliced: true });
    expect((await world.pool.query('select $1::text as x', ['é'])).rows).toEqual([{ x: 'é' }]);
    expect(await errorOf(world.pool.query('select 1/0'))).toMatchObject({ code: '22012' });
    await allIsWell(world);
  });
});

test('a crash of another backend is told by the notice that came with it', async ({ server }) => {
  const world = await worldOf(server);
  const lease = await world.pool.lease();
  await pidOf(lease);
  const running = errorOf(lease.query('select pg_sleep(30)'));
  await waitUntil(async () => (await server.backends()).some(({ state }) => state === 'active'), { what: 'it to run' });
  await ENDS['is ended by the crash of another']?.how(0, world);
  expect((await running).cause).toMatchObject({ code: '57P02' });
  await lease.release();
  await allIsWell(world);
});

describe('a connection that ends in the moment it is lent', () => {
  for (const [times, outcome, retries] of [
    [1, 'ok', 1],
    [2, 'ok', 2],
    [3, 'ERR_LIFEGUARD_CONNECTION_LOST', 2],
  ] as const) {
    test(`${times} times in a row makes ${retries} retries: ${outcome}`, async ({ database }) => {
      const sockets: Socket[] = [];
      const stream = (): Socket => sockets[sockets.push(new Socket()) - 1] as Socket;
      const pool = openPool(database.connection, { max: 4, closeTimeoutMillis: 50, stream, lane: false });
      const started = listen('lifeguard:lease:started', pool);
      onLent(pool, () => started.length <= times && sockets.forEach(breakDown));
      expect(await outcomesOf([pool.query('select 1')])).toEqual([outcome]);
      expect(pool.snapshot().retries).toBe(retries);
    });
  }
});

/** At once, as no network can. */
function breakDown(socket: Socket): void {
  if (socket.destroyed) return;
  socket.emit('error', new Error('as planned'));
  socket.destroy();
}

/** Between the loan and the statement. */
function onLent({ name }: LifeguardPool, act: () => unknown): void {
  const listener = (message: unknown): unknown => (message as { pool: string }).pool === name && act();
  diagnostics.subscribe('lifeguard:lease:started', listener);
  onTestFinished(() => void diagnostics.unsubscribe('lifeguard:lease:started', listener));
}

interface World {
  readonly server: import('@lifeguard/testkit').PostgresServer;
  readonly proxy: import('@lifeguard/testkit').FaultProxy;
  readonly pool: LifeguardPool;
  readonly seen: readonly unknown[];
}

async function worldOf(server: World['server']): Promise<World> {
  const proxy = await startProxy(server.connection());
  onTestFinished(() => proxy.close());
  const pool = openPool(proxy.connection(), { max: 1, validateAfterIdleMillis: 1 });
  return { server, proxy, pool, seen: accidents() };
}

/** The slot was recovered, and nothing went unhandled. */
async function allIsWell({ pool, seen, server }: World): Promise<void> {
  expect(await answerOf<number>(pool, 'select 1')).toBe(1);
  await waitUntil(() => pool.snapshot().size === 1 && pool.snapshot().idle === 1, { what: 'one idle connection' });
  await pool.close();
  await waitUntil(async () => (await server.backends()).length === 0, { what: 'no backend to be left' });
  expect(seen).toEqual([]);
}
