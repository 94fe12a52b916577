import { nameOf } from '../errors.ts';
import { publish } from '../events.ts';
import type { Fittings } from './pool-settings.ts';
import type { CloseReason } from './seam.ts';
import type { Closing, Slot } from './slot.ts';

/**
 * Sees connections off. A slot stays counted until the server has closed its side: a backend whose client has gone
 * may run on, and a replacement beside it would exceed the ceiling (DESIGN.md §5.4).
 */
export class Closer<Connection> {
  readonly #fittings: Fittings<Connection>;
  readonly #onClosed: (slot: Slot<Connection>) => void;
  /** Closed connections by reason, since the pool was made. */
  readonly reasons: Map<CloseReason, number> = new Map();
  /** Set while the server is being asked what has become of overdue ones. */
  #inquiry: Promise<void> | undefined;

  constructor(fittings: Fittings<Connection>, onClosed: (slot: Slot<Connection>) => void) {
    this.#fittings = fittings;
    this.#onClosed = onClosed;
  }

  /** The slot is in no shelf and no hands any more. */
  close(slot: Slot<Connection>, reason: CloseReason, error?: unknown): void {
    const { connection } = slot;
    this.#begin(slot, { connection, reason }, error);
    this.#endAfter(slot, this.#fittings.seam.close(connection));
  }

  /** A dial that nobody wants any more: the slot is held until it has come back and its connection has gone. */
  abandon(slot: Slot<Connection>, dial: Promise<Connection>, error?: unknown): void {
    const reason = error === undefined ? 'dial-abandoned' : 'dial-failed';
    this.#begin(slot, { connection: undefined, reason }, error);
    this.#endAfter(
      slot,
      dial.then((connection) => this.#closeLate(slot, connection)),
    );
  }

  /** Cuts off whatever has not gone yet: the pool is over, and its sockets shall not keep the process alive. */
  cutOffAll(slots: Iterable<Slot<Connection>>): void {
    for (const { state } of slots) {
      if (state.kind === 'closing' && state.connection !== undefined) this.#fittings.seam.destroy(state.connection);
    }
  }

  /** Cuts off whatever is past its cap, and asks about what was cut off before. Called by the upkeep. */
  enforceCap(slots: Iterable<Slot<Connection>>): void {
    const now = this.#fittings.clock.now();
    for (const slot of slots) {
      const { state } = slot;
      if (state.kind !== 'closing' || state.overdue || now - state.since < this.#capOf(state.reason)) continue;
      slot.move({ ...state, overdue: true });
      if (state.connection !== undefined) this.#fittings.seam.destroy(state.connection);
      publish('lifeguard:pool:overdue', () => ({
        pool: this.#fittings.settings.name,
        slot: slot.id,
        reason: state.reason,
        closingMillis: now - state.since,
      }));
    }
    this.#askAboutOverdue(slots);
  }

  /** One that did not answer will hardly say goodbye: the server is asked about it sooner. */
  #capOf(reason: CloseReason): number {
    const cap = this.#fittings.settings.closeTimeoutMillis;
    return reason === 'check-failed' || reason === 'interrupt-failed' ? Math.min(cap, SILENT_CAP_MILLIS) : cap;
  }

  #begin(slot: Slot<Connection>, how: Pick<Closing<Connection>, 'connection' | 'reason'>, error: unknown): void {
    const { reason } = how;
    slot.move({ kind: 'closing', since: this.#fittings.clock.now(), ...how, overdue: false });
    this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + 1);
    publish('lifeguard:pool:closing', () => {
      const closing = { pool: this.#fittings.settings.name, slot: slot.id, reason };
      return error === undefined ? closing : { ...closing, error: nameOf(error) };
    });
  }

  #endAfter(slot: Slot<Connection>, gone: Promise<void>): void {
    const end = (): void => this.#end(slot);
    gone.then(end, end);
  }

  #closeLate(slot: Slot<Connection>, connection: Connection): Promise<void> {
    const { state } = slot;
    // Overdue was only the dial: the connection that it brought has a cap of its own to be cut off at.
    if (state.kind === 'closing') slot.move({ ...state, connection, overdue: false });
    return this.#fittings.seam.close(connection);
  }

  /** Comes from the socket or from the server's own word, whichever is first. */
  #end(slot: Slot<Connection>): void {
    const { state } = slot;
    if (state.kind !== 'closing') return;
    const now = this.#fittings.clock.now();
    slot.move({ kind: 'closed', since: now });
    publish('lifeguard:pool:closed', () => ({
      pool: this.#fittings.settings.name,
      slot: slot.id,
      reason: state.reason,
      closeMillis: now - state.since,
    }));
    this.#onClosed(slot);
  }

  #askAboutOverdue(slots: Iterable<Slot<Connection>>): void {
    if (this.#inquiry !== undefined) return;
    const overdue = new Map<Connection, Slot<Connection>>();
    for (const slot of slots) if (isOverdue(slot)) overdue.set(slot.connection, slot);
    if (overdue.size === 0) return;
    this.#inquiry = this.#inquire(overdue).finally(() => {
      this.#inquiry = undefined;
    });
  }

  async #inquire(overdue: ReadonlyMap<Connection, Slot<Connection>>): Promise<void> {
    const { seam, clock, settings } = this.#fittings;
    const late = new AbortController();
    const limit = clock.after(settings.closeTimeoutMillis, () => late.abort(), 'idle');
    // Where the server cannot be asked nothing is known, and they stay counted.
    const gone = await seam.confirmClosed([...overdue.keys()], late.signal).catch(() => []);
    limit.cancel();
    for (const connection of gone) this.#end(overdue.get(connection) as Slot<Connection>);
  }
}

function isOverdue(slot: Slot<unknown>): boolean {
  return slot.state.kind === 'closing' && slot.state.overdue && slot.state.connection !== undefined;
}

const SILENT_CAP_MILLIS = 1_000;
