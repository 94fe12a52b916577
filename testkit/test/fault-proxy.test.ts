import { type Database, type FaultProxy, type ProxyOptions, startProxy, waitUntil } from '@lifeguard/testkit';
import { expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import { connectClient } from './client.ts';

test('counts round trips, packets and bytes', async ({ database }) => {
  const { proxy, client } = await clientThroughProxy(database);
  proxy.resetCounts();
  await client.query('select 1');
  await client.query('select $1::int', [1]);
  expect(proxy.counts()).toMatchObject({ roundTrips: 2, opened: 0, open: 1, toServer: { packets: 2 } });
  expect(proxy.counts().toClient.bytes).toBeGreaterThan(100);
});

test('adds its latency in each direction', async ({ database }) => {
  const { proxy, client } = await clientThroughProxy(database);
  proxy.set({ latencyMillis: 40, jitterMillis: 5 });
  expect(await millisOf(() => client.query('select 1'))).toBeGreaterThanOrEqual(79);
});

test('narrows the line to so many bytes per second', async ({ database }) => {
  const { proxy, client } = await clientThroughProxy(database);
  proxy.set({ bytesPerSecond: 100_000 });
  expect(await millisOf(() => client.query("select repeat('x', 10000)"))).toBeGreaterThanOrEqual(95);
});

test('hands over single bytes and the client still understands', async ({ database }) => {
  const { proxy, client } = await clientThroughProxy(database);
  proxy.set({ sliced: true });
  expect((await client.query('select generate_series(1, 20) as n')).rows).toHaveLength(20);
});

test('delivers after a blackhole what was sent into it', async ({ database }) => {
  const { proxy, client } = await clientThroughProxy(database);
  proxy.set({ blackhole: 'toClient' });
  const answer = client.query('select 1 as one');
  await database.waitFor('the statement to have run', (all) => all.some(({ query }) => query.includes('as one')));
  expect(await Promise.race([answer, 'nothing'])).toBe('nothing');
  proxy.heal();
  expect((await answer).rows).toEqual([{ one: 1 }]);
});

test('resets all connections on both sides', async ({ database }) => {
  const { proxy, client } = await clientThroughProxy(database);
  proxy.resetAll();
  await waitUntil(() => client.errors.length > 0, { what: 'the client to notice' });
  await database.waitFor('no backend', (all) => all.length === 0);
  expect(proxy.counts().open).toBe(0);
});

test('keeps a client whose server is gone in the dark', async ({ database }) => {
  const { proxy, client } = await clientThroughProxy(database);
  proxy.halfOpen('client');
  await database.waitFor('no backend', (all) => all.length === 0);
  const answer = client.query('select 1').catch(() => 'failed');
  expect(await Promise.race([answer, database.query('select pg_sleep(0.05)').then(() => 'nothing')])).toBe('nothing');
  expect(client.errors).toEqual([]);
});

test('keeps a server whose client is gone in the dark', async ({ database }) => {
  const { proxy, client } = await clientThroughProxy(database);
  proxy.halfOpen('server');
  await waitUntil(() => client.errors.length > 0, { what: 'the client to notice' });
  expect(await database.backends()).toHaveLength(1);
});

test('refuses new connections and accepts them again on its port', async ({ database }) => {
  const { proxy, client } = await clientThroughProxy(database);
  proxy.refuse();
  await expect(connectClient(proxy.connection())).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  await client.query('select 1');
  await proxy.accept();
  await connectClient(proxy.connection());
});

test('forgets a connection that its client has ended', async ({ database }) => {
  const { proxy, client } = await clientThroughProxy(database);
  await client.end();
  await waitUntil(() => proxy.counts().open === 0, { what: 'the proxy to forget it' });
  await database.waitFor('no backend', (all) => all.length === 0);
});

test('resets the client when the server cannot be reached', async ({ database }) => {
  const proxy = await proxyTo({ ...database.connection, port: 1 });
  await expect(connectClient(proxy.connection())).rejects.toThrow(/ECONNRESET|terminated/);
});

test('shows each message and can lose a connection at one of them', async ({ database }) => {
  const types: string[] = [];
  const { client } = await clientThroughProxy(database, {
    onMessage: ({ from, type, body }, link) => {
      types.push(`${from} ${type}`);
      if (type === 'C' && body.toString().startsWith('COMMIT')) link.reset();
    },
  });
  await client.query('begin; create table survived (id int)');
  await expect(client.query('commit')).rejects.toThrow();
  expect(await database.query("select to_regclass('survived') is not null as committed")).toEqual([
    { committed: true },
  ]);
  expect(types).toEqual(expect.arrayContaining(['client startup', 'server R', 'server Z', 'client Q', 'server C']));
});

test('can keep a single message back', async ({ database }) => {
  const { client } = await clientThroughProxy(database, {
    onMessage: ({ from, type, body }) =>
      from === 'client' && type === 'Q' && body.includes('lost') ? 'drop' : undefined,
  });
  void client.query("select 'lost'").catch(() => undefined);
  const backends = await database.waitFor('an idle backend', (all) => all.some(({ state }) => state === 'idle'));
  expect(backends.map(({ query }) => query)).not.toContain("select 'lost'");
});

async function proxyTo(target: Database['connection'], options: ProxyOptions = {}): Promise<FaultProxy> {
  const proxy = await startProxy(target, options);
  onTestFinished(() => proxy.close());
  return proxy;
}

async function clientThroughProxy(
  database: Database,
  options?: ProxyOptions,
): Promise<{ proxy: FaultProxy; client: Awaited<ReturnType<typeof connectClient>> }> {
  const proxy = await proxyTo(database.connection, options);
  return { proxy, client: await connectClient(proxy.connection()) };
}

async function millisOf(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
