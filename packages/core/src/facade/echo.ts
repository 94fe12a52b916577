import { EventEmitter } from 'node:events';
import type { PgClient } from '../pg/pg-subset.ts';
import { bindToHere } from '../scope/ambient.ts';
import { call } from './request.ts';

/** What pg's client tells beside answers. https://node-postgres.com/apis/client#events */
const EVENTS = ['error', 'notice', 'notification', 'end'] as const;

/**
 * Tells the listeners of a client of the façade what the driver's client tells: for as long as it is lent, and only where
 * somebody listens, so that no listener stays behind on a connection that others have next.
 */
export class Echo {
  #stub: EventEmitter | undefined = undefined;
  readonly #client: EventEmitter;
  readonly #driver: () => PgClient | undefined;
  readonly #emit: (event: string, ...args: unknown[]) => void;
  #hub: Hub | undefined = undefined;

  constructor(client: EventEmitter, driver: () => PgClient | undefined) {
    this.#client = client;
    this.#driver = driver;
    // In the context of whoever has the client, and not of whoever opened the socket.
    this.#emit = bindToHere((event, ...args) => void client.emit(event, ...args));
    client.on('newListener', (event) => {
      if (EVENTS.includes(event)) queueMicrotask(() => this.listen());
    });
  }

  /** Where there is no connection to look at. */
  get stub(): EventEmitter {
    this.#stub ??= new EventEmitter();
    return this.#stub;
  }

  /** Where there are listeners, and a connection by now. */
  listen(): void {
    if (this.#hub !== undefined || !EVENTS.some((event) => this.#client.listenerCount(event) > 0)) return;
    const driver = this.#driver();
    if (driver === undefined) return;
    this.#hub = Hub.of(driver);
    this.#hub.add(this);
  }

  /** Whether that connection is still this client's. */
  isOf(driver: PgClient): boolean {
    return this.#driver() === driver;
  }

  tell(event: Event, args: readonly unknown[]): void {
    // An error that nobody hears would end the process; the statement that it befell tells it anyway.
    if (this.#client.listenerCount(event) > 0) call(() => this.#emit(event, ...args));
  }

  stop(): void {
    this.#hub?.delete(this);
    this.#hub = undefined;
  }
}

type Event = (typeof EVENTS)[number];

/** All who listen to one connection at the moment. Those that were forgotten are left out as soon as others come. */
class Hub {
  readonly #driver: PgClient;
  readonly #echoes = new Set<Echo>();

  static of(driver: PgClient): Hub {
    const hub = hubs.get(driver) ?? new Hub(driver);
    hubs.set(driver, hub);
    return hub;
  }

  private constructor(driver: PgClient) {
    this.#driver = driver;
    for (const event of EVENTS) {
      (driver as unknown as EventEmitter).on(event, (...args) => {
        for (const echo of this.#present()) echo.tell(event, args);
      });
    }
  }

  add(echo: Echo): void {
    this.#present();
    this.#echoes.add(echo);
  }

  delete(echo: Echo): void {
    this.#echoes.delete(echo);
  }

  #present(): readonly Echo[] {
    for (const echo of this.#echoes) if (!echo.isOf(this.#driver)) this.#echoes.delete(echo);
    return [...this.#echoes];
  }
}

const hubs = new WeakMap<PgClient, Hub>();
