import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { passes, startProxy, waitUntil } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import type { PoolOptions } from '../../src/index.ts';
import { HELD, heldBackend, hold, lanePool } from './lanes-rig.ts';
import { accidents, errorOf, openPool, outcomesOf } from './rig.ts';

describe('close()', () => {
  test('waits for what is lent and takes no new work', async ({ database }) => {
    const pool = openPool(database.connection, { max: 2 });
    const lease = await pool.lease();
    const log: string[] = [];
    const closed = pool.close().then(() => log.push('closed'));
    expect(await outcomesOf([pool.query('select 1'), pool.lease(), pool.ready()])).toEqual(
      Array(3).fill('ERR_LIFEGUARD_POOL_CLOSED'),
    );
    await lease.query('select 1');
    log.push('answered');
    await lease.release();
    await closed;
    expect(log).toEqual(['answered', 'closed']);
    expect(await database.backends()).toEqual([]);
    expect(pool.snapshot()).toMatchObject({ state: 'closed', size: 0 });
  });

  test('cancels after the grace what still runs', async ({ database }) => {
    const pool = openPool(database.connection, { max: 2 });
    const lease = await pool.lease();
    const running = outcomesOf([lease.query('select pg_sleep(30)'), pool.query('select pg_sleep(30)')]);
    await database.waitFor('two sleepers', (all) => all.filter(({ state }) => state === 'active').length === 2);
    await pool.close({ graceMillis: 20 });
    expect(await running).toEqual(['ERR_LIFEGUARD_LEASE_ENDED', 'ERR_LIFEGUARD_POOL_CLOSED']);
    expect(await database.backends()).toEqual([]);
  });

  test('may be called again and again', async ({ database }) => {
    const pool = openPool(database.connection, { min: 2 });
    await pool.ready();
    await Promise.all([pool.close(), pool.close({ graceMillis: 1 }), pool[Symbol.asyncDispose]()]);
    await pool.close();
    expect(await database.backends()).toEqual([]);
  });

  test('ends a pool that was never used', async ({ database }) => {
    const pool = openPool(database.connection);
    await pool.close();
    expect(pool.snapshot()).toMatchObject({ state: 'closed', opened: 0 });
  });

  test('does not wait for dials that are under way', async ({ database }) => {
    const proxy = await startProxy(database.connection);
    onTestFinished(() => proxy.close());
    proxy.set({ blackhole: 'toClient' });
    const pool = openPool(proxy.connection(), { lane: false });
    const waiting = outcomesOf([pool.query('select 1'), pool.query('select 1')]);
    await waitUntil(() => proxy.counts().open > 0, { what: 'a dial' });
    await pool.close();
    expect(await waiting).toEqual(Array(2).fill('ERR_LIFEGUARD_POOL_CLOSED'));
    expect(pool.snapshot().closed).toEqual({ 'dial-abandoned': 2 });
    proxy.heal();
    await database.waitFor('no backend is left', (all) => all.length === 0);
  });

  test('does not wait for ever for a server that has fallen silent', async ({ database }) => {
    const proxy = await startProxy(database.connection);
    onTestFinished(() => proxy.close());
    const pool = openPool(proxy.connection(), { min: 2, closeTimeoutMillis: 50 });
    await pool.ready();
    proxy.set({ blackhole: 'both' });
    await pool.close({ graceMillis: 20 });
    expect(pool.snapshot().state).toBe('closed');
  });

  test('refuses a grace that is no length of time', async ({ database }) => {
    const pool = openPool(database.connection);
    for (const graceMillis of [-1, Number.NaN, '5' as unknown as number, Number.POSITIVE_INFINITY]) {
      expect(await errorOf(pool.close({ graceMillis }))).toMatchObject({ code: 'ERR_LIFEGUARD_ARGUMENT' });
    }
    expect(pool.snapshot().state).toBe('open');
  });

  test("ends with the pool's block", async ({ database }) => {
    {
      await using pool = openPool(database.connection, { min: 1 });
      await pool.ready();
    }
    expect(await database.backends()).toEqual([]);
  });
});

/** What is said goodbye to while its statement runs, and no cancel gets through: `lane` says how it was asked. */
const GOODBYES: readonly (readonly [string, PoolOptions, boolean, 'gives up' | 'closes the pool'])[] = [
  ['was given up behind a pooler that drops cancels', { pooler: 'rds-proxy' }, false, 'gives up'],
  [
    'ran when its pool was closed behind a pooler that drops cancels',
    { pooler: 'rds-proxy' },
    false,
    'closes the pool',
  ],
  ['was given up while nothing new gets through', {}, false, 'gives up'],
  ['ran when its pool was closed while nothing new gets through', {}, false, 'closes the pool'],
  ['shared its connection when its pool was closed', {}, true, 'closes the pool'],
];

describe('an answer that comes after goodbye', () => {
  test.for(GOODBYES)("is nobody's: that to a statement that %s", async ([, options, lane, end], { database }) => {
    const proxy = await startProxy(database.connection);
    onTestFinished(() => proxy.close());
    const seen = accidents();
    const pool = await lanePool(database, proxy.connection(), { ...options, closeTimeoutMillis: 10_000 });
    const letGo = await hold(database.connection);
    const caller = new AbortController();
    const asked = outcomesOf([pool.query(HELD, [], { lane, signal: caller.signal })]);
    await heldBackend(database);
    proxy.refuse();
    if (end === 'gives up') caller.abort();
    const closed = end === 'gives up' ? undefined : pool.close({ graceMillis: 0 });
    expect(await asked).toEqual([end === 'gives up' ? 'ERR_LIFEGUARD_ABORTED' : 'ERR_LIFEGUARD_POOL_CLOSED']);
    const { bytes } = proxy.counts().toClient;
    await letGo();
    await waitUntil(() => proxy.counts().toClient.bytes > bytes, { what: 'the answer' });
    await waitUntil(() => proxy.counts().open === 0 && pool.snapshot().size === 0, { what: 'the end' });
    await closed;
    expect([seen, pool.snapshot()]).toMatchObject([[], { onLanes: 0, leased: 0, size: 0 }]);
  });
});

describe('a program', () => {
  const IDLE = 'await pool.query("select 1"); console.log("done");';

  test('ends by itself when its pool is closed', async ({ database }) => {
    const text = `${IDLE} await pool.close(); console.log("closed");`;
    expect(await program(database.url, '{}', text)).toEqual({ code: 0, said: 'done\nclosed\n', end: 'by itself' });
  });

  test('ends by itself while idle connections may not hold it', async ({ database }) => {
    const options = '{ allowExitOnIdle: true, min: 3 }';
    const text = `await pool.ready(); ${IDLE}`;
    expect(await program(database.url, options, text)).toEqual({ code: 0, said: 'done\n', end: 'by itself' });
  });

  test('does not end while a statement runs, idle connections or not', async ({ database }) => {
    const text = `${IDLE} pool.query("select pg_sleep(0.3)").then(() => console.log("slept"));`;
    const options = '{ allowExitOnIdle: true }';
    expect(await program(database.url, options, text)).toEqual({ code: 0, said: 'done\nslept\n', end: 'by itself' });
  });

  test('lives on with its idle connections unless told otherwise', async ({ database }) => {
    expect(await program(database.url, '{}', `${IDLE} console.log("stop me");`)).toMatchObject({ end: 'stopped' });
  });

  test('ends when its idle connections have timed out', async ({ database }) => {
    const options = '{ idleTimeoutMillis: 50 }';
    expect(await program(database.url, options, IDLE)).toEqual({ code: 0, said: 'done\n', end: 'by itself' });
  });

  test('ends by itself after its pool was closed with everything in flight', async ({ database }) => {
    const text = `const all = Promise.allSettled([pool.query("select pg_sleep(30)"), pool.lease()]);
      await new Promise((resolve) => setTimeout(resolve, 100));
      await pool.close({ graceMillis: 10 }); console.log((await all).length);`;
    expect(await program(database.url, '{ max: 3 }', text)).toEqual({ code: 0, said: '2\n', end: 'by itself' });
  });
});

interface End {
  readonly code: number | null;
  readonly said: string;
  readonly end: 'by itself' | 'stopped';
}

/** Runs a program with a pool; one that says "stop me" is stopped when it has lived on for a while. */
async function program(url: string, options: string, text: string): Promise<End> {
  const core = new URL('../../src/index.ts', import.meta.url).href;
  const source = `import { createPool } from ${JSON.stringify(core)};
    const pool = createPool({ connectionString: ${JSON.stringify(url)}, ...${options} }); ${text}`;
  const args = ['--conditions=@lifeguard/source', '--input-type=module', '--eval', source];
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (words: string) => {
    said += words;
  });
  const closed = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  let end: End['end'] = 'by itself';
  if (text.includes('stop me')) {
    await waitUntil(() => said.includes('stop me'), { what: 'the program to be done', timeoutMillis: 10_000 });
    await Promise.race([closed, passes(500, 'one that ends by itself has done so by then')]);
    if (child.exitCode === null) end = 'stopped';
    child.kill();
  }
  return { code: await closed, said, end };
}
