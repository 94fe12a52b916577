import { inRootContext } from './root-context.ts';

/**
 * The only file that reads time or sets a timer. Everything else is handed a `Clock`, so that tests can drive time
 * instead of sleeping through it.
 */
export interface Clock {
  /** Milliseconds on a clock that never goes back. All deadlines are instants on it. */
  now(): number;
  /** Milliseconds of the wall clock. It goes on while a laptop sleeps, which the other one may not. */
  wall(): number;
  /** Runs `fn` once, `millis` from now. An idle timer does not keep the process alive. */
  after(millis: number, fn: () => void, kind?: 'busy' | 'idle'): Timer;
  /** Runs `fn` when what the sockets already hold has been read. */
  afterInput(fn: () => void): void;
}

export interface Timer {
  cancel(): void;
}

class SystemTimer implements Timer {
  readonly #handle: NodeJS.Timeout;

  constructor(handle: NodeJS.Timeout) {
    this.#handle = handle;
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }
}

/** Node answers a longer delay with 1 ms and a warning. */
const LONGEST_TIMER_MILLIS = 2_147_483_647;

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(millis, fn, kind = 'busy') {
    const delay = Math.min(Math.max(0, Math.ceil(millis)), LONGEST_TIMER_MILLIS);
    const handle = inRootContext(() => setTimeout(fn, delay));
    if (kind === 'idle') handle.unref();
    return new SystemTimer(handle);
  },
  afterInput(fn) {
    // The poll phase lies between two immediates: by the second one, every readable socket has been read.
    setImmediate(() => setImmediate(fn));
  },
};
