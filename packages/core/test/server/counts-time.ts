/** A timer that was set and never comes due: what pg and the pool do with the real one's handle. */
class StillTimer {
  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return false;
  }
}

/**
 * Time that stands still in all of this process. No tick of the pool comes between, nothing is ever slow, and a limit that
 * is sent as what is left of it has the same digits each time. What is ready goes on: immediates run.
 */
export class StillTime {
  /** Timers and immediates that were made. */
  made = 0;

  /** Before anything reads a clock; there is no way back. */
  install(): void {
    const { setImmediate } = globalThis;
    const still = (): StillTimer => {
      this.made += 1;
      return new StillTimer();
    };
    const immediate = (...args: Parameters<typeof setImmediate>): NodeJS.Immediate => {
      this.made += 1;
      return setImmediate(...args);
    };
    Object.assign(globalThis, { setTimeout: still, setInterval: still, setImmediate: immediate });
    const [now, wall] = [1_000_000, Date.now()];
    Object.assign(performance, { now: () => now });
    Object.assign(Date, { now: () => wall });
  }
}
