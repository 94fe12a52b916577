/** One at a time, in the order in which they were asked for. Whoever waits wakes in its own async context. */
export class Turns {
  #turn: 'free' | 'taken' = 'free';
  /** Wakes those who wait, the first one first. */
  readonly #line: (() => void)[] = [];

  /** The turn, until `leave`; undefined where it is had at once. */
  take(): Promise<void> | undefined {
    if (this.#turn === 'free') {
      this.#turn = 'taken';
      return undefined;
    }
    return new Promise((resolve) => void this.#line.push(resolve));
  }

  /** Handed over, so that nobody who comes in between is ahead of those who wait. */
  leave(): void {
    const next = this.#line.shift();
    if (next === undefined) this.#turn = 'free';
    else next();
  }

  /** For a turn that was taken, and has not come yet. Whoever loses `patience` by then is passed over. */
  async wait<T>(turn: Promise<void>, patience: (turn: Promise<void>) => Promise<T>): Promise<T> {
    try {
      return await patience(turn);
    } catch (error) {
      this.giveUp(turn);
      throw error;
    }
  }

  /** For a turn that is not needed any more. */
  giveUp(turn: Promise<void>): void {
    void turn.then(() => this.leave());
  }

  /** The turn, until the answer is called. */
  async enter(patience: (turn: Promise<void>) => Promise<void>): Promise<() => void> {
    await this.wait(this.take() ?? Promise.resolve(), patience);
    return () => this.leave();
  }
}
