import { EventEmitter } from 'node:events';
import type { PgClient } from '../pg/pg-subset.ts';

/** Whose view of the client it is. */
export interface Viewer {
  transactionStatus(): 'I' | 'T' | 'E' | null;
  /** A statement of its own runs. */
  isAtWork(): boolean;
}

/**
 * The driver's client of a sandbox, as each of those sees it who stand in for its connection: with listeners of its own,
 * and its own word about transactions. On the driver's client itself is one listener for all, until the sandbox ends.
 */
export class SharedClient {
  readonly #driver: PgClient;
  readonly #ears = new Map<EventEmitter, Viewer>();
  readonly #endings: (() => void)[] = [];

  constructor(driver: PgClient) {
    this.#driver = driver;
    const emitter = driver as unknown as EventEmitter;
    for (const event of EVENTS) {
      const tell = (...args: unknown[]): void => this.#tell(event, args);
      emitter.on(event, tell);
      this.#endings.push(() => emitter.off(event, tell));
    }
  }

  seenBy(viewer: Viewer): PgClient {
    const ears = new EventEmitter();
    this.#ears.set(ears, viewer);
    const own = LISTENING.map((name) => [name, { value: ears[name].bind(ears) }] as const);
    return Object.create(this.#driver, {
      ...Object.fromEntries(own),
      getTransactionStatus: { value: () => viewer.transactionStatus() },
    });
  }

  end(): void {
    for (const ending of this.#endings) ending();
    this.#ears.clear();
  }

  #tell(event: (typeof EVENTS)[number], args: readonly unknown[]): void {
    for (const [ears, viewer] of this.#ears) {
      // What the server remarks is about the statement that runs.
      const isMeant = event !== 'notice' || viewer.isAtWork();
      // An error that nobody hears would be thrown.
      if (isMeant && ears.listenerCount(event) > 0) ears.emit(event, ...args);
    }
  }
}

/** What pg's client tells beside answers. https://node-postgres.com/apis/client#events */
const EVENTS = ['error', 'notice', 'notification', 'end'] as const;
/** https://nodejs.org/api/events.html#class-eventemitter */
const LISTENING = ['on', 'once', 'off', 'addListener', 'removeListener', 'listenerCount'] as const;
