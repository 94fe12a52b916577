import { type Database, type FaultProxy, type ProxyOptions, startProxy, waitUntil } from '@lifeguard/testkit';
import { expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import { connectClient } from './client.ts';

type HoldPoint = NonNullable<ProxyOptions['holdAt']>;

test('keeps a message back before the server has it, and delivers it when let go', async ({ database }) => {
  const { proxy, client } = await clientHeldAt(database, 'question');
  const answer = client.query('select 2 as held');
  await waitUntil(() => proxy.hold?.isReached, { what: 'the message' });
  expect((await database.backends()).map(({ query }) => query)).toEqual(['select 1 as before']);
  proxy.hold?.release();
  expect((await answer).rows).toEqual([{ held: 2 }]);
});

test('keeps an answer back when the server has given all of it', async ({ database }) => {
  const { proxy, client } = await clientHeldAt(database, 'answer');
  const answer = client.query('select 2 as held');
  await waitUntil(() => proxy.hold?.isReached, { what: 'the answer' });
  expect((await database.backends()).map(({ state, query }) => [state, query])).toEqual([['idle', 'select 2 as held']]);
  expect(await Promise.race([answer, 'nothing'])).toBe('nothing');
  proxy.hold?.release();
  expect((await answer).rows).toEqual([{ held: 2 }]);
});

test('stops one connection and no other', async ({ database }) => {
  const { proxy, client } = await clientHeldAt(database, 'question');
  const other = await connectClient(proxy.connection());
  const answer = client.query('select 2 as held');
  await waitUntil(() => proxy.hold?.isReached, { what: 'the message' });
  expect((await other.query('select 3 as held')).rows).toEqual([{ held: 3 }]);
  proxy.hold?.release();
  await answer;
});

test('forgets the connections that are open, and takes new ones', async ({ database }) => {
  const { proxy, client } = await clientHeldAt(database, 'question');
  proxy.forget();
  const answer = client.query('select 1').catch(() => 'failed');
  const other = await connectClient(proxy.connection());
  expect(await Promise.race([answer, other.query('select 4 as here').then(({ rows }) => rows)])).toEqual([{ here: 4 }]);
  expect(await database.backends()).toHaveLength(2);
  expect(client.errors).toEqual([]);
});

type Client = Awaited<ReturnType<typeof connectClient>>;

async function clientHeldAt(
  database: Database,
  kept: HoldPoint['kept'],
): Promise<{ proxy: FaultProxy; client: Client }> {
  const message: HoldPoint['message'] = ({ type, body }) => type === 'Q' && `${body}`.includes('held');
  const proxy = await startProxy(database.connection, { holdAt: { kept, message } });
  onTestFinished(() => proxy.close());
  const client = await connectClient(proxy.connection());
  await client.query('select 1 as before');
  return { proxy, client };
}
