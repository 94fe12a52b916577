import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { isLifeguardError, type Lease, type LifeguardPool, Owner } from '@lifeguard/core';

/** Whatever a handler is given: the pool, and the unit of work by which its statements are known as one. */
interface Work {
  readonly pool: LifeguardPool;
  readonly name: string;
  readonly owner: Owner;
}

type Handler = (work: Work) => Promise<unknown>;

const ROUTES: Readonly<Record<string, Handler>> = {
  'GET /users': readUser,
  'GET /search': search,
  'POST /orders': placeOrder,
  'GET /report': slowReport,
  'GET /forgetful': forgetLease,
};

/** Hears of every request that did not end well. */
export type OnError = (route: string, error: unknown) => void;

/** The web service of the demo: a handler per route, an answer per outcome. It knows nothing of the demo. */
export class WebServer {
  readonly #pool: LifeguardPool;
  readonly #onError: OnError;
  readonly #http: Server;

  constructor(pool: LifeguardPool, onError: OnError) {
    this.#pool = pool;
    this.#onError = onError;
    this.#http = createServer((request, response) => void this.#answer(request, response));
  }

  get port(): number {
    return (this.#http.address() as AddressInfo).port;
  }

  async listen(): Promise<void> {
    await once(this.#http.listen(0, '127.0.0.1'), 'listening');
  }

  async close(): Promise<void> {
    const closed = once(this.#http, 'close');
    this.#http.close();
    this.#http.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = `${request.method} ${request.url}`;
    const handler = ROUTES[name];
    if (handler === undefined) return send(response, 404, {});
    try {
      send(response, 200, await handler({ pool: this.#pool, name, owner: new Owner() }));
    } catch (error) {
      this.#onError(name, error);
      answerError(response, error);
    }
  }
}

/** Lifeguard's errors bring their status, and 503 its Retry-After. */
function answerError(response: ServerResponse, error: unknown): void {
  const known = isLifeguardError(error) ? error : undefined;
  if (known?.retryAfterSeconds !== undefined) response.setHeader('retry-after', known.retryAfterSeconds);
  send(response, known?.statusCode ?? 500, { error: known?.code ?? 'internal' });
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

/** One statement, some 10 ms. */
async function readUser({ pool, name, owner }: Work): Promise<unknown> {
  const sql = 'select name, pg_sleep(0.02 * random()) from users where id = $1';
  return (await pool.query(sql, [anyOf(100)], { name, owner })).rows;
}

/** One statement, some 50 ms. */
async function search({ pool, name, owner }: Work): Promise<unknown> {
  const sql = 'select count(*), pg_sleep(0.03 + 0.04 * random()) from users where name like $1';
  return (await pool.query(sql, [`%${anyOf(10)}`], { name, owner })).rows;
}

/** Two statements in a transaction, and between them 10 ms of something else: held, but silent. */
async function placeOrder({ pool, name, owner }: Work): Promise<unknown> {
  const lease = await pool.lease({ name, owner });
  try {
    await lease.query('begin');
    const user = await lease.query('select name from users where id = $1', [anyOf(100)]);
    await sleep(10);
    await lease.query('insert into orders (placed_at) values (now())');
    await lease.query('commit');
    return user.rows;
  } finally {
    await lease.release();
  }
}

/** Wants half a minute, and may take 1.5 s. */
async function slowReport({ pool, name, owner }: Work): Promise<unknown> {
  return (await pool.query('select pg_sleep(30)', [], { name, owner, timeoutMillis: 1_500 })).rows;
}

/** The bug that every project has had once: a lease without a release. */
async function forgetLease({ pool, name, owner }: Work): Promise<unknown> {
  const lease = await pool.lease({ name, owner });
  forgotten.add(lease);
  return (await lease.query('select name from users where id = 1')).rows;
}

/** Kept, as a cache would; what nothing refers to any more is found by the garbage collector. */
const forgotten = new Set<Lease>();

function anyOf(count: number): number {
  return 1 + Math.floor(count * Math.random());
}
