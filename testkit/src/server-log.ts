const KEPT = 262_144;

/** What a server wrote, its end only; whoever starts it waits for a line here. */
export class ServerLog {
  #text = '';
  readonly #listeners = new Set<(text: string) => void>();

  readonly append = (text: string): void => {
    this.#text = (this.#text + text).slice(-KEPT);
    for (const listener of this.#listeners) listener(text);
  };

  /** Calls back at every piece until the returned function is called. */
  listen(listener: (text: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  toString(): string {
    return this.#text;
  }
}
