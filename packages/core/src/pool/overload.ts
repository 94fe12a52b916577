import type { OverloadSettings } from '../options.ts';

/**
 * Whether newcomers are turned away. Calm, until the line has stood above its target for a whole interval (CoDel: a
 * line that empties now and then is a burst, one that never does is overload); shedding, until nobody had to be
 * turned away for an interval.
 */
type Mood =
  | { readonly kind: 'calm'; readonly aboveSince: number | undefined }
  | { readonly kind: 'shedding'; lastRefusal: number };

/** One per section of the line, because a bulkhead's own line says nothing about the rest of the pool. */
export class Overload {
  readonly #target: number;
  readonly #interval: number;
  #mood: Mood = { kind: 'calm', aboveSince: undefined };
  /** Mean time between two newcomers being served from the line, and when the last one was. */
  #gap = 0;
  #servedAt: number | undefined;

  constructor(settings: OverloadSettings) {
    this.#target = settings.targetWaitMillis;
    this.#interval = settings.intervalMillis;
  }

  /** Asked for each newcomer on arrival. `stood` is how long the first in the line has waited for no other reason. */
  refuses({ ahead, stood, now }: { ahead: number; stood: number; now: number }): boolean {
    if (this.#mood.kind === 'calm') {
      if (!this.#isStuck(stood, now)) return false;
      this.#mood = { kind: 'shedding', lastRefusal: now };
    }
    if (this.#calmsDown(now) || Math.max(stood, this.#expectedWait(ahead)) <= this.#target) return false;
    this.#mood.lastRefusal = now;
    return true;
  }

  /** Asked for each newcomer whose turn has come: one that waited too long would only be late with its answer. */
  drops(stood: number, now: number): boolean {
    if (this.#mood.kind === 'calm') {
      this.#observe(stood, now);
      return false;
    }
    if (this.#calmsDown(now) || stood <= 2 * this.#target) return false;
    this.#mood.lastRefusal = now;
    return true;
  }

  served(now: number): void {
    if (this.#servedAt !== undefined) this.#gap += SMOOTHING * (now - this.#servedAt - this.#gap);
    this.#servedAt = now;
  }

  /** The line is empty: nobody waits, so nobody waits too long. */
  emptied(): void {
    this.#servedAt = undefined;
    if (this.#mood.kind === 'calm' && this.#mood.aboveSince !== undefined) {
      this.#mood = { kind: 'calm', aboveSince: undefined };
    }
  }

  /** When a line of this length will be gone, as things go: for Retry-After. */
  drainSeconds(length: number): number {
    return Math.min(MAX_RETRY_SECONDS, Math.max(1, Math.ceil(this.#expectedWait(length) / 1_000)));
  }

  /** Nobody's turn has come for an interval: then it cannot be read off those who are served. */
  #isStuck(stood: number, now: number): boolean {
    return (
      stood >= this.#target + this.#interval && now - (this.#servedAt ?? Number.NEGATIVE_INFINITY) >= this.#interval
    );
  }

  #observe(stood: number, now: number): void {
    const mood = this.#mood as Mood & { kind: 'calm' };
    if (stood <= this.#target) this.#mood = { kind: 'calm', aboveSince: undefined };
    else if (mood.aboveSince === undefined) this.#mood = { kind: 'calm', aboveSince: now };
    else if (now - mood.aboveSince >= this.#interval) this.#mood = { kind: 'shedding', lastRefusal: now };
  }

  #calmsDown(now: number): boolean {
    if (this.#mood.kind !== 'shedding' || now - this.#mood.lastRefusal < this.#interval) return false;
    this.#mood = { kind: 'calm', aboveSince: undefined };
    return true;
  }

  #expectedWait(ahead: number): number {
    return (ahead + 1) * this.#gap;
  }
}

const SMOOTHING = 0.05;
const MAX_RETRY_SECONDS = 30;
