import { LifeguardError } from '../errors.ts';
import type { Closer } from './closer.ts';
import { Limit } from './limit.ts';
import type { Fittings } from './pool-settings.ts';
import type { Roster } from './roster.ts';
import { type Connecting, Slot } from './slot.ts';

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
  readonly #roster: Roster<Connection>;
  readonly #closer: Closer<Connection>;
  readonly #ends: DialEnds<Connection>;
  #slotIds = 0;

  constructor(
    fittings: Fittings<Connection>,
    { roster, closer }: { roster: Roster<Connection>; closer: Closer<Connection> },
    ends: DialEnds<Connection>,
  ) {
    this.#fittings = fittings;
    this.#roster = roster;
    this.#closer = closer;
    this.#ends = ends;
  }

  dial(generation: number): void {
    const since = this.#fittings.clock.now();
    const abort = new AbortController();
    const { promise: dial, resolve } = Promise.withResolvers<Connection>();
    this.#slotIds += 1;
    const state = { kind: 'connecting', since, abort, dial, connection: undefined } as const;
    const slot = new Slot<Connection>(this.#slotIds, generation, state);
    // Counted before anything is sent.
    this.#roster.add(slot);
    resolve(this.#connect(slot, abort.signal));
    const limit = this.#limit(slot);
    dial.then(
      // Whoever was given up in the meantime is closed by the closer, which holds the same promise.
      (connection) => (slot.state === state ? this.#introduce(slot, { ...state, connection }, limit) : limit?.cancel()),
      (error: unknown) => {
        limit?.cancel();
        if (slot.state !== state) return;
        slot.move({ kind: 'closed', since: this.#fittings.clock.now() });
        this.#ends.failed(slot, error, since);
      },
    );
  }

  /** Gives a dial up: on time-out, or because the pool closes or shrinks. */
  abandon(slot: Slot<Connection>, error?: unknown): void {
    const { state } = slot;
    if (state.kind !== 'connecting') return;
    const reason = error === undefined ? 'dial-abandoned' : 'dial-timed-out';
    if (state.connection === undefined) this.#closer.abandon(slot, reason, error);
    else this.#closer.close(slot, reason, error);
    state.abort.abort(error);
  }

  /** It is open, and from now on whoever fails it has a connection to see off. */
  #introduce(
    slot: Slot<Connection>,
    state: Connecting<Connection> & { connection: Connection },
    limit: Limit | undefined,
  ): void {
    const { seam, clock } = this.#fittings;
    slot.move(state);
    seam
      .introduce(state.connection)
      .finally(() => limit?.cancel())
      .then(
        () => {
          if (slot.state === state) this.#ends.opened(slot, state.connection, clock.now() - state.since);
        },
        (error: unknown) => {
          if (slot.state !== state) return;
          this.#closer.close(slot, 'hook-failed', error);
          this.#ends.failed(slot, error, state.since);
        },
      );
  }

  async #connect(slot: Slot<Connection>, signal: AbortSignal): Promise<Connection> {
    return this.#fittings.seam.connect(signal, (error) => this.#ends.lost(slot, error));
  }

  #limit(slot: Slot<Connection>): Limit | undefined {
    const { settings, clock } = this.#fittings;
    const millis = settings.connectionTimeoutMillis;
    if (millis === 0) return undefined;
    return new Limit(clock, millis, () => {
      const { state } = slot;
      if (state.kind !== 'connecting') return;
      const message = `No connection within ${millis} ms (connectionTimeoutMillis): dial, TLS, login and onConnect together took longer. Is the address right, and is the server reachable?`;
      const error = new LifeguardError('ERR_LIFEGUARD_CONNECT_TIMEOUT', message);
      this.abandon(slot, error);
      this.#ends.failed(slot, error, state.since);
    });
  }
}
