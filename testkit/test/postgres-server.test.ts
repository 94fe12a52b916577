import { missing, type PostgresServer, waitUntil } from '@lifeguard/testkit';
import { describe, expect, test, testWithServer } from '@lifeguard/testkit/vitest';
import { connectClient } from './client.ts';

const secured = testWithServer({
  auth: 'scram',
  password: 'open sesame',
  ssl: !missing('openssl'),
  settings: { work_mem: '5MB' },
});

test('gives each test file a database of its own', async ({ database }) => {
  const rows = await database.query('select current_database() as name');
  expect(rows).toEqual([{ name: database.name }]);
});

test('shows the connections of a database without its own', async ({ database }) => {
  await connectClient(database.connection, { application_name: 'mine' });
  const backends = await database.waitFor('one backend', (all) => all.length === 1);
  expect(backends[0]).toMatchObject({ applicationName: 'mine', database: database.name });
  expect(await database.backends('another')).toEqual([]);
});

describe('a server of its own', () => {
  test('restarts on the same port with the same data', async ({ server }) => {
    await server.query('create table kept as select 1 as one');
    const { port, pid } = server;
    await server.restart('immediate');
    expect(await server.query('select * from kept')).toEqual([{ one: 1 }]);
    expect(server.port).toBe(port);
    expect(server.pid).not.toBe(pid);
  });

  test('loses its clients when it is killed and starts again', async ({ server }) => {
    const client = await connectClient(server.connection());
    await server.kill();
    await waitUntil(() => client.errors.length > 0, { what: 'the client to notice' });
    await expect(connectClient(server.connection())).rejects.toThrow(/ECONNREFUSED/);
    await server.start();
    expect(await server.query('select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('ends all backends when one of them is killed', async ({ server }) => {
    const [victim, witness] = [await connectClient(server.connection()), await connectClient(server.connection())];
    server.killBackend(await pidOf(victim));
    await waitUntil(() => witness.errors.length > 0, { what: 'the witness to be ended' });
    await waitUntil(() => server.query('select 1').catch(() => undefined), { what: 'the recovery' });
  });

  test('answers nothing while it is paused and everything afterwards', async ({ server }) => {
    const client = await connectClient(server.connection());
    server.pause();
    const late = client.query('select 1 as one');
    await expect(connectClient(server.connection(), { connectionTimeoutMillis: 100 })).rejects.toThrow(/timeout/);
    server.resume();
    expect((await late).rows).toEqual([{ one: 1 }]);
  });

  test('refuses new connections while existing ones go on', async ({ server }) => {
    const client = await connectClient(server.connection());
    await server.refuse();
    await expect(connectClient(server.connection())).rejects.toMatchObject({ code: '28000' });
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
    await server.accept();
    await connectClient(server.connection());
  });

  test('can be stopped while it is paused', async ({ server }) => {
    server.pause();
    await server.restart('fast');
    expect(await server.query('select 1 as one')).toEqual([{ one: 1 }]);
  });
});

describe('a server with options', () => {
  secured('asks for the password', async ({ server }) => {
    await connectClient(server.connection());
    await expect(connectClient({ ...server.connection(), password: 'wrong' })).rejects.toMatchObject({ code: '28P01' });
  });

  secured('takes settings of the test', async ({ server }) => {
    expect(await server.query('show work_mem')).toEqual([{ work_mem: '5MB' }]);
  });

  secured.skipIf(missing('openssl'))('speaks TLS with its own certificate', async ({ server }) => {
    const client = await connectClient(server.connection(), { ssl: { ca: certificateOf(server) } });
    const { rows } = await client.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
    expect(rows).toEqual([{ ssl: true }]);
  });
});

async function pidOf(client: { query(sql: string): Promise<{ rows: { pid: number }[] }> }): Promise<number> {
  return (await client.query('select pg_backend_pid() as pid')).rows[0]?.pid as number;
}

function certificateOf(server: PostgresServer): string {
  return server.certificate ?? '';
}
