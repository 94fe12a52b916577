/** One at a time, in the order in which they were asked for. Each runs in the async context of whoever asked for it. */
export class Turns {
  #last: Promise<void> | undefined;

  get isFree(): boolean {
    return this.#last === undefined;
  }

  /** The turn, until the answer is called. Whoever loses `patience` by then is passed over. */
  async enter(patience: (turn: Promise<void>) => Promise<void>): Promise<() => void> {
    const entered = Promise.withResolvers<void>();
    const left = Promise.withResolvers<void>();
    void this.next(() => {
      entered.resolve();
      return left.promise;
    });
    try {
      await patience(entered.promise);
    } catch (error) {
      left.resolve();
      throw error;
    }
    return left.resolve;
  }

  /** Runs `job` when all before it have settled; at once where there are none. */
  next<T>(job: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const over = Promise.withResolvers<void>();
    // Said before the job begins: what it asks for itself comes after it.
    this.#last = over.promise;
    const answer = before === undefined ? job() : before.then(job);
    const leave = (): void => {
      if (this.#last === over.promise) this.#last = undefined;
      over.resolve();
    };
    answer.then(leave, leave);
    return answer;
  }
}
