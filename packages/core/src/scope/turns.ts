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
  async wait(turn: Promise<void>, patience: (turn: Promise<void>) => Promise<void>): Promise<void> {
    try {
      await patience(turn);
    } catch (error) {
      void turn.then(() => this.leave());
      throw error;
    }
  }

  /** The turn, until the answer is called. */
  async enter(patience: (turn: Promise<void>) => Promise<void>): Promise<() => void> {
    await this.wait(this.take() ?? Promise.resolve(), patience);
    return () => this.leave();
  }
}
