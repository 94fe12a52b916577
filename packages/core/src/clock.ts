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
  /** Runs `fn` once, `millis` from now and never earlier. An idle timer does not keep the process alive. */
  after(millis: number, fn: () => void, kind?: 'busy' | 'idle'): Timer;
  /** Runs `fn` when what the sockets already hold has been read. */
  afterInput(fn: () => void): void;
}

export interface Timer {
  cancel(): void;
  /** An idle one does not keep the process alive. */
  become(kind: 'busy' | 'idle'): void;
}

class SystemTimer implements Timer {
  readonly #due: number;
  readonly #fn: () => void;
  #kind: 'busy' | 'idle';
  #handle: NodeJS.Timeout;

  constructor(due: number, fn: () => void, kind: 'busy' | 'idle') {
    this.#due = due;
    this.#fn = fn;
    this.#kind = kind;
    this.#handle = this.#set();
  }

  cancel(): void {
    clearTimeout(this.#handle);
  }

  become(kind: 'busy' | 'idle'): void {
    this.#kind = kind;
    if (kind === 'idle') this.#handle.unref();
    else this.#handle.ref();
  }

  #set(): NodeJS.Timeout {
    const delay = Math.min(Math.max(0, Math.ceil(this.#due - performance.now())), LONGEST_TIMER_MILLIS);
    const handle = inRootContext(() => setTimeout(() => this.#fire(), delay));
    if (this.#kind === 'idle') handle.unref();
    return handle;
  }

  /** Node reckons from the start of its turn, so that it may be early by a little: too early for whoever then looks. */
  #fire(): void {
    if (performance.now() < this.#due) this.#handle = this.#set();
    else this.#fn();
  }
}

/** Node answers a longer delay with 1 ms and a warning: a longer wait is made of several. */
const LONGEST_TIMER_MILLIS = 2_147_483_647;

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(millis, fn, kind = 'busy') {
    return new SystemTimer(performance.now() + millis, fn, kind);
  },
  afterInput(fn) {
    // The poll phase lies between two immediates: by the second one, every readable socket has been read.
    setImmediate(() => setImmediate(fn));
  },
};

/** For how long the process has waited for input, all in all, in milliseconds: while it did, nothing lay there to be read. */
export function idleMillis(): number {
  return performance.nodeTiming.idleTime;
}
