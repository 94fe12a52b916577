import type { Clock, Timer } from '../clock.ts';
import { publish } from '../events.ts';
import type { PoolSettings } from './pool-settings.ts';

/** One timer for everything that only time brings about: idle ends, lifetimes, keepalive, the minimum, leaks, caps. */
export class Upkeep {
  readonly #settings: PoolSettings;
  readonly #clock: Clock;
  readonly #ends: UpkeepEnds;
  readonly #periodMillis: number;
  #timer: Timer | undefined;
  #due = Number.POSITIVE_INFINITY;
  #wallDue = Number.POSITIVE_INFINITY;

  constructor(settings: PoolSettings, clock: Clock, ends: UpkeepEnds) {
    this.#settings = settings;
    this.#clock = clock;
    this.#ends = ends;
    this.#periodMillis = periodFor(settings);
  }

  /** The instant by which the process was certainly asleep, frozen or blocked if no tick has come. */
  get lateAt(): number {
    return this.#due + LATE_MILLIS;
  }

  /** Harmless when it runs already. */
  start(): void {
    if (this.#timer === undefined) this.#schedule();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#due = Number.POSITIVE_INFINITY;
  }

  #schedule(): void {
    this.#due = this.#clock.now() + this.#periodMillis;
    this.#wallDue = this.#clock.wall() + this.#periodMillis;
    this.#timer = this.#clock.after(this.#periodMillis, () => this.#run(), 'idle');
  }

  #run(): void {
    const now = this.#clock.now();
    // A sleeping laptop may stop one clock and not the other; a wall clock that was set back proves nothing.
    const lateMillis = Math.max(now - this.#due, this.#clock.wall() - this.#wallDue);
    this.#schedule();
    if (lateMillis > LATE_MILLIS) {
      publish('lifeguard:pool:late-tick', () => ({ pool: this.#settings.name, lateMillis }));
      this.#ends.late();
    }
    this.#ends.tick(now);
  }
}

export interface UpkeepEnds {
  tick(now: number): void;
  /** The process slept: whatever it knows of its connections is of before. */
  late(): void;
}

/** Fine enough for the shortest limit that is enforced by ticks, and no finer. */
function periodFor(settings: PoolSettings): number {
  const { idleTimeoutMillis, keepaliveMillis, closeTimeoutMillis, leakAfterMillis, reclaimAfterMillis } = settings;
  const lifetimeMillis = settings.maxLifetimeSeconds * 1_000;
  const limits = [
    idleTimeoutMillis,
    keepaliveMillis,
    closeTimeoutMillis,
    leakAfterMillis,
    reclaimAfterMillis,
    lifetimeMillis,
    // The reserve is opened by a tick, because nothing else happens while a full pool stands still.
    settings.reserve > 0 ? settings.reserveAfterMillis : 0,
  ];
  return Math.min(1_000, Math.max(20, Math.min(...limits.filter((limit) => limit > 0)) / 4));
}

/** Later than any garbage collection: a frozen function, a suspended laptop, a loop blocked for seconds. */
const LATE_MILLIS = 3_000;
