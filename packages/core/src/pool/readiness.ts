/** Those who await `ready()`. */
export class Readiness {
  readonly #waiting = new Set<Awaiting>();

  wait(signal: AbortSignal | undefined, gaveUp: (reason: unknown) => unknown): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(gaveUp(signal.reason));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const entry: Awaiting = { resolve, reject };
    const giveUp = (): void => {
      if (this.#waiting.delete(entry)) reject(gaveUp(signal?.reason));
    };
    this.#waiting.add(entry);
    signal?.addEventListener('abort', giveUp);
    // A signal may outlive many calls, and must not keep what they have left.
    return promise.finally(() => signal?.removeEventListener('abort', giveUp));
  }

  get awaited(): boolean {
    return this.#waiting.size > 0;
  }

  reached(): void {
    for (const entry of this.#waiting) entry.resolve();
    this.#waiting.clear();
  }

  failed(error: () => unknown): void {
    for (const entry of this.#waiting) entry.reject(error());
    this.#waiting.clear();
  }
}

interface Awaiting {
  resolve(): void;
  reject(error: unknown): void;
}
