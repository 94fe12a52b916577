import type { Closer } from './closer.ts';
import type { Fittings } from './pool-settings.ts';
import type { Retirement } from './retirement.ts';
import type { Roster } from './roster.ts';
import type { CloseReason, Seam } from './seam.ts';
import type { Slot } from './slot.ts';

/** What a shelf, and whoever works beside it, works on. */
export interface Ground<Connection> {
  readonly roster: Roster<Connection>;
  readonly retirement: Retirement;
  readonly closer: Closer<Connection>;
}

export interface ShelfEnds {
  /** Whether connections are no longer kept. */
  isEnding(): boolean;
}

/** The connections that nobody has: which is the next, and which may not lie here any longer. */
export class Shelf<Connection> {
  readonly #seam: Pick<Seam<Connection>, 'rest'>;
  readonly #roster: Roster<Connection>;
  readonly #retirement: Retirement;
  readonly #closer: Closer<Connection>;
  readonly #ends: ShelfEnds;

  constructor({ seam }: Fittings<Connection>, { roster, retirement, closer }: Ground<Connection>, ends: ShelfEnds) {
    this.#seam = seam;
    this.#roster = roster;
    this.#retirement = retirement;
    this.#closer = closer;
    this.#ends = ends;
  }

  /** The connection on top, if it may be used as it is. What may not be kept is retired on the way. */
  fit(now: number): Slot<Connection> | undefined {
    for (let slot = this.#roster.top(); slot !== undefined; slot = this.#roster.top()) {
      const reason = this.#retirement.of(slot, now);
      if (reason === undefined) return this.#retirement.isFresh(slot.state.since, now) ? slot : undefined;
      this.retire(slot, reason);
    }
    return undefined;
  }

  /** A connection has become fit: it is idle now, unless its time has come. */
  keep(slot: Slot<Connection>, now: number, connection: Connection = slot.connection): void {
    this.#roster.shelve(slot, connection, now);
    this.judge(slot, connection, now);
  }

  /** Whether one that has just become idle may stay. */
  judge(slot: Slot<Connection>, connection: Connection, now: number): void {
    const reason = this.#ends.isEnding() ? 'pool-closed' : this.#retirement.of(slot, now);
    if (reason === undefined) this.#seam.rest(connection);
    else this.retire(slot, reason);
  }

  /** Harmless for one that is not idle any more: subscribers to the end of another may have taken it. */
  retire(slot: Slot<Connection>, reason: CloseReason, error?: unknown): void {
    if (slot.state.kind !== 'idle') return;
    this.#roster.unshelve(slot);
    this.#closer.close(slot, reason, error);
  }

  retireAll(reason: CloseReason): void {
    for (const slot of [...this.#roster.idle]) this.retire(slot, reason);
  }
}

/** Under load connections rest for less, and need no look at a second clock. */
export const RESTED_MILLIS = 50;
