/**
 * The rows of transactions whose end is known: nobody will ask for them any more. They are removed some at a time, and
 * outside of any transaction, because there each of them would meet the others.
 */
export class SpentTokens {
  readonly #remove: (tokens: readonly string[]) => Promise<unknown>;
  #spent: string[] = [];
  #removal: Promise<void> = Promise.resolve();

  constructor(remove: (tokens: readonly string[]) => Promise<unknown>) {
    this.#remove = remove;
  }

  get size(): number {
    return this.#spent.length;
  }

  add(token: string): void {
    this.#spent.push(token);
    if (this.#spent.length >= AT_ONCE) this.#removal = this.#sweep();
  }

  /** Resolves when what is known by now has been removed, or could not be. */
  async flush(): Promise<void> {
    await this.#removal;
    if (this.#spent.length > 0) await this.#sweep();
  }

  async #sweep(): Promise<void> {
    const tokens = this.#spent;
    this.#spent = [];
    try {
      await this.#remove(tokens);
    } catch {
      // Rows that stay are harmless; they go with the next removal, or with createCommitTokens() after a day.
      if (this.#spent.length + tokens.length <= KEPT) this.#spent.push(...tokens);
    }
  }
}

const AT_ONCE = 100;
const KEPT = 10_000;
