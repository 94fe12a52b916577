import type { Clock, Timer } from './clock.ts';

/**
 * Deadlines for many at the price of one timer: arming, disarming and expiring are O(1), also with 100,000 of them.
 *
 * ```
 *   bucket = ⌊due ÷ 8 ms⌋ mod 512, one turn of the wheel = 4,096 ms
 *
 *   [0]  [1]  [2] … [511]
 *    │         │
 *    A         D            A is due in this turn, B in the next one: whoever is met too early stays where it is
 *    │
 *    B
 * ```
 * An entry is a link of a doubly linked list, so leaving needs no search. The timer is set for the next bucket that
 * holds anything. When the wheel becomes empty it is left as it is, and lies idle: most deadlines are never reached, and
 * the next one is mostly later.
 */
export class DeadlineWheel {
  readonly #clock: Clock;
  readonly #buckets: (DeadlineEntry | undefined)[] = new Array(BUCKETS);
  /** Entries armed. While it is not 0 the timer is set, for no later than the first of them. */
  #armed = 0;
  /** The next tick to look at: all buckets before it have been emptied of what was due. */
  #tick = 0;
  #timer: { readonly handle: Timer; readonly tick: number } | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `entry.expire` is called once, at `due` or up to 8 ms later, unless it is disarmed before. */
  arm(entry: DeadlineEntry, due: number): void {
    if (this.#armed === 0) this.#tick = tickOf(this.#clock.now());
    entry.due = due;
    entry.tick = Math.max(tickOf(due) + 1, this.#tick);
    const index = entry.tick % BUCKETS;
    const first = this.#buckets[index];
    entry.before = undefined;
    entry.after = first;
    if (first !== undefined) first.before = entry;
    this.#buckets[index] = entry;
    this.#armed += 1;
    if (this.#timer === undefined || entry.tick < this.#timer.tick) this.#setTimer(entry.tick);
    else if (this.#armed === 1) this.#timer.handle.become('busy');
  }

  disarm(entry: DeadlineEntry): void {
    if (entry.tick < 0) return;
    const index = entry.tick % BUCKETS;
    if (entry.before === undefined) this.#buckets[index] = entry.after;
    else entry.before.after = entry.after;
    if (entry.after !== undefined) entry.after.before = entry.before;
    entry.before = undefined;
    entry.after = undefined;
    entry.tick = -1;
    this.#armed -= 1;
    if (this.#armed === 0) this.#timer?.handle.become('idle');
  }

  #onTimer(): void {
    this.#timer = undefined;
    if (this.#armed === 0) return;
    const now = this.#clock.now();
    const until = tickOf(now);
    // After a long block one turn meets every bucket; more turns would meet the same ones again.
    const from = Math.max(this.#tick, until - BUCKETS + 1);
    this.#tick = until + 1;
    for (let tick = from; tick <= until; tick += 1) this.#expire(tick % BUCKETS, until, now);
    // Also when one was armed on the way and set the timer for itself: others may be due before it.
    if (this.#armed > 0) this.#setTimer(this.#nextTick());
  }

  #expire(index: number, until: number, now: number): void {
    for (let entry = this.#buckets[index]; entry !== undefined; ) {
      const next: DeadlineEntry | undefined = entry.after;
      if (entry.tick >= 0 && entry.tick <= until) {
        this.disarm(entry);
        entry.expire(now);
      }
      // `expire` may have moved the neighbour to no bucket or another one: then the rest is met from the start again.
      entry = next === undefined || next.tick % BUCKETS === index ? next : this.#buckets[index];
    }
  }

  #nextTick(): number {
    for (let ahead = 0; ahead < BUCKETS; ahead += 1) {
      if (this.#buckets[(this.#tick + ahead) % BUCKETS] !== undefined) return this.#tick + ahead;
    }
    throw new Error('bug: the wheel counts entries that lie in no bucket');
  }

  #setTimer(tick: number): void {
    this.#timer?.handle.cancel();
    const handle = this.#clock.after(tick * TICK_MILLIS - this.#clock.now(), () => this.#onTimer());
    this.#timer = { handle, tick };
  }
}

/** Base of whatever can run out: a waiter, a running statement. Only the wheel touches its fields. */
export abstract class DeadlineEntry {
  due = 0;
  /** The tick it is armed for, -1 while it is not. */
  tick = -1;
  before: DeadlineEntry | undefined = undefined;
  after: DeadlineEntry | undefined = undefined;

  abstract expire(now: number): void;
}

const BUCKETS = 512;
const TICK_MILLIS = 8;

function tickOf(instant: number): number {
  return Math.floor(instant / TICK_MILLIS);
}
