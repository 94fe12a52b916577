import { waitUntil } from '@lifeguard/testkit';
import { onTestFinished, vi } from '@lifeguard/testkit/vitest';
import { systemClock } from '../../src/clock.ts';

/** So long a library may be quiet inside its transaction before somebody who waits is let in. */
const GRACE_MILLIS = 100;
/** So long a cursor that has the connection to itself may be idle before somebody who waits for it is looked after. */
export const IDLE_MILLIS = 500;

/** The grace, driven by the test: it ends when the test says so, and never by itself. */
export class Grace {
  readonly #armed = new Set<() => void>();

  /** From now on, until the end of the test. */
  static held(which = GRACE_MILLIS): Grace {
    const grace = new Grace();
    const after = systemClock.after.bind(systemClock);
    const spy = vi.spyOn(systemClock, 'after').mockImplementation((millis, fn, kind) => {
      return millis === which ? grace.#arm(fn) : after(millis, fn, kind);
    });
    onTestFinished(() => spy.mockRestore());
    return grace;
  }

  /** As long as given here, for tests in which hundreds of them pass. */
  static lasting(graceMillis: number): void {
    const after = systemClock.after.bind(systemClock);
    const spy = vi
      .spyOn(systemClock, 'after')
      .mockImplementation((millis, fn, kind) => after(millis === GRACE_MILLIS ? graceMillis : millis, fn, kind));
    onTestFinished(() => spy.mockRestore());
  }

  /** Whether somebody waits behind a library that is quiet. */
  get isRunning(): boolean {
    return this.#armed.size > 0;
  }

  /** Waits until somebody waits behind one that is quiet, and lets the time pass. */
  async passes(): Promise<void> {
    await waitUntil(() => this.isRunning, { what: 'somebody who waits behind a library that is quiet' });
    for (const fire of [...this.#armed]) fire();
  }

  /** Lets it pass whenever somebody waits, until all is done. */
  async passesFor<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const done = (): void => {
      isDone = true;
    };
    work.then(done, done);
    while (!isDone) {
      await waitUntil(() => isDone || this.isRunning, { what: 'work that goes on', everyMillis: 1 });
      for (const fire of [...this.#armed]) fire();
    }
    return work;
  }

  #arm(fn: () => void): ReturnType<typeof systemClock.after> {
    const fire = (): void => {
      this.#armed.delete(fire);
      fn();
    };
    this.#armed.add(fire);
    return { cancel: () => void this.#armed.delete(fire), become: () => undefined };
  }
}

/** A moment that a test brings about, and that others wait for. */
export class Moment {
  readonly #promise: Promise<void>;
  readonly come: () => void;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#promise = promise;
    this.come = resolve;
  }

  comes(): Promise<void> {
    return this.#promise;
  }
}
