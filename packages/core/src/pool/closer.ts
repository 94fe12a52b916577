import { nameOf } from '../errors.ts';
import { publish } from '../events.ts';
import { Inquiry } from './inquiry.ts';
import type { Fittings } from './pool-settings.ts';
import type { Roster } from './roster.ts';
import type { CloseReason } from './seam.ts';
import type { Closing, Slot } from './slot.ts';

/**
 * Sees connections off. A slot stays counted until the server has closed its side: a backend whose client has gone
 * may run on, and a replacement beside it would exceed the ceiling (DESIGN.md §5.4).
 */
export class Closer<Connection> {
  readonly #fittings: Fittings<Connection>;
  readonly #inquiry: Inquiry<Connection>;
  readonly #onClosed: (slot: Slot<Connection>) => void;
  /** Closed connections by reason, since the pool was made. */
  readonly reasons: Map<CloseReason, number> = new Map();

  constructor(fittings: Fittings<Connection>, roster: Roster<Connection>, onClosed: (slot: Slot<Connection>) => void) {
    this.#fittings = fittings;
    this.#inquiry = new Inquiry(fittings, roster, (slot) => this.#end(slot));
    this.#onClosed = onClosed;
  }

  /** The slot is in no shelf and no hands any more. */
  close(slot: Slot<Connection>, reason: CloseReason, error?: unknown): void {
    const { connection } = slot;
    this.#begin(slot, { connection, reason }, error);
    this.#follow(slot, this.#fittings.seam.close(connection));
  }

  /** A dial that nobody wants any more: the slot is held until it has come back and its connection has gone. */
  abandon(slot: Slot<Connection>, reason: CloseReason, error?: unknown): void {
    const { state } = slot;
    if (state.kind !== 'connecting') throw new Error(`bug: slot ${slot.id} is ${state.kind} and no dial`);
    this.#begin(slot, { connection: undefined, reason }, error);
    this.#follow(
      slot,
      state.dial.then((connection) => this.#closeLate(slot, connection)),
    );
  }

  /** Cuts off whatever has not gone yet: the pool is over, and its sockets shall not keep the process alive. */
  cutOffAll(slots: Iterable<Slot<Connection>>): void {
    this.#inquiry.stop();
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
      if (state.connection !== undefined) this.#fittings.seam.destroy(state.connection);
      this.#becomeOverdue(slot, state);
    }
    this.#inquiry.ask();
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

  #follow(slot: Slot<Connection>, gone: Promise<void>): void {
    gone.then(
      () => this.#end(slot),
      () => this.#unseen(slot),
    );
  }

  /** A reset, a cut cable: the socket has gone, and the session may be there still. Nobody but the server knows. */
  #unseen(slot: Slot<Connection>): void {
    const { state } = slot;
    if (state.kind !== 'closing') return;
    // A dial that failed has brought nothing that could be left.
    if (state.connection === undefined) return this.#end(slot);
    if (!state.overdue) this.#becomeOverdue(slot, state);
    this.#inquiry.ask();
  }

  #becomeOverdue(slot: Slot<Connection>, state: Closing<Connection>): void {
    slot.move({ ...state, overdue: true });
    publish('lifeguard:pool:overdue', () => ({
      pool: this.#fittings.settings.name,
      slot: slot.id,
      reason: state.reason,
      closingMillis: this.#fittings.clock.now() - state.since,
    }));
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
}

const SILENT_CAP_MILLIS = 1_000;
