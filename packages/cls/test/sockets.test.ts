import { once } from 'node:events';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import type { Namespace } from '../src/index.ts';
import { openNamespace } from './rig.ts';

test('a server, its sockets and its clients keep the contexts in which they were opened', async () => {
  const namespace = openNamespace();
  const seen: string[] = [];
  const note = (where: string): unknown => seen.push(`${where}: ${namespace.get('key')}`);
  const gone = Promise.withResolvers<void>();
  const server = inside(namespace, 'server', () => {
    const made = net.createServer((socket) => {
      note('connection');
      socket.on('data', () => socket.end(String(note('server data'))));
      socket.on('end', () => note('server end')).on('close', () => gone.resolve(void note('server close')));
    });
    return made.listen(0, '127.0.0.1', () => note('listening'));
  });
  closeAfterwards(server);
  await once(server, 'listening');
  const client = inside(namespace, 'client', () => net.connect(portOf(server), '127.0.0.1', () => note('connect')));
  client.on('data', () => note('client data')).on('close', () => note('client close'));
  client.write('Hello');
  await Promise.all([once(client, 'close'), gone.promise]);
  const ofServer = ['connection', 'listening', 'server close', 'server data', 'server end'];
  const ofClient = ['client close', 'client data', 'connect'];
  const expected = [...ofServer.map((what) => `${what}: server`), ...ofClient.map((what) => `${what}: client`)];
  expect(seen.toSorted()).toEqual(expected.toSorted());
});

test('a listener that a connection adds later is in the context of the server too', async () => {
  const namespace = openNamespace();
  const server = inside(namespace, 'server', () => net.createServer().listen(0, '127.0.0.1'));
  closeAfterwards(server);
  await once(server, 'listening');
  const seen = new Promise((resolve) => {
    server.on('connection', (socket) => {
      process.nextTick(() => socket.on('data', () => resolve(namespace.get('key'))));
    });
  });
  const client = net.connect(portOf(server), '127.0.0.1', () => client.end('Hello'));
  expect(await seen).toBe('server');
});

test('a socket that is accepted in no context stays in none', async () => {
  const namespace = openNamespace();
  const server = net.createServer().listen(0, '127.0.0.1');
  closeAfterwards(server);
  await once(server, 'listening');
  const accepted = once(server, 'connection');
  const client = inside(namespace, 'client', () => net.connect(portOf(server), '127.0.0.1'));
  const [socket] = (await accepted) as [net.Socket];
  const seen = new Promise((resolve) =>
    socket.on('data', () => resolve([namespace.active, Object.hasOwn(socket, 'emit')])),
  );
  client.end('Hello');
  expect(await seen).toEqual([null, false]);
});

test('an http server and its client keep their contexts through headers and body', async () => {
  const namespace = openNamespace();
  const seen: Record<string, unknown> = {};
  const server = inside(namespace, 'server', () =>
    http.createServer((request, response) => {
      seen['request'] = namespace.get('key');
      request.on('data', () => (seen['request data'] = namespace.get('key')));
      request.on('end', () => response.end('World'));
    }),
  );
  await inside(namespace, 'server', () => listening(server));
  await inside(namespace, 'client', async () => {
    const request = http.request({ port: portOf(server), host: '127.0.0.1', method: 'POST' });
    const answered = new Promise((resolve) => {
      request.on('response', (response) => {
        seen['response'] = namespace.get('key');
        response.on('data', () => (seen['response data'] = namespace.get('key')));
        response.on('end', resolve);
      });
    });
    request.end('Hello');
    await answered;
  });
  expect(seen).toEqual({ request: 'server', 'request data': 'server', response: 'client', 'response data': 'client' });
});

test('requests that share the one socket of an agent keep their own contexts', async () => {
  const namespace = openNamespace();
  const server = http.createServer((_request, response) => response.end('World'));
  await listening(server);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  const ask = (value: number): Promise<unknown> =>
    inside(
      namespace,
      value,
      () =>
        new Promise((resolve) => {
          const options = { agent, port: portOf(server), host: '127.0.0.1' };
          http.get(options, (response) => {
            const first = namespace.get('key');
            response.on('end', () => resolve([first, namespace.get('key')])).resume();
          });
        }),
    );
  expect(await Promise.all([1, 2, 3, 4].map(ask))).toEqual([1, 2, 3, 4].map((value) => [value, value]));
});

test('a fetch keeps its context through its body', async () => {
  const namespace = openNamespace();
  const server = http.createServer((_request, response) => response.end('World'));
  await listening(server);
  const ask = (value: number): Promise<unknown> =>
    inside(namespace, value, async () => {
      const response = await fetch(`http://127.0.0.1:${portOf(server)}/`);
      return [await response.text(), namespace.get('key')];
    });
  expect(await Promise.all([1, 2, 3].map(ask))).toEqual([1, 2, 3].map((value) => ['World', value]));
});

function inside<R>(namespace: Namespace, value: unknown, fn: () => R): R {
  return namespace.runAndReturn(() => {
    namespace.set('key', value);
    return fn();
  });
}

async function listening(server: http.Server): Promise<void> {
  closeAfterwards(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

function closeAfterwards(server: net.Server): void {
  onTestFinished(() => {
    server.close();
    if (server instanceof http.Server) server.closeAllConnections();
  });
}

function portOf(server: net.Server): number {
  return (server.address() as AddressInfo).port;
}
