import { isFarewell } from './loss.ts';
import type { ServerMessage } from './pg-subset.ts';

/** How a session ends, as far as it was seen. */
export class SessionEnd {
  /**
   * Whether the server's end was seen: it said goodbye, or it hung up after we did. A reset, a silent network, a cut of
   * our own say nothing of the server's side, where the session may live on.
   */
  #serverSide: 'open' | 'hung-up' | 'unseen' = 'open';
  #lastWords: ServerMessage | undefined;
  readonly #gone = Promise.withResolvers<void>();

  constructor() {
    this.#gone.promise.catch(() => undefined); // Not everybody asks.
  }

  /** Settles with the end of our side; rejects where the server's was not seen. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  /** The server's reason, where it said one before it hung up. */
  get lastWords(): ServerMessage | undefined {
    return this.#lastWords;
  }

  /** Whether the server hangs up after this. */
  heard(error: unknown): boolean {
    if (!isFarewell(error)) return false;
    this.#lastWords = error;
    return true;
  }

  /** Of a crash of another backend (57P02) a notice is all that is ever said: the connection then just ends. */
  noticed({ message, code, severity }: ServerMessage): void {
    if (code?.startsWith('57P')) this.#lastWords = Object.assign(new Error(message), { code, severity });
  }

  /** After we said goodbye. */
  serverHungUp(): void {
    if (this.#serverSide === 'open') this.#serverSide = 'hung-up';
  }

  cutOff(): void {
    if (this.#serverSide === 'open') this.#serverSide = 'unseen';
  }

  closed(): void {
    if (this.#serverSide === 'hung-up' || this.#lastWords !== undefined) this.#gone.resolve();
    else this.#gone.reject(new Error('The end of the session was not seen: the server may still have it.'));
  }
}
