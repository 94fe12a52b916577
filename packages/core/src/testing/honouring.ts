import { createServer, type IncomingMessage, type RequestListener, type Server, ServerResponse } from 'node:http';
import type { Server as SecureServer } from 'node:https';
import type { Duplex } from 'node:stream';
import { SANDBOX_HEADER, Sandbox } from './sandbox.ts';

/** An app of Express, Connect or the like is a function of a request and its response; of Fastify and Nest it is their server. */
export type HonouringApp = RequestListener | Server | SecureServer;

/**
 * Lets a server, or an app, handle each request that carries a sandbox's headers inside that sandbox. For tests alone: it
 * changes nothing for requests without them. A request of a sandbox that has ended, or that is none of this process, is
 * answered with 410, and reaches nobody. A second call on the same server changes nothing.
 */
export function honourSandboxes<S extends Server | SecureServer>(server: S): S;
/** An app of Express, Connect or the like becomes a server, which does not listen yet. */
export function honourSandboxes(app: RequestListener): Server;
export function honourSandboxes(given: HonouringApp): Server | SecureServer {
  const server = typeof given === 'function' ? createServer(given) : given;
  if (HONOURING.has(server)) return server;
  HONOURING.add(server);
  const { emit } = server;
  // Whoever listens already, and whoever comes later, is reached by this one call.
  server.emit = function (this: Server, event: string, ...args: unknown[]): boolean {
    const deliver = (): boolean => Reflect.apply(emit, this, [event, ...args]) as boolean;
    const [request, answer] = args;
    if (!REQUESTS.has(event)) return deliver();
    return admit(request as IncomingMessage, answer as ServerResponse | Duplex, deliver);
  } as typeof server.emit;
  return server;
}

/** https://nodejs.org/api/http.html#class-httpserver */
const REQUESTS: ReadonlySet<string> = new Set(['request', 'checkContinue', 'checkExpectation', 'upgrade', 'connect']);
const HONOURING = new WeakSet<object>();

function admit(request: IncomingMessage, answer: ServerResponse | Duplex, deliver: () => boolean): boolean {
  const carried = request.headers[SANDBOX_HEADER];
  if (carried === undefined) return deliver();
  // Of several pools each has a sandbox of its own.
  const ids = String(carried).split(/\s*,\s*/);
  const sandboxes = ids.map((id) => Sandbox.named(id));
  let inside = deliver;
  for (const one of sandboxes) {
    if (one === undefined) return refuse(answer);
    inside = within(one, inside);
  }
  const all = sandboxes as Sandbox[];
  listenInside(all, request);
  listenInside(all, answer);
  return inside();
}

function within<R>(sandbox: Sandbox, fn: () => R): () => R {
  return () => sandbox.run(fn);
}

/**
 * What comes over the socket is told to listeners in the context of the socket, and not of the request. Body parsers and
 * handlers that listen for themselves are to find their sandbox all the same.
 */
function listenInside(sandboxes: readonly Sandbox[], emitter: IncomingMessage | ServerResponse | Duplex): void {
  const { emit } = emitter;
  emitter.emit = function (this: typeof emitter, ...args: Parameters<typeof emit>): boolean {
    let tell = (): boolean => Reflect.apply(emit, this, args) as boolean;
    for (const one of sandboxes) tell = within(one, tell);
    return tell();
  };
}

function refuse(answer: ServerResponse | Duplex): true {
  const message = `This request belongs to a sandbox (${SANDBOX_HEADER}) that has ended, or is not of this process. Await every request before its test ends.`;
  const body = JSON.stringify({ code: 'ERR_LIFEGUARD_SANDBOX', message });
  if (answer instanceof ServerResponse) {
    answer.writeHead(GONE, { 'content-type': 'application/json', connection: 'close' }).end(body);
  } else {
    answer.end(`HTTP/1.1 ${GONE} Gone\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n${body}`);
  }
  return true;
}

const GONE = 410;
