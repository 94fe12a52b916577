import type { Clock, Timer } from '../../packages/core/src/clock.ts';

interface Alarm {
  readonly due: number;
  readonly fn: () => void;
}

/** A clock that goes when it is told to: a wait of minutes costs nothing, and no timer of Node's is measured. */
export class ManualClock implements Clock {
  #now = 0;
  readonly #alarms = new Set<Alarm>();

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#now;
  }

  after(millis: number, fn: () => void): Timer {
    const alarm: Alarm = { due: this.#now + millis, fn };
    this.#alarms.add(alarm);
    return { cancel: () => void this.#alarms.delete(alarm), become: () => undefined };
  }

  afterInput(fn: () => void): void {
    fn();
  }

  advance(millis: number): void {
    this.#now += millis;
    for (const alarm of [...this.#alarms]) if (alarm.due <= this.#now && this.#alarms.delete(alarm)) alarm.fn();
  }
}
