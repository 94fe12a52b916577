/** A transaction may end under its function's hands: at its deadline, or because its caller left. */
export class EarlyEnd {
  #come: { readonly error: unknown } | undefined;
  #tell: ((error: unknown) => void) | undefined;

  /** What the function makes of it, unless it ends before. */
  outcomeOf<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      work.then(resolve, reject);
      if (this.#come === undefined) this.#tell = reject;
      else reject(this.#come.error);
    });
  }

  /** The function is not waited for any more. */
  came(error: unknown): void {
    this.#come ??= { error };
    this.#tell?.(error);
  }
}
