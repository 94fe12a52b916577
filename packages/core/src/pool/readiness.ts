/** Those who await `ready()`. */
export class Readiness {
  readonly #waiting = new Set<{ resolve(): void; reject(error: unknown): void }>();

  wait(signal: AbortSignal | undefined, gaveUp: (reason: unknown) => unknown): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(gaveUp(signal.reason));
    return new Promise((resolve, reject) => {
      const entry = { resolve, reject };
      this.#waiting.add(entry);
      signal?.addEventListener('abort', () => this.#waiting.delete(entry) && reject(gaveUp(signal.reason)), {
        once: true,
      });
    });
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
