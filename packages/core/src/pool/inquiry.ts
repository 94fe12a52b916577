import type { Fittings } from './pool-settings.ts';
import type { Roster } from './roster.ts';
import type { Slot } from './slot.ts';

/**
 * Asks the server what has become of the sessions whose end we could not see. While it cannot be asked nothing is
 * known, and their slots stay counted; so it is asked again, as often as a prober would dial.
 */
export class Inquiry<Connection> {
  readonly #fittings: Fittings<Connection>;
  readonly #roster: Roster<Connection>;
  readonly #onGone: (slot: Slot<Connection>) => void;
  /** At most one at a time: over the one side connection that the ceiling allows for. */
  #stage: 'resting' | 'asking' | 'waiting' | 'stopped' = 'resting';
  /** Doubles while the server answers and nothing changes: a session may be one that cannot be ended. */
  #pauseMillis = SOON_MILLIS;

  constructor(fittings: Fittings<Connection>, roster: Roster<Connection>, onGone: (slot: Slot<Connection>) => void) {
    this.#fittings = fittings;
    this.#roster = roster;
    this.#onGone = onGone;
  }

  /** Harmless when there is nothing to ask, or it is being asked already. */
  ask(): void {
    const overdue = this.#overdue();
    if (this.#stage !== 'resting' || overdue.size === 0) return;
    this.#stage = 'asking';
    void this.#inquire(overdue).then((answered) => this.#rest(answered));
  }

  /** The pool is over: what is still overdue stays so, and nobody dials any more. */
  stop(): void {
    this.#stage = 'stopped';
  }

  #overdue(): Map<Connection, Slot<Connection>> {
    const overdue = new Map<Connection, Slot<Connection>>();
    for (const slot of this.#roster.slots) if (isOverdue(slot)) overdue.set(slot.connection, slot);
    return overdue;
  }

  /** Whether there was an answer. What was still there has been told to end, and is asked about again. */
  async #inquire(overdue: ReadonlyMap<Connection, Slot<Connection>>): Promise<boolean> {
    const { seam, clock, settings } = this.#fittings;
    const late = new AbortController();
    const limit = clock.after(settings.closeTimeoutMillis, () => late.abort(), 'idle');
    const gone = await seam.confirmClosed([...overdue.keys()], late.signal).catch(() => undefined);
    limit.cancel();
    for (const connection of gone ?? []) this.#onGone(overdue.get(connection) as Slot<Connection>);
    return gone !== undefined;
  }

  #rest(answered: boolean): void {
    if (this.#stage === 'stopped') return;
    this.#stage = 'waiting';
    const millis = answered ? this.#pauseMillis : RETRY_MILLIS;
    this.#pauseMillis = this.#overdue().size === 0 ? SOON_MILLIS : Math.min(RETRY_MILLIS, this.#pauseMillis * 2);
    this.#fittings.clock.after(millis, () => this.#askAgain(), 'idle');
  }

  #askAgain(): void {
    if (this.#stage === 'stopped') return;
    this.#stage = 'resting';
    this.ask();
  }
}

function isOverdue(slot: Slot<unknown>): boolean {
  return slot.state.kind === 'closing' && slot.state.overdue && slot.state.connection !== undefined;
}

/** A session that was told to end needs a moment. */
const SOON_MILLIS = 50;
/** As rarely as the prober dials at most: both together must not storm a server that is down. */
const RETRY_MILLIS = 800;
