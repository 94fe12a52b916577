import * as os from 'node:os';
import { missing, startPostgres, startProxy, waitUntil } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test as plain, testWithServer } from '@lifeguard/testkit/vitest';
import type { HookConnection } from '../../src/index.ts';
import { answerOf, errorOf, listen, openPool, outcomesOf, pidOf } from './rig.ts';

const test = testWithServer({ auth: 'scram', password: 'p@ss/w:rd' });

describe('who connects and how', () => {
  test('asks an async password anew for every connection', async ({ server }) => {
    let asked = 0;
    const password = async (): Promise<string> => {
      asked += 1;
      return 'p@ss/w:rd';
    };
    const pool = openPool({ ...server.connection(), password }, { min: 3 });
    await pool.ready();
    expect(asked).toBe(3);
  });

  test('asks a password function beside a connection string', async ({ server }) => {
    const { host, port, user } = server;
    const pool = openPool({
      connectionString: `postgres://${user}@${host}:${port}/postgres`,
      password: () => 'p@ss/w:rd',
    });
    expect(await answerOf(pool, 'select current_user')).toBe('postgres');
  });

  test('takes an escaped password out of a connection string', async ({ server }) => {
    const pool = openPool({ connectionString: server.url() });
    expect(await answerOf(pool, 'select current_user')).toBe('postgres');
  });

  test('uses rotated credentials for new connections while old ones go on', async ({ server }) => {
    await server.query("create role rotating login password 'one'");
    let password = 'one';
    const pool = openPool({ ...server.connection(), user: 'rotating', password: () => password }, { max: 2 });
    const old = await pool.lease();
    await server.query("alter role rotating password 'two'");
    password = 'two';
    expect(await answerOf(pool, 'select current_user')).toBe('rotating');
    expect(await answerOf(old, 'select current_user')).toBe('rotating');
  });

  test('refuses callers at once when the password is wrong and does not hammer the server', async ({ server }) => {
    const pool = openPool({ ...server.connection(), password: 'wrong' });
    const failures = await Promise.all(Array.from({ length: 20 }, () => errorOf(pool.query('select 1'))));
    for (const failure of failures) {
      expect(failure).toMatchObject({ code: 'ERR_LIFEGUARD_REJECTED', retryable: false, cause: { code: '28P01' } });
    }
    expect(await errorOf(pool.query('select 1'))).toMatchObject({ code: 'ERR_LIFEGUARD_REJECTED' });
    expect(pool.snapshot().failedDials).toBeLessThanOrEqual(4);
  });

  test('fails a caller with what a password function throws', async ({ server }) => {
    const password = (): never => {
      throw new Error('the vault is sealed');
    };
    const pool = openPool({ ...server.connection(), password }, { startup: 'fail' });
    const error = await errorOf(pool.query('select 1'));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_UNAVAILABLE', cause: { message: 'the vault is sealed' } });
  });

  test('resolves a host name', async ({ server }) => {
    const pool = openPool({ ...server.connection(), host: 'localhost' });
    expect(await answerOf<number>(pool, 'select 1')).toBe(1);
  });

  test('says its name and its host to the server', async ({ server }) => {
    const pool = openPool(server.connection(), { name: 'reports' });
    expect(await answerOf(pool, 'show application_name')).toBe(`reports@${os.hostname()}`.slice(0, 63));
    const named = openPool(server.connection(), { application_name: 'mine' });
    expect(await answerOf(named, 'show application_name')).toBe('mine');
  });

  test('connects through a unix socket', async ({ server }) => {
    const pool = openPool({ host: server.socketDir, port: server.port, user: 'postgres' });
    const error = await errorOf(pool.query('select pg_sleep(30)', [], { timeoutMillis: 30 }));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE' });
    await waitUntil(() => pool.snapshot().idle === 1, { what: 'the cancelled connection to be idle' });
  });
});

describe('TLS', () => {
  plain.skipIf(missing('openssl'))('encrypts the connection and its cancel request', async () => {
    const server = await startPostgres({ ssl: true, settings: { log_connections: 'on' } });
    onTestFinished(() => server.stop());
    const proxy = await startProxy(server.connection());
    onTestFinished(() => proxy.close());
    const pool = openPool({ ...proxy.connection(), ssl: { ca: server.certificate } }, { max: 1 });
    expect(await answerOf(pool, 'select ssl from pg_stat_ssl where pid = pg_backend_pid()')).toBe(true);
    const before = await pidOf(pool);
    const caller = new AbortController();
    const isRunning = pool.query('select pg_sleep(30)', [], { signal: caller.signal });
    await waitUntil(() => proxy.counts().opened === 1 && pool.snapshot().leased === 1, { what: 'the sleeper' });
    caller.abort();
    expect(await errorOf(isRunning)).toMatchObject({ code: 'ERR_LIFEGUARD_ABORTED' });
    expect(await pidOf(pool)).toBe(before);
    // Over the same line, which took the connection and each request: none was made in the clear.
    expect(proxy.counts().opened).toBeGreaterThanOrEqual(2);
    expect(pool.snapshot().closed).toEqual({});
  });

  plain.skipIf(missing('openssl'))('refuses a server whose certificate is not trusted, and says so', async () => {
    const server = await startPostgres({ ssl: true });
    onTestFinished(() => server.stop());
    const pool = openPool({ ...server.connection(), ssl: true });
    const error = await errorOf(pool.query('select 1'));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_REJECTED' });
    expect((error.cause as { code: string }).code).toBe('DEPTH_ZERO_SELF_SIGNED_CERT');
  });

  plain.skipIf(missing('openssl'))('starts TLS without asking first where that is wanted', async () => {
    const server = await startPostgres({ ssl: true });
    onTestFinished(() => server.stop());
    const ssl = { ca: server.certificate };
    const pool = openPool({ ...server.connection(), ssl, sslnegotiation: 'direct' }, { max: 1 });
    const before = await pidOf(pool);
    await errorOf(pool.query('select pg_sleep(30)', [], { timeoutMillis: 50 }));
    expect(await pidOf(pool)).toBe(before);
  });

  test('does not fall back to plain text where TLS was wanted', async ({ server }) => {
    const pool = openPool({ ...server.connection(), ssl: true });
    expect(await errorOf(pool.query('select 1'))).toMatchObject({ code: 'ERR_LIFEGUARD_REJECTED' });
  });
});

describe('the onConnect hook', () => {
  test('prepares each session before it is lent', async ({ server }) => {
    const onConnect = async (connection: HookConnection): Promise<void> => {
      void connection.query("set app.role = 'web'");
      await connection.query("select set_config('app.unit', $1, false)", ['u1']);
    };
    const pool = openPool(server.connection(), { max: 1, onConnect });
    expect(await answerOf(pool, "select current_setting('app.role') || current_setting('app.unit')")).toBe('webu1');
    expect(pool.snapshot().closed).toEqual({});
  });

  test('runs again after the session was reset', async ({ server }) => {
    let runs = 0;
    const onConnect = async (connection: HookConnection): Promise<void> => {
      runs += 1;
      await connection.query("set app.role = 'web'");
    };
    const pool = openPool(server.connection(), { max: 1, onConnect });
    const before = await pidOf(pool);
    await pool.query("set app.role = 'other'");
    expect(await answerOf(pool, "select current_setting('app.role')")).toBe('web');
    expect([runs, await pidOf(pool)]).toEqual([2, before]);
  });

  test('discards the connection and fails the caller when it throws', async ({ server }) => {
    const onConnect = (): never => {
      throw new Error('no such schema');
    };
    const pool = openPool(server.connection(), { startup: 'fail', onConnect });
    const error = await errorOf(pool.query('select 1'));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_UNAVAILABLE', cause: { code: 'ERR_LIFEGUARD_HOOK_FAILED' } });
    expect((error.cause as Error).cause).toMatchObject({ message: 'no such schema' });
    await waitUntil(async () => (await server.backends()).length === 0, { what: 'no backend to be left' });
  });

  test('serves the caller as soon as it no longer throws', async ({ server }) => {
    let runs = 0;
    const onConnect = async (connection: HookConnection): Promise<void> => {
      runs += 1;
      if (runs <= 2) await connection.query('select 1/0');
    };
    const pool = openPool(server.connection(), { max: 1, onConnect });
    expect(await answerOf<number>(pool, 'select 1')).toBe(1);
    expect(pool.snapshot()).toMatchObject({ failedDials: 2, opened: 1 });
  });

  test('is bounded by the connect timeout when it hangs', async ({ server }) => {
    let runs = 0;
    const onConnect = (connection: HookConnection): Promise<unknown> => {
      runs += 1;
      return runs === 1 ? new Promise(() => undefined) : connection.query('select 1');
    };
    const limits = { connectionTimeoutMillis: 100, acquireTimeoutMillis: 5_000 };
    const pool = openPool(server.connection(), { max: 1, ...limits, onConnect: onConnect as () => Promise<void> });
    const failed = listen('lifeguard:pool:dial-failed', pool);
    expect(await answerOf<number>(pool, 'select 1')).toBe(1);
    expect(failed).toMatchObject([{ error: 'ERR_LIFEGUARD_CONNECT_TIMEOUT' }]);
    await waitUntil(async () => (await server.backends()).length === 1, { what: 'the other backend to be gone' });
  });

  test('cannot leave a transaction or a statement behind', async ({ server }) => {
    for (const leave of ['begin', 'select pg_sleep(30)']) {
      const onConnect = async (connection: HookConnection): Promise<void> => {
        const answer = connection.query(leave);
        if (leave === 'begin') await answer;
        else answer.catch(() => undefined);
      };
      const pool = openPool(server.connection(), { startup: 'fail', onConnect });
      expect(await errorOf(pool.ready())).toMatchObject({ cause: { code: 'ERR_LIFEGUARD_HOOK_FAILED' } });
      await pool.close();
    }
    await waitUntil(async () => (await server.backends()).length === 0, { what: 'no backend to be left' });
  });

  test('cannot use its connection after it has returned', async ({ server }) => {
    const kept: HookConnection[] = [];
    const pool = openPool(server.connection(), { max: 1, onConnect: (connection) => void kept.push(connection) });
    const running = pool.query('select pg_sleep(0.05)');
    await waitUntil(() => kept.length === 1, { what: 'the hook to have run' });
    expect(await outcomesOf([kept[0]?.query('set app.x = 1') as Promise<unknown>, running])).toEqual([
      'ERR_LIFEGUARD_LEASE_ENDED',
      'ok',
    ]);
  });
});
