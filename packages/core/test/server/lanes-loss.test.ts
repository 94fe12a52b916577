import { Socket } from 'node:net';
import { type FaultProxy, type PostgresServer, passes, startProxy, waitUntil } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, PoolOptions, QueryResult } from '../../src/index.ts';
import { DEPTH, HELD, hold, lanePool, NAME, namesOf, namesUpTo, placeOf, readMany, tally } from './lanes-rig.ts';
import { accidents, errorOf, outcomesOf } from './rig.ts';

interface World {
  readonly server: PostgresServer;
  readonly proxy: FaultProxy;
  readonly pool: LifeguardPool;
  readonly letGo: () => Promise<void>;
  readonly seen: readonly unknown[];
}

async function worldOf(server: PostgresServer, options: PoolOptions = {}): Promise<World> {
  const proxy = await startProxy(server.connection());
  onTestFinished(() => proxy.close());
  const pool = await lanePool(server, proxy.connection(), options);
  return { server, proxy, pool, letGo: await hold(server.connection()), seen: accidents() };
}

/** Fills a lane to its last place behind a statement that waits, and says which backend has it. */
async function filled({
  pool,
  server,
}: World): Promise<{ readonly asked: Promise<QueryResult>[]; readonly pid: number }> {
  const asked = [pool.query(HELD), ...readMany(pool, DEPTH - 1)];
  // Whoever fails before they are awaited is no accident.
  for (const one of asked) one.catch(() => undefined);
  const backend = await waitUntil(
    async () => (await server.backends()).find(({ waitEvent, query }) => waitEvent === 'relation' && query === HELD),
    { what: 'the lane to be held up' },
  );
  return { asked, pid: backend.pid };
}

/** How one lane ends, and whether all other connections end with it. */
const ENDS: readonly (readonly [string, (pid: number, world: World) => unknown, 'alone' | 'with all others'])[] = [
  ['is terminated', (pid, { server }) => server.query('select pg_terminate_backend($1)', [pid]), 'alone'],
  ['is killed', (pid, { server }) => server.killBackend(pid), 'with all others'],
  ['is reset by the network', (_, { proxy }) => proxy.resetAll(), 'with all others'],
  ['goes down with its server', (_, { server }) => server.restart('fast'), 'with all others'],
];

describe('a lane that', () => {
  for (const [what, end] of ENDS) {
    test(`${what} fails those whose statements it had, 64 at most, and nobody in the line`, async ({ server }) => {
      const world = await worldOf(server);
      const { pool } = world;
      const lease = await pool.lease();
      const { asked, pid } = await filled(world);
      const waiting = readMany(pool, 200);
      expect(pool.snapshot()).toMatchObject({ onLanes: DEPTH, waiting: 200 });
      await end(pid, world);
      expect(await tally(asked)).toEqual({ ERR_LIFEGUARD_CONNECTION_LOST: DEPTH });
      await world.letGo();
      expect(await namesOf(waiting)).toEqual(namesUpTo(200));
      await lease.release();
      await allIsWell(world);
    });

    test(`${what} is replaced by a new one for those who come then`, async ({ server }) => {
      const world = await worldOf(server);
      const { asked, pid } = await filled(world);
      await end(pid, world);
      await tally(asked);
      await world.letGo();
      expect(await placeOf(world.pool, () => namesOf(readMany(world.pool, 50)))).toBe('lanes');
      await allIsWell(world);
    });
  }

  test('is terminated tells all of them why, and that they may have run', async ({ server }) => {
    const world = await worldOf(server);
    const { asked, pid } = await filled(world);
    await ENDS[0]?.[1](pid, world);
    const errors = await Promise.all([asked[0], asked[1], asked.at(-1)].map((one) => errorOf(one as Promise<unknown>)));
    for (const error of errors) {
      expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_CONNECTION_LOST', consequence: 'may-have-run' });
      expect(error.cause).toMatchObject({ code: '57P01' });
    }
    await world.letGo();
    await allIsWell(world);
  });

  test('is terminated leaves the statements on the other lanes, and on leases, alone', async ({ server }) => {
    const world = await worldOf(server, { max: 8, min: 8 });
    const { pool } = world;
    await pool.ready();
    const lease = await pool.lease();
    const sleeping = lease.query('select pg_sleep(0.3)');
    const { asked, pid } = await filled(world);
    await passes(30, 'a lane is avoided by the age of its oldest statement');
    const others = readMany(pool, 40);
    await ENDS[0]?.[1](pid, world);
    const lost = await tally(asked);
    expect(lost['ERR_LIFEGUARD_CONNECTION_LOST']).toBeLessThanOrEqual(DEPTH);
    expect((lost['ok'] ?? 0) + (lost['ERR_LIFEGUARD_CONNECTION_LOST'] ?? 0)).toBe(DEPTH);
    expect([await outcomesOf([sleeping]), await namesOf(others)]).toEqual([['ok'], namesUpTo(40)]);
    await lease.release();
    await world.letGo();
    await allIsWell(world);
  });

  test('ends while it is empty is missed by nobody', async ({ server }) => {
    const world = await worldOf(server);
    await namesOf(readMany(world.pool, 10));
    expect(world.pool.snapshot()).toMatchObject({ lanes: 1, onLanes: 0 });
    world.proxy.resetAll();
    await waitUntil(() => world.pool.snapshot().closed.lost === 1, { what: 'the loss' });
    expect(await namesOf(readMany(world.pool, 10))).toEqual(namesUpTo(10));
    await allIsWell(world);
  });

  test('died unseen while it was empty is found out before anybody shares it', async ({ server }) => {
    const world = await worldOf(server, { validateAfterIdleMillis: 1, checkTimeoutMillis: 200 });
    await namesOf(readMany(world.pool, 10));
    world.proxy.forget();
    await passes(60, 'a connection that was used just now is not checked');
    expect(await namesOf(readMany(world.pool, 30))).toEqual(namesUpTo(30));
    await waitUntil(() => world.pool.snapshot().closed['check-failed'] === 1, { what: 'the check to fail' });
    await allIsWell(world);
  });

  test('ends in the middle of an answer fails the rest and gives none of them the half', async ({ server }) => {
    const world = await worldOf(server);
    const before = readMany(world.pool, 20);
    const long = world.pool.query("select repeat('x', 1000000) from generate_series(1, 20)", [], { lane: true });
    const rest = tally([long, ...readMany(world.pool, 20)]);
    expect(await namesOf(before)).toEqual(namesUpTo(20));
    world.proxy.set({ bytesPerSecond: 1_000_000 });
    await waitUntil(() => world.proxy.counts().toClient.bytes > 100_000, { what: 'some of the rows' });
    world.proxy.resetAll();
    world.proxy.heal();
    expect(await rest).toEqual({ ERR_LIFEGUARD_CONNECTION_LOST: 21 });
    await allIsWell(world);
  });
});

describe('statements on a lane that are not written yet when it ends', () => {
  test('run elsewhere, and nobody is told', async ({ database }) => {
    const sockets: Socket[] = [];
    const stream = (): Socket => sockets[sockets.push(new Socket()) - 1] as Socket;
    const pool = await lanePool(database, database.connection, { stream, closeTimeoutMillis: 50 });
    // Before what is asked in this turn is written, which is when the running code gives way.
    process.nextTick(() => sockets.forEach(breakDown));
    const reads = readMany(pool, 40);
    expect(pool.snapshot().onLanes).toBe(40);
    expect(await namesOf(reads)).toEqual(namesUpTo(40));
    expect(pool.snapshot()).toMatchObject({ retries: 40, onLanes: 0, leased: 0, closed: { lost: 1 } });
  });

  test('are told apart from those that were', async ({ database }) => {
    const sockets: Socket[] = [];
    const stream = (): Socket => sockets[sockets.push(new Socket()) - 1] as Socket;
    const pool = await lanePool(database, database.connection, { stream, closeTimeoutMillis: 50 });
    const lost = tally(readMany(pool, 10));
    // By then they are written, and no answer can have been read.
    await new Promise<void>((resolve) => process.nextTick(resolve));
    const unsent = tally(readMany(pool, 20));
    sockets.forEach(breakDown);
    expect([await lost, await unsent]).toEqual([{ ERR_LIFEGUARD_CONNECTION_LOST: 10 }, { ok: 20 }]);
  });

  test('are refused by a pool that is closed meanwhile, with nothing sent', async ({ database }) => {
    const sockets: Socket[] = [];
    const stream = (): Socket => sockets[sockets.push(new Socket()) - 1] as Socket;
    const pool = await lanePool(database, database.connection, { stream, closeTimeoutMillis: 50 });
    process.nextTick(() => sockets.forEach(breakDown));
    const read = errorOf(pool.query(NAME, [1]));
    const closed = pool.close({ graceMillis: 1_000 });
    expect(await read).toMatchObject({ code: 'ERR_LIFEGUARD_POOL_CLOSED', consequence: 'nothing-sent' });
    await closed;
  });
});

/** At once, as no network can. */
function breakDown(socket: Socket): void {
  if (socket.destroyed) return;
  socket.emit('error', new Error('as planned'));
  socket.destroy();
}

/** Nothing is left of what was lost, here and at the server, and nothing went unhandled. */
async function allIsWell({ pool, server, seen, letGo }: World): Promise<void> {
  await letGo();
  expect(await namesOf(readMany(pool, 5))).toEqual(namesUpTo(5));
  expect(pool.snapshot()).toMatchObject({ onLanes: 0, leased: 0, waiting: 0 });
  await pool.close();
  await waitUntil(async () => (await server.backends()).length === 0, { what: 'no backend to be left' });
  expect(seen).toEqual([]);
}
