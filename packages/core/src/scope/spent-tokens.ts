/**
 * The rows of transactions whose end is known: nobody will ask for them any more. They are removed some at a time, and
 * outside of any transaction, because there each of them would meet the others.
 */
export class SpentTokens {
  readonly #remove: Removal;
  #spent: string[] = [];
  /** So many must have come together before they are removed: after a failure, as many more again. */
  #enough = AT_ONCE;
  #removal: Promise<void> | undefined = undefined;

  constructor(remove: Removal) {
    this.#remove = remove;
  }

  get size(): number {
    return this.#spent.length;
  }

  add(token: string): void {
    this.#spent.push(token);
    if (this.#spent.length >= this.#enough && this.#removal === undefined) void this.#sweep(undefined);
  }

  /** Resolves when what is known by now has been removed, or could not be. */
  async flush(timeoutMillis: number): Promise<void> {
    await this.#removal;
    if (this.#spent.length > 0) await this.#sweep(timeoutMillis);
  }

  #sweep(timeoutMillis: number | undefined): Promise<void> {
    this.#removal = this.#removeAll(timeoutMillis).finally(() => {
      this.#removal = undefined;
    });
    return this.#removal;
  }

  async #removeAll(timeoutMillis: number | undefined): Promise<void> {
    const tokens = this.#spent;
    this.#spent = [];
    try {
      await this.#remove(tokens, timeoutMillis);
      this.#enough = AT_ONCE;
    } catch {
      // Rows that stay are harmless; they go with the next removal, or with createCommitTokens() after a day.
      if (this.#spent.length + tokens.length <= KEPT) this.#spent = [...tokens, ...this.#spent];
      this.#enough = this.#spent.length + AT_ONCE;
    }
  }
}

type Removal = (tokens: readonly string[], timeoutMillis: number | undefined) => Promise<unknown>;

const AT_ONCE = 100;
const KEPT = 10_000;
