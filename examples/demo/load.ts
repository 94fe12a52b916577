import { Agent, request } from 'node:http';
import { Tally } from './tally.ts';

/** Users who come whether or not the service keeps up: an open loop, so that overload is overload. */
export class Load {
  /** Requests per second. */
  rate: number;
  readonly tally = new Tally();
  readonly #port: number;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #pending = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #owed = 0;
  #at = 0;

  constructor(port: number, rate: number) {
    this.#port = port;
    this.rate = rate;
  }

  start(): void {
    this.#at = performance.now();
    this.#timer = setInterval(() => this.#tick(), TICK_MILLIS);
  }

  /** No new requests; those on their way are answered or, after a while, left alone. */
  async stop(graceMillis: number): Promise<void> {
    clearInterval(this.#timer);
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, graceMillis);
    await Promise.race([Promise.all(this.#pending), late.promise]);
    clearTimeout(timer);
    this.#agent.destroy();
  }

  /** One request beside the others. Never rejects: what went wrong is a status. */
  send(route: string): void {
    const answer = this.#request(route).then((status) => {
      this.#pending.delete(answer);
      this.tally.record(status, performance.now());
    });
    this.#pending.add(answer);
  }

  #tick(): void {
    const now = performance.now();
    // After a pause of the process the missing ones are not made up for.
    this.#owed += (this.rate * Math.min(now - this.#at, MAX_GAP_MILLIS)) / 1_000;
    this.#at = now;
    for (; this.#owed >= 1; this.#owed -= 1) if (this.#pending.size < MAX_PENDING) this.send(pickRoute());
  }

  #request(route: string): Promise<number> {
    const [method, path] = route.split(' ') as [string, string];
    return new Promise((resolve) => {
      request({ host: '127.0.0.1', port: this.#port, agent: this.#agent, method, path }, (response) => {
        response.resume().once('close', () => resolve(response.statusCode ?? 0));
      })
        .once('error', () => resolve(0))
        .end();
    });
  }
}

const TICK_MILLIS = 10;
const MAX_GAP_MILLIS = 100;
const MAX_PENDING = 5_000;

function pickRoute(): string {
  const dice = Math.random();
  if (dice < 0.6) return 'GET /users';
  return dice < 0.85 ? 'POST /orders' : 'GET /search';
}
