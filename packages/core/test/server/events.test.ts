import { AsyncLocalStorage } from 'node:async_hooks';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { waitUntil } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test, vi } from '@lifeguard/testkit/vitest';
import type { HookConnection } from '../../src/index.ts';
import { answerOf, errorOf, listen, Notes, openPool } from './rig.ts';

describe('the channels', () => {
  test('tell of a statement and its lease from beginning to end', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const channels = [
      'lifeguard:pool:opened',
      'lifeguard:lease:started',
      'lifeguard:statement:started',
      'lifeguard:statement:ended',
      'lifeguard:lease:ended',
    ] as const;
    const heard = channels.map((name) => listen(name, pool));
    await pool.query('select $1::int', [7], { name: 'GET /x' });
    const [opened, started, sent, answered, ended] = heard.map((list) => list[0]);
    expect(heard.map(({ length }) => length)).toEqual([1, 1, 1, 1, 1]);
    expect(opened).toMatchObject({ pool: pool.name, slot: 1, dialMillis: expect.any(Number) });
    expect(started).toMatchObject({ name: 'GET /x', slot: 1, waitedMillis: expect.any(Number) });
    expect(sent).toEqual({ pool: pool.name, name: 'GET /x', slot: 1, text: 'select $1::int' });
    expect(answered).toEqual({ ...(sent as object), millis: expect.any(Number) });
    expect(ended).toMatchObject({ name: 'GET /x', heldMillis: expect.any(Number), queryingMillis: expect.any(Number) });
  });

  test('tell of a failed statement by the code of its error', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const ended = listen('lifeguard:statement:ended', pool);
    await errorOf(pool.query('select 1/0'));
    expect(ended).toMatchObject([{ text: 'select 1/0', error: '22012' }]);
  });

  test('tell why a connection was closed and when it was gone', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const closing = listen('lifeguard:pool:closing', pool);
    const closed = listen('lifeguard:pool:closed', pool);
    await pool.query('select 1');
    pool.invalidate('rotated');
    await waitUntil(() => closed.length === 1, { what: 'it to be gone' });
    expect(closing).toMatchObject([{ slot: 1, reason: 'invalidated' }]);
    expect(closed).toMatchObject([{ slot: 1, reason: 'invalidated', closeMillis: expect.any(Number) }]);
  });

  test('tell of a caller who was refused', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1, maxWaiting: 1, acquireTimeoutMillis: 30 });
    const refused = listen('lifeguard:pool:refused', pool);
    await using _lease = await pool.lease();
    await Promise.all([errorOf(pool.query('select 1')), errorOf(pool.query('select 1'))]);
    expect(refused).toMatchObject([
      { code: 'ERR_LIFEGUARD_LINE_FULL', waitedMillis: 0, waiting: 1 },
      { code: 'ERR_LIFEGUARD_ACQUIRE_TIMEOUT' },
    ]);
  });

  test('lose nothing of the pool when a subscriber throws', async ({ database }) => {
    const said = program(`
      process.on('uncaughtException', (error) => console.log('caught', error.message));
      for (const name of ['pool:opened', 'lease:started', 'lease:ended', 'statement:ended'])
        subscribe('lifeguard:' + name, () => { throw new Error(name); });
      const pool = createPool({ connectionString: ${JSON.stringify(database.url)}, max: 1 });
      for (let round = 0; round < 3; round += 1) await pool.query('select 1');
      const { idle, leased } = pool.snapshot();
      await pool.close();
      console.log(idle, leased);`);
    expect(said.match(/caught pool:opened/g)).toHaveLength(1);
    expect(said.match(/caught lease:ended/g)).toHaveLength(3);
    expect(said).toMatch(/^1 0$/m);
  });
});

describe('a warning', () => {
  /** Makes a pool warn: of a leak, and of its return. */
  async function leak(connection: object, logger?: object): Promise<void> {
    const pool = openPool(connection, {
      max: 1,
      leakAfterMillis: 1,
      keepaliveMillis: 80,
      ...(logger && { logger }),
    } as object);
    const leaks = listen('lifeguard:lease:leaked', pool);
    await using _lease = await pool.lease({ name: 'GET /leaky' });
    await waitUntil(() => leaks.length > 0, { what: 'the leak' });
  }

  test('goes to pino with its fields first', async ({ database }) => {
    const lines: unknown[][] = [];
    const pino = { bindings: () => ({}), warn: (...args: unknown[]) => void lines.push(args) };
    await leak(database.connection, pino);
    expect(lines[0]).toMatchObject([{ code: 'LIFEGUARD_LEASE_LEAKED', name: 'GET /leaky' }, /out for/]);
    expect(lines[0]?.[1]).toMatch(/^lifeguard: /);
  });

  test('goes to the console with its message first', async ({ database }) => {
    const logger = new Notes();
    await leak(database.connection, logger);
    expect(logger.lines[0]).toMatchObject({ fields: { code: 'LIFEGUARD_LEASE_LEAKED', name: 'GET /leaky' } });
  });

  test('disturbs nothing when the logger throws', async ({ database }) => {
    const warn = vi.fn(() => {
      throw new Error('the disk is full');
    });
    await leak(database.connection, { warn });
    expect(warn).toHaveBeenCalledTimes(2);
  });

  test('that nobody hears goes to the process once per code', async ({ database }) => {
    const emitted = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    onTestFinished(() => emitted.mockRestore());
    const pool = openPool(database.connection, { max: 1, leakAfterMillis: 1, keepaliveMillis: 80 });
    const leaks = listen('lifeguard:lease:leaked', pool);
    for (const round of [1, 2]) {
      await using _lease = await pool.lease();
      await waitUntil(() => leaks.length === round, { what: 'the leak' });
    }
    const codes = emitted.mock.calls.map(([, options]) => (options as { code: string }).code);
    expect(codes).toEqual(['LIFEGUARD_LEASE_LEAKED', 'LIFEGUARD_LEASE_RETURNED']);
  });

  test('that a subscriber hears does not go to the process', async ({ database }) => {
    const emitted = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    onTestFinished(() => emitted.mockRestore());
    const heard = listen('lifeguard:pool:warning', { name: 'heard' });
    const pool = openPool(database.connection, { name: 'heard', leakAfterMillis: 1, keepaliveMillis: 80 });
    const lease = await pool.lease();
    await waitUntil(() => heard.length > 0, { what: 'the warning' });
    await lease.release();
    expect(heard).toMatchObject([{ code: 'LIFEGUARD_LEASE_LEAKED' }, { code: 'LIFEGUARD_LEASE_RETURNED' }]);
    expect(emitted).not.toHaveBeenCalled();
  });
});

describe('async context', () => {
  const requests = new AsyncLocalStorage<string>();

  test('is its own for each caller who was served from the line', async ({ database }) => {
    const pool = openPool(database.connection, { max: 2 });
    const seen = Array.from({ length: 20 }, (_, id) =>
      requests.run(`request ${id}`, async () => {
        await pool.query('select pg_sleep(0.002)');
        const lease = await pool.lease();
        await lease.query('select 1').catch(() => undefined);
        await lease.release();
        return requests.getStore();
      }),
    );
    expect(await Promise.all(seen)).toEqual(seen.map((_, id) => `request ${id}`));
  });

  test('is its own for a caller who was refused', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    await using _lease = await pool.lease();
    const store = requests.run('late', async () => {
      await errorOf(pool.query('select 1', [], { timeoutMillis: 20 }));
      return requests.getStore();
    });
    expect(await store).toBe('late');
  });

  test('of the request that opened a connection does not stay with it', async ({ database }) => {
    const stores: unknown[] = [];
    const look = async (): Promise<void> => void stores.push(requests.getStore());
    const onConnect = async (connection: HookConnection): Promise<void> => {
      await connection.query('select 1');
      await look();
    };
    const password = async (): Promise<string> => look().then(() => 'x');
    const pool = openPool({ ...database.connection, password }, { max: 1, keepaliveMillis: 40, onConnect });
    await requests.run('the first', () => pool.query("set app.t = 'a'"));
    await waitUntil(() => stores.length >= 2, { what: 'the session to be reset' });
    expect(new Set(stores)).toEqual(new Set([undefined]));
  });

  test('of a request is free to be collected while its connection lives', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const store = await requestThatOpens(pool);
    await waitUntil(
      () => {
        globalThis.gc?.();
        return store.deref() === undefined;
      },
      { what: 'the store to be collected' },
    );
    expect(await answerOf<number>(pool, 'select 1')).toBe(1);
  });
});

test('a snapshot is frozen, adds up and costs no connection', async ({ database }) => {
  const pool = openPool(database.connection, { max: 3 });
  const { opened, acquired } = pool.snapshot();
  expect([opened, acquired]).toEqual([0, 0]);
  await using lease = await pool.lease();
  // What nobody knows would have a connection to itself.
  for (let use = 0; use < 2; use += 1) await lease.query('select 1');
  await pool.query('select 1');
  const one = pool.snapshot();
  await pool.query('select 1', [], { lane: false });
  const { connecting, idle, leased, lanes, tending, closing } = one;
  expect(one.size).toBe(connecting + idle + leased + lanes + tending + closing);
  expect(one).toMatchObject({ opened: 2, acquired: 1, boarded: 1, leased: 1, idle: 0, lanes: 1, onLanes: 0 });
  expect(one).toMatchObject({ health: 'healthy', state: 'open' });
  expect(pool.snapshot()).toMatchObject({ opened: 2, acquired: 2, boarded: 1, leased: 1, idle: 1, lanes: 0 });
  expect(Object.isFrozen(one) && Object.isFrozen(one.held) && Object.isFrozen(one.closed)).toBe(true);
});

async function requestThatOpens(pool: ReturnType<typeof openPool>): Promise<WeakRef<object>> {
  const requests = new AsyncLocalStorage<object>();
  const store = { request: 'the first' };
  await requests.run(store, () => pool.query('select 1', [], { timeoutMillis: 5_000 }));
  return new WeakRef(store);
}

function program(text: string): string {
  const core = new URL('../../src/index.ts', import.meta.url).href;
  const source = `import { subscribe } from 'node:diagnostics_channel';
    import { createPool } from ${JSON.stringify(core)}; ${text}`;
  const args = ['--conditions=@lifeguard/source', '--input-type=module', '--eval', source];
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  return spawnSync(process.execPath, args, { cwd, encoding: 'utf8', timeout: 10_000 }).stdout;
}
