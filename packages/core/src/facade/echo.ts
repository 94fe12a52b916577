import { EventEmitter } from 'node:events';
import type { PgClient } from '../pg/pg-subset.ts';
import { bindToHere } from '../scope/ambient.ts';

/** What pg's client tells beside answers. https://node-postgres.com/apis/client#events */
const EVENTS = ['error', 'notice', 'notification', 'end'] as const;

/**
 * Tells the listeners of a client of the façade what the driver's client tells: for as long as it is lent, and only where
 * somebody listens, so that no listener stays behind on a connection that others have next.
 */
export class Echo {
  /** Where there is no connection to look at. */
  readonly stub: EventEmitter = new EventEmitter();
  readonly #client: EventEmitter;
  readonly #driver: () => PgClient | undefined;
  readonly #emit: (event: string, ...args: unknown[]) => void;
  readonly #attached: (() => void)[] = [];

  constructor(client: EventEmitter, driver: () => PgClient | undefined) {
    this.#client = client;
    this.#driver = driver;
    // In the context of whoever has the client, and not of whoever opened the socket.
    this.#emit = bindToHere((event, ...args) => void client.emit(event, ...args));
    client.on('newListener', (event) => {
      if (EVENTS.includes(event)) queueMicrotask(() => this.listen());
    });
  }

  /** Where there are listeners, and a connection by now. */
  listen(): void {
    if (this.#attached.length > 0 || !EVENTS.some((event) => this.#client.listenerCount(event) > 0)) return;
    const driver = this.#driver() as unknown as EventEmitter | undefined;
    if (driver === undefined) return;
    for (const event of EVENTS) {
      const listener = (...args: unknown[]): void => {
        // An error that nobody hears would end the process; the statement that it befell tells it anyway.
        if (this.#client.listenerCount(event) > 0) this.#emit(event, ...args);
      };
      driver.on(event, listener);
      this.#attached.push(() => driver.off(event, listener));
    }
  }

  stop(): void {
    for (const detach of this.#attached.splice(0)) detach();
  }
}
