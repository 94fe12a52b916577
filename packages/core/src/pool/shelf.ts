import type { Closer } from './closer.ts';
import type { Fittings } from './pool-settings.ts';
import type { Retirement } from './retirement.ts';
import type { Roster } from './roster.ts';
import type { CloseReason } from './seam.ts';
import type { Slot } from './slot.ts';

/** What a shelf, and whoever works beside it, works on. */
export interface Ground<Connection> {
  readonly roster: Roster<Connection>;
  readonly retirement: Retirement;
  readonly closer: Closer<Connection>;
}

/** The connections that nobody has: which is the next, and which may not lie here any longer. */
export class Shelf<Connection> {
  readonly #fittings: Fittings<Connection>;
  readonly #ground: Ground<Connection>;
  /** Whether connections are no longer kept. */
  readonly #isEnding: () => boolean;

  constructor(fittings: Fittings<Connection>, ground: Ground<Connection>, isEnding: () => boolean) {
    this.#fittings = fittings;
    this.#ground = ground;
    this.#isEnding = isEnding;
  }

  /** Whether the connection on top has lain for long. Undefined where there is none. */
  isRested(now: number): boolean | undefined {
    const top = this.#ground.roster.top();
    return top === undefined ? undefined : now - top.state.since > RESTED_MILLIS;
  }

  /** The connection on top, if it may be used as it is. What may not be kept is retired on the way. */
  fit(now: number): Slot<Connection> | undefined {
    const { roster, retirement } = this.#ground;
    for (let slot = roster.top(); slot !== undefined; slot = roster.top()) {
      const reason = retirement.of(slot, now);
      if (reason === undefined) return retirement.isFresh(slot.state.since, now) ? slot : undefined;
      this.retire(slot, reason);
    }
    return undefined;
  }

  /** A connection has become fit: it is idle now, unless its time has come. */
  keep(slot: Slot<Connection>, now: number, connection: Connection = slot.connection): void {
    this.#ground.roster.shelve(slot, connection, now);
    this.judge(slot, now);
  }

  /** Whether one that has just become idle may stay. */
  judge(slot: Slot<Connection>, now: number): void {
    const reason = this.#isEnding() ? 'pool-closed' : this.#ground.retirement.of(slot, now);
    if (reason === undefined) this.#fittings.seam.rest(slot.connection);
    else this.retire(slot, reason);
  }

  /** Harmless for one that is not idle any more: subscribers to the end of another may have taken it. */
  retire(slot: Slot<Connection>, reason: CloseReason, error?: unknown): void {
    if (slot.state.kind !== 'idle') return;
    this.#ground.roster.unshelve(slot);
    this.#ground.closer.close(slot, reason, error);
  }

  retireAll(reason: CloseReason): void {
    for (const slot of [...this.#ground.roster.idle]) this.retire(slot, reason);
  }
}

/** Under load connections rest for less, and need no look at a second clock. */
export const RESTED_MILLIS = 50;
