import { Histogram } from './histogram.ts';
import type { Holder } from './slot.ts';
import { type HeldTime, type PoolSnapshot, quantiles } from './snapshot.ts';

/** What happened so far, in numbers. The present is never in here: it is counted from the slots. */
export class Ledger {
  readonly #waits: Histogram;
  readonly #holds: Histogram;
  readonly #held = new Map<string, { leases: number; heldMillis: number; silentMillis: number }>();
  acquired = 0;
  opened = 0;
  failedDials = 0;
  cancels = 0;

  constructor(now: number) {
    this.#waits = new Histogram(now);
    this.#holds = new Histogram(now);
  }

  lent(waited: number, now: number): void {
    this.acquired += 1;
    this.#waits.record(waited, now);
  }

  returned(holder: Holder, heldMillis: number, now: number): void {
    this.#holds.record(heldMillis, now);
    let entry = this.#held.get(holder.name);
    if (entry === undefined) entry = this.#open(holder.name);
    entry.leases += 1;
    entry.heldMillis += heldMillis;
    entry.silentMillis += Math.max(0, heldMillis - holder.queryingMillis);
  }

  read(max: number, now: number): LedgerReading {
    const waits = this.#waits.read(now);
    const holds = this.#holds.read(now);
    const arrivals = waits.count / waits.seconds;
    const meanHold = holds.count === 0 ? 0 : holds.sumMillis / holds.count;
    return {
      wait: quantiles(waits),
      hold: quantiles(holds),
      held: this.#heldTimes(),
      acquired: this.acquired,
      opened: this.opened,
      failedDials: this.failedDials,
      cancels: this.cancels,
      utilisation: holds.sumMillis / 1_000 / holds.seconds / max,
      arrivalsPerSecond: arrivals,
      impliedConcurrency: (arrivals * meanHold) / 1_000,
    };
  }

  #heldTimes(): Readonly<Record<string, HeldTime>> {
    const times: Record<string, HeldTime> = Object.create(null);
    for (const [name, entry] of this.#held) times[name] = Object.freeze({ ...entry });
    return Object.freeze(times);
  }

  /** Names come from users, and a name made from a request's data must not fill the memory. */
  #open(name: string): { leases: number; heldMillis: number; silentMillis: number } {
    const key = this.#held.size < MAX_NAMES ? name : OTHERS;
    const entry = this.#held.get(key) ?? { leases: 0, heldMillis: 0, silentMillis: 0 };
    this.#held.set(key, entry);
    return entry;
  }
}

export type LedgerReading = Pick<
  PoolSnapshot,
  | 'wait'
  | 'hold'
  | 'held'
  | 'acquired'
  | 'opened'
  | 'failedDials'
  | 'cancels'
  | 'utilisation'
  | 'arrivalsPerSecond'
  | 'impliedConcurrency'
>;

const MAX_NAMES = 200;
const OTHERS = '(others)';
