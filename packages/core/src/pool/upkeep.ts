import type { Clock, Timer } from '../clock.ts';
import { publish } from '../events.ts';
import type { PoolSettings } from './pool-settings.ts';

/** One timer for everything that only time brings about: idle ends, lifetimes, keepalive, the minimum, leaks, caps. */
export class Upkeep {
  readonly #settings: PoolSettings;
  readonly #clock: Clock;
  readonly #ends: UpkeepEnds;
  readonly #periodMillis: number;
  /** The tick to come, and when it is due on either clock. */
  #next: { readonly timer: Timer; readonly due: number; readonly wallDue: number } | undefined;

  constructor(settings: PoolSettings, clock: Clock, ends: UpkeepEnds) {
    this.#settings = settings;
    this.#clock = clock;
    this.#ends = ends;
    this.#periodMillis = periodFor(settings);
  }

  /**
   * Whoever asks before a late tick has run must not get a connection that it would have had checked. The wall clock
   * is looked at too where that is worth its price.
   */
  mind(now: number, alsoWall: boolean): void {
    const next = this.#next;
    if (next === undefined) return;
    if (now > next.due + LATE_MILLIS) this.#ends.late();
    else if (alsoWall) this.#mindWall(next);
  }

  /** Harmless when it runs already. */
  start(): void {
    if (this.#next === undefined) this.#schedule();
  }

  stop(): void {
    this.#next?.timer.cancel();
    this.#next = undefined;
  }

  #schedule(): void {
    const due = this.#clock.now() + this.#periodMillis;
    const wallDue = this.#clock.wall() + this.#periodMillis;
    const timer = this.#clock.after(this.#periodMillis, () => this.#run(due, wallDue), 'idle');
    this.#next = { timer, due, wallDue };
  }

  #run(due: number, wallDue: number): void {
    const now = this.#clock.now();
    // A sleeping laptop may stop one clock and not the other; a wall clock that was set back proves nothing.
    const lateMillis = Math.max(now - due, this.#clock.wall() - wallDue);
    this.#schedule();
    if (lateMillis > LATE_MILLIS) this.#late(lateMillis);
    this.#ends.tick(now);
  }

  /** Once: what was checked since is fit, and the tick that is still to come would have it checked again. */
  #mindWall({ timer, wallDue }: { timer: Timer; wallDue: number }): void {
    const lateMillis = this.#clock.wall() - wallDue;
    if (lateMillis <= LATE_MILLIS) return;
    timer.cancel();
    this.#schedule();
    this.#late(lateMillis);
  }

  #late(lateMillis: number): void {
    publish('lifeguard:pool:late-tick', () => ({ pool: this.#settings.name, lateMillis }));
    this.#ends.late();
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
