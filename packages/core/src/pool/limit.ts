import type { Clock, Timer } from '../clock.ts';

/**
 * A time limit that does not count the time in which our own loop was blocked: the answer may lie in a socket that
 * could not be read. So a timer that comes late reads first, and then grants what it was late by.
 */
export class Limit {
  readonly #clock: Clock;
  readonly #over: () => void;
  #stage:
    | { readonly kind: 'running'; readonly timer: Timer }
    | { readonly kind: 'reading' }
    | { readonly kind: 'done' };

  constructor(clock: Clock, millis: number, over: () => void) {
    this.#clock = clock;
    this.#over = over;
    this.#stage = this.#run(millis);
  }

  cancel(): void {
    if (this.#stage.kind === 'running') this.#stage.timer.cancel();
    this.#stage = { kind: 'done' };
  }

  #run(millis: number): { readonly kind: 'running'; readonly timer: Timer } {
    const due = this.#clock.now() + millis;
    return { kind: 'running', timer: this.#clock.after(millis, () => this.#onTimer(this.#clock.now() - due, millis)) };
  }

  #onTimer(lateMillis: number, millis: number): void {
    if (lateMillis < LATE_MILLIS) {
      this.#stage = { kind: 'done' };
      return this.#over();
    }
    this.#stage = { kind: 'reading' };
    this.#clock.afterInput(() => {
      if (this.#stage.kind === 'reading') this.#stage = this.#run(Math.min(lateMillis, millis));
    });
  }
}

/** A timer this late was held up by the process itself. */
const LATE_MILLIS = 50;
