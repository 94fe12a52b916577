import type { LifeguardErrorCode } from '../errors.ts';
import { Histogram } from './histogram.ts';
import type { Holder } from './slot.ts';
import { type HeldTime, type PoolSnapshot, quantiles } from './snapshot.ts';

/** What happened so far, in numbers. The present is never in here: it is counted from the slots. */
export class Ledger {
  readonly #waits: Histogram;
  /** Waits for a place on a lane. */
  readonly #boardings: Histogram;
  readonly #holds: Histogram;
  /** Time in which places on a lane were taken. */
  readonly #busyLanes: Histogram;
  /** How long those waited who were refused. */
  readonly #refusals: Histogram;
  readonly #held = new Map<string, Account>();
  acquired = 0;
  boarded = 0;
  opened = 0;
  failedDials = 0;
  cancels = 0;
  readonly #refused = { timeouts: 0, aborted: 0, shed: 0 };

  constructor(now: number) {
    this.#waits = new Histogram(now);
    this.#boardings = new Histogram(now);
    this.#holds = new Histogram(now);
    this.#busyLanes = new Histogram(now);
    this.#refusals = new Histogram(now);
  }

  lent(waited: number, now: number): void {
    this.acquired += 1;
    this.#waits.record(waited, now);
  }

  tookPlace(waited: number, now: number): void {
    this.boarded += 1;
    this.#boardings.record(waited, now);
  }

  onLane(millis: number, now: number): void {
    this.#busyLanes.record(millis, now);
  }

  refused(code: LifeguardErrorCode, waited: number, now: number): void {
    this.#refusals.record(waited, now);
    const count = COUNTED_AS[code];
    if (count !== undefined) this.#refused[count] += 1;
  }

  returned(holder: Holder, heldMillis: number, now: number): void {
    this.#holds.record(heldMillis, now);
    const account = this.#held.get(holder.name) ?? this.#open(holder.name);
    add(account, heldMillis, holder.queriedMillis(now));
  }

  /** The leases that are out count too: the one that never comes back is the one that matters. */
  read({ max, out, busyMillis }: Standing, now: number): LedgerReading {
    const waits = this.#waits.read(now, this.#boardings);
    const holds = this.#holds.read(now);
    const arrivals = (waits.count + this.#refusals.read(now).count) / waits.seconds;
    const meanHold = holds.count === 0 ? 0 : holds.sumMillis / holds.count;
    const windowMillis = holds.seconds * 1_000;
    const outMillis = out.reduce((sum, { since }) => sum + Math.min(now - since, windowMillis), busyMillis);
    const returnedMillis = holds.sumMillis + this.#busyLanes.read(now).sumMillis;
    return {
      wait: quantiles(waits),
      hold: quantiles(holds),
      held: this.#heldTimes(out, now),
      acquired: this.acquired,
      boarded: this.boarded,
      ...this.#refused,
      opened: this.opened,
      failedDials: this.failedDials,
      cancels: this.cancels,
      utilisation: (returnedMillis + outMillis) / windowMillis / max,
      arrivalsPerSecond: arrivals,
      impliedConcurrency: (arrivals * meanHold) / 1_000,
    };
  }

  #heldTimes(out: readonly Outstanding[], now: number): Readonly<Record<string, HeldTime>> {
    const times: Record<string, Account> = Object.create(null);
    for (const [name, account] of this.#held) times[name] = { ...account };
    for (const { holder, since } of out) {
      times[holder.name] ??= emptyAccount();
      add(times[holder.name] as Account, now - since, holder.queriedMillis(now));
    }
    for (const account of Object.values(times)) Object.freeze(account);
    return Object.freeze(times);
  }

  /** Names come from users, and a name made from a request's data must not fill the memory. */
  #open(name: string): Account {
    const key = this.#held.size < MAX_NAMES ? name : OTHERS;
    const entry = this.#held.get(key) ?? emptyAccount();
    this.#held.set(key, entry);
    return entry;
  }
}

/** What has not come to an end yet. */
export interface Standing {
  readonly max: number;
  readonly out: readonly Outstanding[];
  /** Time in which places were taken on the lanes, as far as it was not told before. */
  readonly busyMillis: number;
}

/** A lease that is out. */
export interface Outstanding {
  readonly holder: Holder;
  readonly since: number;
}

type Account = { -readonly [Part in keyof HeldTime]: HeldTime[Part] };

function emptyAccount(): Account {
  return { leases: 0, heldMillis: 0, silentMillis: 0 };
}

function add(account: Account, heldMillis: number, queriedMillis: number): void {
  account.leases += 1;
  account.heldMillis += heldMillis;
  account.silentMillis += Math.max(0, heldMillis - queriedMillis);
}

export type LedgerReading = Pick<
  PoolSnapshot,
  | 'wait'
  | 'hold'
  | 'held'
  | 'acquired'
  | 'boarded'
  | 'timeouts'
  | 'aborted'
  | 'shed'
  | 'opened'
  | 'failedDials'
  | 'cancels'
  | 'utilisation'
  | 'arrivalsPerSecond'
  | 'impliedConcurrency'
>;

/** The rest is counted elsewhere (failed dials) or is a mistake of the caller's. */
const COUNTED_AS: { readonly [Code in LifeguardErrorCode]?: 'timeouts' | 'aborted' | 'shed' } = {
  ERR_LIFEGUARD_ACQUIRE_TIMEOUT: 'timeouts',
  ERR_LIFEGUARD_DEADLINE: 'timeouts',
  ERR_LIFEGUARD_ABORTED: 'aborted',
  ERR_LIFEGUARD_LINE_FULL: 'shed',
  ERR_LIFEGUARD_OVERLOADED: 'shed',
};

const MAX_NAMES = 200;
const OTHERS = '(others)';
