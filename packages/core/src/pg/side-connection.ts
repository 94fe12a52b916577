import type { PgConnection } from './pg-connection.ts';

/**
 * A connection beside the pool, for questions about sessions and transactions that were lost: one at a time, so that the
 * server is never asked for more than one connection above the ceiling.
 */
export class SideConnection {
  readonly #login: (signal: AbortSignal) => Promise<PgConnection>;
  #last: Promise<unknown> = Promise.resolve();

  constructor(login: (signal: AbortSignal) => Promise<PgConnection>) {
    this.#login = login;
  }

  /** Opens it when it is free, for the time of `work`; cut off when the signal aborts. */
  use<T>(signal: AbortSignal, work: (side: PgConnection) => Promise<T>): Promise<T> {
    const answer = this.#last.then(() => this.#use(signal, work));
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  async #use<T>(signal: AbortSignal, work: (side: PgConnection) => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    const side = await this.#login(signal);
    signal.addEventListener('abort', () => side.cutOff(), { once: true });
    try {
      return await work(side);
    } finally {
      // One that was cut off does not see the server close.
      if (!signal.aborted) await untilAborted(signal, side.leave()).catch(() => undefined);
    }
  }
}

function untilAborted(signal: AbortSignal, work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    work.then(resolve, reject);
  });
}
