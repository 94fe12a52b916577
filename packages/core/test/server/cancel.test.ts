import diagnostics from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { type Message, startProxy, waitUntil } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import { answerOf, errorOf, openPool, outcomesOf, pidOf } from './rig.ts';

describe('the ceiling, as the server sees it', () => {
  test('holds through a mass abort of two hundred sleeping callers', async ({ database }) => {
    const pool = openPool(database.connection, { max: 5, name: 'ceiling' });
    const caller = new AbortController();
    const calls = Array.from({ length: 200 }, () => pool.query('select pg_sleep(30)', [], { signal: caller.signal }));
    const outcomes = outcomesOf(calls);
    await database.waitFor('five sleepers', (all) => all.filter(({ state }) => state === 'active').length === 5);
    const peak = watchPeak(async () => (await database.backends()).length);
    caller.abort();
    expect(new Set(await outcomes)).toEqual(new Set(['ERR_LIFEGUARD_ABORTED']));
    const after = await Promise.all(Array.from({ length: 50 }, () => answerOf<number>(pool, 'select 1')));
    expect(after).toEqual(Array(50).fill(1));
    expect(await peak()).toBeLessThanOrEqual(5);
  });

  test('holds when leases are discarded behind a slow network', async ({ database }) => {
    const proxy = await startProxy(database.connection);
    onTestFinished(() => proxy.close());
    proxy.set({ latencyMillis: 15 });
    const pool = openPool(proxy.connection(), { max: 4 });
    const peak = watchPeak(async () => (await database.backends()).length);
    const callers = Array.from({ length: 40 }, async () => {
      const lease = await pool.lease();
      await lease.query('select 1');
      await lease.discard('the test wants it so');
    });
    await Promise.all(callers);
    expect(await peak()).toBeLessThanOrEqual(4);
    expect(pool.snapshot().closed.discarded).toBe(40);
  });

  test('holds when the callers of many statements give up behind a slow network', async ({ database }) => {
    const proxy = await startProxy(database.connection);
    onTestFinished(() => proxy.close());
    const pool = openPool(proxy.connection(), { max: 4 });
    await pool.query('select 1');
    proxy.set({ latencyMillis: 10, jitterMillis: 10 });
    const peak = watchPeak(async () => (await database.backends()).length);
    const calls = Array.from({ length: 60 }, () => pool.query('select pg_sleep(30)', [], { timeoutMillis: 150 }));
    expect(new Set(await outcomesOf(calls))).toEqual(new Set(['ERR_LIFEGUARD_DEADLINE']));
    expect(await answerOf<number>(pool, 'select 1')).toBe(1);
    expect(await peak()).toBeLessThanOrEqual(4);
  });

  test('counts a connection that closes until the server has closed it', async ({ database }) => {
    const proxy = await startProxy(database.connection);
    onTestFinished(() => proxy.close());
    const pool = openPool(proxy.connection(), { max: 1 });
    const lease = await pool.lease();
    await lease.query('select 1');
    proxy.set({ blackhole: 'toServer' });
    await lease.discard('the test wants it so');
    const next = pool.query('select 1');
    expect(pool.snapshot()).toMatchObject({ size: 1, closing: 1, connecting: 0, waiting: 1 });
    proxy.heal();
    await next;
  });
});

describe('a cancel request', () => {
  test('is never more than one of two at a time', async ({ database }) => {
    const { proxy, cancels } = await proxyThatCountsCancels(database.connection);
    const pool = openPool(proxy.connection(), { max: 10 });
    const caller = new AbortController();
    const calls = Array.from({ length: 10 }, () => pool.query('select pg_sleep(30)', [], { signal: caller.signal }));
    const outcomes = outcomesOf(calls);
    await database.waitFor('ten sleepers', (all) => all.filter(({ state }) => state === 'active').length === 10);
    proxy.set({ latencyMillis: 20 });
    const peak = peakOfNewSockets(proxy.port);
    caller.abort();
    await outcomes;
    await waitUntil(() => pool.snapshot().idle === 10, { what: 'ten idle connections', timeoutMillis: 10_000 });
    expect(peak()).toBe(2);
    expect(cancels()).toBeGreaterThanOrEqual(10);
  });

  test('never hits the statement of the next borrower', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    for (let round = 0; round < 300; round += 1) {
      const caller = new AbortController();
      const call = outcomesOf([pool.query('select pg_sleep($1)', [round % 3 ? 30 : 0.001], { signal: caller.signal })]);
      if (round % 2 === 0) await pool.query('select 1', [], { timeoutMillis: 1 }).catch(() => undefined);
      caller.abort();
      await call;
      expect(await answerOf<number>(pool, 'select 1')).toBe(1);
    }
    expect(pool.snapshot()).toMatchObject({ waiting: 0, leased: 0 });
  }, 30_000);

  test('leaves the connection to the next borrower when it was hit', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const before = await pidOf(pool);
    for (let round = 0; round < 10; round += 1) {
      const caller = new AbortController();
      await pool.query('select 1');
      const call = errorOf(pool.query('select pg_sleep(30)', [], { signal: caller.signal }));
      await database.waitFor('the sleeper', ([one]) => one?.state === 'active' && /pg_sleep/.test(one.query));
      caller.abort(new Error('hung up'));
      expect(await call).toMatchObject({ code: 'ERR_LIFEGUARD_ABORTED', cause: { message: 'hung up' } });
    }
    expect(await pidOf(pool)).toBe(before);
    expect(pool.snapshot()).toMatchObject({ cancels: 10, closed: {} });
  });

  test('that hits nothing is sent again, and the connection is kept', async ({ database }) => {
    const { proxy, cancels } = await proxyThatCountsCancels(database.connection, 'losing the first one');
    const pool = openPool(proxy.connection(), { max: 1 });
    const before = await pidOf(pool);
    const caller = new AbortController();
    const call = errorOf(pool.query('select pg_sleep(30)', [], { signal: caller.signal }));
    await database.waitFor('the sleeper', ([one]) => one?.state === 'active');
    caller.abort();
    expect(await call).toMatchObject({ code: 'ERR_LIFEGUARD_ABORTED' });
    expect(await pidOf(pool)).toBe(before);
    expect(cancels()).toBe(2);
  });

  test('costs the connection when the statement does not say that it was hit', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const before = await pidOf(pool);
    const swallow = 'do $$ begin perform pg_sleep(30); exception when query_canceled then null; end $$';
    const caller = new AbortController();
    const call = errorOf(pool.query(swallow, undefined, { signal: caller.signal }));
    await database.waitFor('the sleeper', ([one]) => one?.state === 'active' && /perform/.test(one.query));
    caller.abort();
    expect(await call).toMatchObject({ code: 'ERR_LIFEGUARD_ABORTED' });
    expect(await pidOf(pool)).not.toBe(before);
    expect(pool.snapshot().closed).toEqual({ 'interrupt-failed': 1 });
  });

  test('is given up, and the connection with it, when its endpoint cannot be reached', async ({ database }) => {
    const proxy = await startProxy(database.connection);
    onTestFinished(() => proxy.close());
    const pool = openPool(proxy.connection(), { max: 1, closeTimeoutMillis: 100 });
    const before = await pidOf(pool);
    const caller = new AbortController();
    const call = errorOf(pool.query('select pg_sleep(1)', [], { signal: caller.signal }));
    await database.waitFor('the sleeper', ([one]) => one?.state === 'active');
    proxy.refuse();
    caller.abort();
    expect(await call).toMatchObject({ code: 'ERR_LIFEGUARD_ABORTED' });
    await waitUntil(() => pool.snapshot().closed['interrupt-failed'] === 1, { what: 'the connection to be given up' });
    await proxy.accept();
    expect(await pidOf(pool)).not.toBe(before);
  });

  test('is not sent for a caller who only waits in the line', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const lease = await pool.lease();
    const caller = new AbortController();
    const call = errorOf(pool.query('select 1', [], { signal: caller.signal }));
    const running = lease.query('select pg_sleep(0.05)');
    caller.abort();
    expect(await call).toMatchObject({ code: 'ERR_LIFEGUARD_ABORTED' });
    await running;
    expect(pool.snapshot()).toMatchObject({ cancels: 0, aborted: 1, waiting: 0 });
  });

  test('is not needed by a statement whose signal was aborted before', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const lease = await pool.lease();
    const gone = { signal: AbortSignal.abort() };
    const codes = await outcomesOf([
      pool.query('create table never (x int)', [], gone),
      lease.query('create table never (x int)', [], gone),
      pool.lease(gone),
    ]);
    expect(codes).toEqual(Array(3).fill('ERR_LIFEGUARD_ABORTED'));
    expect(await answerOf(lease, "select to_regclass('never')")).toBeNull();
    expect(pool.snapshot()).toMatchObject({ cancels: 0, leased: 1, waiting: 0 });
  });
});

/** Looks again and again until it is called; answers the greatest figure it saw. */
function watchPeak(look: () => number | Promise<number>): () => Promise<number> {
  let peak = 0;
  let watching: 'on' | 'off' = 'on';
  const watched = waitUntil(
    async () => {
      peak = Math.max(peak, await look());
      return watching === 'off';
    },
    { what: 'the end of the watch', timeoutMillis: 20_000, everyMillis: 1 },
  );
  return async () => {
    watching = 'off';
    await watched;
    return peak;
  };
}

/** How many of the sockets that are opened towards a port from now on are open at the same time. */
function peakOfNewSockets(port: number): () => number {
  const open = new Set<Socket>();
  let peak = 0;
  const listener = (message: unknown): void => {
    const { socket } = message as { socket: Socket };
    socket.once('close', () => open.delete(socket));
    socket.once('connect', () => {
      if (socket.remotePort === port) open.add(socket);
      peak = Math.max(peak, open.size);
    });
  };
  diagnostics.subscribe('net.client.socket', listener);
  onTestFinished(() => void diagnostics.unsubscribe('net.client.socket', listener));
  return () => peak;
}

async function proxyThatCountsCancels(
  target: Parameters<typeof startProxy>[0],
  how: 'losing the first one' | 'losing none' = 'losing none',
) {
  let cancels = 0;
  const onMessage = ({ type, bytes }: Message): undefined => {
    if (type !== 'cancel') return;
    cancels += 1;
    // With a wrong key the server hangs up without a word, as it does after one that came too early.
    if (cancels === 1 && how === 'losing the first one') bytes.writeInt32BE(0, 12);
  };
  const proxy = await startProxy(target, { onMessage });
  onTestFinished(() => proxy.close());
  return { proxy, cancels: () => cancels };
}
