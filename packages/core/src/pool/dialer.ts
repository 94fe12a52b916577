import type { Timer } from '../clock.ts';
import { LifeguardError } from '../errors.ts';
import type { Closer } from './closer.ts';
import type { Fittings } from './pool-settings.ts';
import type { Slot } from './slot.ts';

export interface DialEnds<Connection> {
  opened(slot: Slot<Connection>, connection: Connection, dialMillis: number): void;
  failed(slot: Slot<Connection>, error: unknown, startedAt: number): void;
  /** The connection of this slot has ended without being asked to. */
  lost(slot: Slot<Connection>, error: unknown): void;
}

/**
 * Opens connections, for the pool and not for the caller who happened to be first: a caller who gives up leaves the
 * dial running, and what it brings goes to the next in the line.
 */
export class Dialer<Connection> {
  readonly #fittings: Fittings<Connection>;
  readonly #closer: Closer<Connection>;
  readonly #ends: DialEnds<Connection>;
  readonly #dials = new Map<Slot<Connection>, Promise<Connection>>();

  constructor(fittings: Fittings<Connection>, closer: Closer<Connection>, ends: DialEnds<Connection>) {
    this.#fittings = fittings;
    this.#closer = closer;
    this.#ends = ends;
  }

  dial(slot: Slot<Connection>): void {
    const { state } = slot;
    if (state.kind !== 'connecting') throw new Error(`bug: slot ${slot.id} is ${state.kind} and cannot be dialled`);
    const startedAt = state.since;
    const dial = this.#connect(slot, state.abort.signal);
    this.#dials.set(slot, dial);
    const limit = this.#limit(slot, startedAt);
    dial
      .finally(() => this.#dials.delete(slot))
      .then(
        (connection) => {
          limit?.cancel();
          // Whoever was given up in the meantime is closed by the closer, which holds the same promise.
          if (slot.state === state) this.#ends.opened(slot, connection, this.#fittings.clock.now() - startedAt);
        },
        (error: unknown) => {
          limit?.cancel();
          if (slot.state !== state) return;
          slot.move({ kind: 'closed', since: this.#fittings.clock.now() });
          this.#ends.failed(slot, error, startedAt);
        },
      );
  }

  /** Gives a dial up: on time-out, or because the pool closes or shrinks. */
  abandon(slot: Slot<Connection>, error?: unknown): void {
    const { state } = slot;
    const dial = this.#dials.get(slot);
    if (state.kind !== 'connecting' || dial === undefined) return;
    this.#closer.abandon(slot, dial, error);
    state.abort.abort(error);
  }

  async #connect(slot: Slot<Connection>, signal: AbortSignal): Promise<Connection> {
    return this.#fittings.seam.connect(signal, (error) => this.#ends.lost(slot, error));
  }

  #limit(slot: Slot<Connection>, startedAt: number): Timer | undefined {
    const millis = this.#fittings.settings.connectionTimeoutMillis;
    if (millis === 0) return undefined;
    return this.#fittings.clock.after(millis, () => {
      if (slot.state.kind !== 'connecting') return;
      const message = `No connection within ${millis} ms (connectionTimeoutMillis): dial, TLS, login and onConnect together took longer. Is the address right, and is the server reachable?`;
      const error = new LifeguardError('ERR_LIFEGUARD_CONNECT_TIMEOUT', message);
      this.abandon(slot, error);
      this.#ends.failed(slot, error, startedAt);
    });
  }
}
