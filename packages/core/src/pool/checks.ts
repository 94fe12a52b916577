import type { Timer } from '../clock.ts';
import type { Fittings } from './pool-settings.ts';
import type { Roster } from './roster.ts';
import type { Slot } from './slot.ts';
import type { Tending } from './tending.ts';

export interface ChecksEnds {
  /** A check hangs: time to have another look at the line. */
  changed(): void;
  /** How many more connections would be of help. */
  servable(): number;
}

/** Which idle connections are checked, and when. How that is done is the tending's affair. */
export class Checks<Connection> {
  readonly #fittings: Fittings<Connection>;
  readonly #roster: Roster<Connection>;
  readonly #tending: Tending<Connection>;
  readonly #ends: ChecksEnds;
  #secondLook: Timer | undefined;

  constructor(
    fittings: Fittings<Connection>,
    { roster, tending }: { roster: Roster<Connection>; tending: Tending<Connection> },
    ends: ChecksEnds,
  ) {
    this.#fittings = fittings;
    this.#roster = roster;
    this.#tending = tending;
    this.#ends = ends;
  }

  begin(slot: Slot<Connection>): void {
    this.#roster.unshelve(slot);
    this.#tending.tend(slot, 'check');
  }

  /** Something was wrong that may be wrong with all: whatever is idle is checked before it is lent. */
  suspectAll(restingBefore: number = Number.POSITIVE_INFINITY): void {
    for (const slot of [...this.#roster.idle]) {
      if (slot.state.kind === 'idle' && slot.state.since < restingBefore) this.begin(slot);
    }
  }

  /** Checks stale idle connections, as many as somebody waits for: more of them when the first ones hang. */
  serve(now: number, alsoWanted = 0): void {
    // Under load nothing is idle, and the line need not be counted.
    if (this.#roster.top() === undefined) return;
    const waiting = this.#ends.servable() + alsoWanted;
    let missing = waiting - this.#roster.tendedSince(now - HANGING_MILLIS);
    for (let slot = this.#roster.top(); slot !== undefined && missing > 0; slot = this.#roster.top(), missing -= 1) {
      this.begin(slot);
    }
    if (waiting > 0 && this.#roster.top() !== undefined) this.#lookAgain();
  }

  #lookAgain(): void {
    this.#secondLook ??= this.#fittings.clock.after(HANGING_MILLIS + 1, () => {
      this.#secondLook = undefined;
      this.#ends.changed();
    });
  }
}

/** What the house has not done with a connection by then is not waited for while another one lies idle. */
const HANGING_MILLIS = 20;
