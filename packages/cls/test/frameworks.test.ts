import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import multipart from '@fastify/multipart';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import express from 'express';
import fastify from 'fastify';
import multer from 'multer';
import type { Namespace } from '../src/index.ts';
import { openNamespace } from './rig.ts';

/** Serves `POST /json` and `POST /upload`, which answer with what they find in the request's context. */
type Server = (namespace: Namespace, binds: boolean) => Promise<number>;

const expressServer: Server = async (namespace, binds) => {
  const app = express();
  app.use((request, response, next) => {
    if (binds) for (const emitter of [request, response]) namespace.bindEmitter(emitter);
    namespace.run(() => {
      namespace.set('id', request.headers['x-id']);
      next();
    });
  });
  const answer: express.RequestHandler = (_request, response) => void response.json(namespace.get('id') ?? 'lost');
  app.post('/json', express.json(), answer);
  app.post('/upload', multer().any(), answer);
  const server = app.listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
};

const fastifyServer: Server = async (namespace, binds) => {
  const app = fastify();
  await app.register(multipart);
  app.addHook('onRequest', (request, reply, done) => {
    if (binds) for (const emitter of [request.raw, reply.raw]) namespace.bindEmitter(emitter);
    namespace.run(() => {
      namespace.set('id', request.headers['x-id']);
      done();
    });
  });
  const answer = (): unknown => JSON.stringify(namespace.get('id') ?? 'lost');
  app.post('/json', answer);
  app.post('/upload', async (request) => {
    for await (const part of request.files()) await part.toBuffer();
    return answer();
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  onTestFinished(() => app.close());
  return (app.server.address() as AddressInfo).port;
};

/** One body in two packets, so that the handler waits for the second, on a socket that is kept alive. */
function post(port: number, path: string, { agent, id }: { agent: http.Agent; id: string }): Promise<string> {
  return new Promise((resolve, reject) => {
    const { type, head, tail } = path === '/json' ? JSON_BODY : UPLOAD;
    const headers = { 'x-id': id, 'content-type': type, 'content-length': head.length + tail.length };
    const request = http.request({ port, host: '127.0.0.1', path, method: 'POST', headers, agent });
    request.on('error', reject).on('response', async (response) => {
      let text = '';
      for await (const chunk of response) text += chunk;
      resolve(text);
    });
    request.write(head, () => setImmediate(() => request.end(tail)));
  });
}

const JSON_BODY = { type: 'application/json', head: '{"a":', tail: '1}' };
const UPLOAD = {
  type: 'multipart/form-data; boundary=edge',
  head: `--edge\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n${'a'.repeat(70_000)}`,
  tail: `${'b'.repeat(70_000)}\r\n--edge--\r\n`,
};

const servers = [
  ['Express', expressServer],
  ['Fastify', fastifyServer],
] as const;

describe.for(servers)('in %s', ([, serve]) => {
  test.for([
    ['/json', false],
    ['/json', true],
    ['/upload', false],
    ['/upload', true],
  ] as const)(
    'a handler behind %s finds the context of its request, with bound emitters: %s',
    async ([path, binds]) => {
      const port = await serve(openNamespace(), binds);
      const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
      onTestFinished(() => agent.destroy());
      const ids = ['1', '2', '3', '4', '5', '6'];
      const answers = await Promise.all(ids.map((id) => post(port, path, { agent, id })));
      expect(answers).toEqual(ids.map((id) => JSON.stringify(id)));
    },
  );
});
