import type { Clock, Timer } from '../clock.ts';

/**
 * How the server takes our dials. While it fails there is one prober; afterwards each success allows one more dial at a
 * time (1, 2, 4… from round to round), so that a server that has just come back is not stormed.
 */
export type Health =
  | { readonly kind: 'healthy' }
  | Outage
  | { readonly kind: 'recovering'; readonly width: number; readonly until: number };

/** `broken`: it has lasted for so long that callers are no longer kept waiting. */
interface Outage {
  readonly kind: 'failing' | 'broken';
  readonly since: number;
  readonly attempts: number;
  readonly retryAt: number;
  readonly error: unknown;
}

/** What the pool looks like when it asks how many to dial. */
export interface Demand {
  /** Connections that could be put to use now. */
  readonly waiting: number;
  /** Idle ones being checked before they are lent: each will serve a waiter, unless it is dead. */
  readonly checking: number;
  /** Leased ones: what comes back to the line by itself. */
  readonly working: number;
  readonly connecting: number;
  /** Missing to the minimum. */
  readonly missing: number;
  /** Places left under the ceiling. */
  readonly room: number;
}

interface FailedDial {
  readonly permanent: boolean;
  readonly startedAt: number;
  readonly now: number;
}

/** Decides when to dial and how many at a time. It dials nothing itself. */
export class Growth {
  readonly #clock: Clock;
  readonly #onTime: () => void;
  readonly #breakAfterMillis: () => number;
  #health: Health = { kind: 'healthy' };
  /** Mean time a lease is held, and a dial takes. */
  #holdMillis: number | undefined;
  #dialMillis = PATIENCE_MILLIS;
  #lastReturn = Number.NEGATIVE_INFINITY;
  /** When it was seen that nothing comes back any more. Holds until something does. */
  #stalledAt = Number.NEGATIVE_INFINITY;
  #patience: Timer | undefined;
  #retry: Timer | undefined;

  /** `breakAfterMillis` is the time of unbroken failure after which callers are no longer kept waiting. */
  constructor(clock: Clock, breakAfterMillis: () => number, onTime: () => void) {
    this.#clock = clock;
    this.#breakAfterMillis = breakAfterMillis;
    this.#onTime = onTime;
  }

  get health(): Health {
    return this.#health;
  }

  /** The failure that the server answers dials with, while it does. */
  get failure(): unknown {
    return 'error' in this.#health ? this.#health.error : undefined;
  }

  gaveBack(now: number, heldMillis: number): void {
    this.#lastReturn = now;
    this.#holdMillis =
      this.#holdMillis === undefined ? heldMillis : this.#holdMillis + SMOOTHING * (heldMillis - this.#holdMillis);
  }

  /** How many dials to start now, when the line is served as it is at present. */
  dials(demand: Demand, now: number): number {
    const wanted = Math.max(this.#wantedByLine(demand), Math.min(demand.missing, FILLING));
    const allowed = Math.min(wanted, this.#width(demand, now) ?? wanted) - demand.connecting;
    if (demand.waiting > 0 && demand.room > 0) this.#watch(now);
    return Math.max(0, Math.min(allowed, demand.room));
  }

  /** Called by the upkeep, also while the pool is full and nobody asks for dials. */
  tick(now: number): void {
    if (this.#health.kind === 'recovering' && now >= this.#health.until) this.#health = { kind: 'healthy' };
  }

  dialSucceeded(dialMillis: number, now: number): void {
    this.#dialMillis += SMOOTHING * (dialMillis - this.#dialMillis);
    this.#retry?.cancel();
    this.#retry = undefined;
    if (this.#health.kind === 'recovering') this.#health = { ...this.#health, width: this.#health.width + 1 };
    else if (this.#health.kind !== 'healthy')
      this.#health = { kind: 'recovering', width: 2, until: now + RECOVERY_MILLIS };
  }

  /** What follows from a failure, and whether it was this one that opened the breaker. */
  dialFailed(
    error: unknown,
    { permanent, startedAt, now }: FailedDial,
  ): { attempts: number; retryAt: number; opened: boolean } {
    const before = this.#health;
    // Where nobody dialled for a while, nothing says that the server was away all the time.
    const goesOn =
      before.kind === 'broken' || (before.kind === 'failing' && startedAt < before.retryAt + EPISODE_MILLIS);
    const failed = goesOn ? before : { since: startedAt, attempts: 0, retryAt: now };
    // Of several dials in flight only the first one that fails lengthens the pause.
    const counts = now >= failed.retryAt;
    const attempts = counts ? failed.attempts + 1 : failed.attempts;
    const retryAt = counts ? now + pause(attempts, permanent) : failed.retryAt;
    const broken = permanent || now - failed.since >= this.#breakAfterMillis();
    this.#health = { kind: broken ? 'broken' : 'failing', since: failed.since, attempts, retryAt, error };
    this.#setRetry(retryAt - now);
    return { attempts, retryAt, opened: broken && before.kind !== 'broken' };
  }

  stop(): void {
    this.#retry?.cancel();
    this.#patience?.cancel();
    this.#retry = undefined;
    this.#patience = undefined;
  }

  /**
   * A connection that is not there before the line is gone is no help: dial for what cannot be served by those at
   * work in the time that a dial takes, and always one, because the next ones are coming.
   */
  #wantedByLine({ waiting: all, checking, working, connecting }: Demand): number {
    if (all > 0 && this.#stalledAt > this.#lastReturn) return all;
    const waiting = all - checking;
    if (waiting <= 0) return 0;
    if (working === 0 || this.#holdMillis === undefined) return Math.min(waiting, Math.max(FEW, connecting));
    const needed = Math.ceil((waiting * this.#holdMillis) / Math.max(PATIENCE_MILLIS, this.#dialMillis));
    return Math.min(waiting, Math.max(1, needed - working));
  }

  /** Dials in flight at most, or undefined for as many as are wanted. */
  #width(demand: Demand, now: number): number | undefined {
    switch (this.#health.kind) {
      case 'healthy':
        return undefined;
      case 'recovering':
        return this.#health.width;
      case 'failing':
      case 'broken':
        // Not before the pause is over, and whoever probes then is the only one.
        return now < this.#health.retryAt || demand.connecting > 0 ? 0 : 1;
      default:
        this.#health satisfies never;
        throw new Error('bug: a state of health that does not exist');
    }
  }

  /** While there is a line and room: look again when nothing came back for a while. */
  #watch(armedAt: number): void {
    if (this.#patience !== undefined) return;
    this.#patience = this.#clock.after(PATIENCE_MILLIS, () => {
      this.#patience = undefined;
      this.#lookAgain(armedAt);
    });
  }

  #lookAgain(armedAt: number): void {
    const now = this.#clock.now();
    // A blocked loop brings nothing back either: then it is our own turn that was late, not the connections.
    const blocked = now - armedAt > 2 * PATIENCE_MILLIS;
    if (this.#lastReturn < armedAt && !blocked) this.#stalledAt = now;
    this.#onTime();
  }

  #setRetry(millis: number): void {
    this.#retry?.cancel();
    this.#retry = this.#clock.after(millis, () => this.#onTime(), 'idle');
  }
}

/** Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ */
function pause(attempts: number, permanent: boolean): number {
  const longest = permanent ? MAX_PERMANENT_PAUSE_MILLIS : MAX_PAUSE_MILLIS;
  return (
    MIN_PAUSE_MILLIS +
    Math.random() * (Math.min(longest, FIRST_PAUSE_MILLIS * 2 ** Math.min(attempts, 10)) - MIN_PAUSE_MILLIS)
  );
}

const PATIENCE_MILLIS = 20;
const FEW = 3;
const FILLING = 4;
const SMOOTHING = 0.1;
/** By then a server that has come back is no news any more. */
const RECOVERY_MILLIS = 5_000;
/** Who has not dialled for so long after a pause was over had no reason to. */
const EPISODE_MILLIS = 1_000;
const MIN_PAUSE_MILLIS = 20;
const FIRST_PAUSE_MILLIS = 100;
/** A restart of a second is noticed within one more (DESIGN.md §5.14). */
const MAX_PAUSE_MILLIS = 800;
/** A wrong password does not become right by asking more often, and some servers lock the account. */
const MAX_PERMANENT_PAUSE_MILLIS = 5_000;
