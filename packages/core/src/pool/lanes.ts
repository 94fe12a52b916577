import type { Fittings } from './pool-settings.ts';
import type { CloseReason } from './seam.ts';
import { type Ground, RESTED_MILLIS, type Shelf } from './shelf.ts';
import { DEPTH, isStalled, type Lane, laneOf, placesOn, type Slot, STALLED_MILLIS } from './slot.ts';
import type { Owner } from './waiters.ts';

/** What must be known of one who asks for a place on a lane. */
export interface Boarding {
  readonly owner?: Owner | undefined;
  /** An instant on the pool's clock. */
  readonly deadline?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A lane as the composition root sees it, which can end one that has fallen silent. */
export interface LaneReading<Connection> {
  readonly slot: Slot<Connection>;
  readonly places: number;
  /** When something came back last, where that is too long ago for more to be sent after it. */
  readonly stalledSince: number | undefined;
}

/**
 * Connections that many share for a statement each (DESIGN.md §5.5). To the pool these are places, taken and left. A
 * lane comes from the shelf, and is as good as idle while it is empty.
 */
export class Lanes<Connection> {
  readonly #fittings: Fittings<Connection>;
  readonly #ground: Ground<Connection>;
  readonly #shelf: Shelf<Connection>;
  /** Time in which places were taken on a lane, told piece by piece. */
  readonly #onBusy: (millis: number, now: number) => void;
  /** Exactly the lanes that are not ending. */
  readonly #open: Slot<Connection>[] = [];
  /** `one more`: the lanes are crowded, and there was nothing to make another one of. Holds for a tick at most. */
  #wish: 'none' | 'one more' = 'none';
  #tickedAt = Number.NEGATIVE_INFINITY;
  /** When a connection came back to those who want one to themselves. */
  #gaveBackAt = Number.NEGATIVE_INFINITY;
  /** It takes nobody on until it is empty and one of them has it. */
  #yielding: Slot<Connection> | undefined;

  constructor(
    fittings: Fittings<Connection>,
    { shelf, ...ground }: Ground<Connection> & { shelf: Shelf<Connection> },
    onBusy: (millis: number, now: number) => void,
  ) {
    this.#fittings = fittings;
    this.#ground = ground;
    this.#shelf = shelf;
    this.#onBusy = onBusy;
  }

  /** How many there may be. */
  get limit(): number {
    const { max } = this.#ground.retirement.bounds;
    return !this.#fittings.settings.lanes || max < 2 ? 0 : Math.min(MOST, Math.max(1, Math.floor(max / 4)));
  }

  /** Connections that are asked for to make lanes of. */
  get wanted(): number {
    return this.#wish === 'none' || this.#open.length >= this.limit ? 0 : 1;
  }

  /** Whether the machine may have slept since an empty one was used. */
  isRested(now: number): boolean {
    for (const { state } of this.#open) {
      if (state.kind === 'lane' && state.places === 0 && now - state.progressAt > RESTED_MILLIS) return true;
    }
    return false;
  }

  /** The lane to take a place on. Of those in use, if others wait who want a connection alone. */
  choose(now: number, among: 'all' | 'those in use' = 'all'): Slot<Connection> | undefined {
    if (this.#open.length === 0 && this.limit === 0) return undefined;
    this.#review(now);
    const best = this.#leastLoaded(now, among);
    if ((best !== undefined && placesOn(best) < CROWDED) || among !== 'all') return best;
    if (this.#open.length >= this.limit) return best;
    // Subscribers to the end of what is retired here may change all there is: so look again.
    const idle = this.#shelf.fit(now);
    if (idle !== undefined && this.#open.length < this.limit) return this.#form(idle, now);
    if (best !== undefined) this.#wish = 'one more';
    return this.#leastLoaded(now, among);
  }

  /**
   * The same for one whose turn has come, while this connection is idle. Nothing is retired here: one that lives only as
   * long as there is a line may have lost its last waiter to this very call.
   */
  chooseWith(idle: Slot<Connection>, now: number): Slot<Connection> | undefined {
    return this.#leastLoaded(now, 'all') ?? (this.#open.length < this.limit ? this.#form(idle, now) : undefined);
  }

  take(slot: Slot<Connection>, now: number): void {
    const lane = laneOf(slot);
    if (lane.places === 0) {
      this.#fittings.seam.wake(lane.connection);
      lane.progressAt = now;
      lane.busySince = now;
    }
    lane.places += 1;
  }

  /** Whether its connection is free now, for whoever wants one. */
  alight(slot: Slot<Connection>, now: number): boolean {
    const { state } = slot;
    if (state.kind !== 'lane') return false;
    if (state.places === 0) throw new Error(`bug: nobody has a place on slot ${slot.id}`);
    state.places -= 1;
    state.progressAt = now;
    if (state.places > 0) return false;
    this.#emptied(slot, state, now);
    return true;
  }

  gaveBack(now: number): void {
    this.#gaveBackAt = now;
  }

  /** Lanes that are never empty would keep their connections for ever from those who want one to themselves. */
  mindOthers(waitedMillis: number | undefined, now: number): void {
    if (waitedMillis === undefined) this.#yielding = undefined;
    else if (waitedMillis >= OTHERS_MILLIS && now - this.#gaveBackAt >= OTHERS_MILLIS) {
      this.#yielding ??= this.#leastLoaded(now, 'all');
    }
  }

  /** Puts an empty lane back on the shelf, for somebody who wants a connection alone. */
  yieldOne(now: number): boolean {
    const slot = this.#open.findLast((one) => placesOn(one) === 0);
    if (slot !== undefined) this.#putBack(slot, now);
    return slot !== undefined;
  }

  /** Puts all that are empty back on the shelf: what is done with idle ones is to be done with them. */
  yieldAll(now: number): void {
    while (this.yieldOne(now));
  }

  /** Those that have not answered since take nobody on until they do. The empty ones are on the shelf. */
  suspect(restingBefore: number, now: number): void {
    for (const { state } of this.#open) {
      if (state.kind !== 'lane' || state.progressAt >= restingBefore) continue;
      state.progressAt = Math.min(state.progressAt, now - STALLED_MILLIS - 1);
    }
  }

  /** No more places on any. */
  endAll(reason: CloseReason): void {
    for (let slot = this.#open[0]; slot !== undefined; slot = this.#open[0]) this.end(slot, reason);
  }

  /** No more places on this one; it is closed when the last one is left. */
  end(slot: Slot<Connection>, reason: CloseReason, error?: unknown): void {
    const lane = laneOf(slot);
    this.#leave(slot);
    lane.ending = reason;
    if (lane.places === 0) this.#putBack(slot, this.#fittings.clock.now(), error);
  }

  /** It is closed under its users' hands. */
  cut(slot: Slot<Connection>, reason: CloseReason): void {
    const lane = laneOf(slot);
    this.#leave(slot);
    if (lane.places > 0) this.#account(lane, this.#fittings.clock.now());
    this.#ground.closer.close(slot, reason);
  }

  /** There may be fewer now. Those beyond are idle in the end, where they are not too many as connections too. */
  resized(): void {
    const { limit } = this;
    for (let slot = this.#open[limit]; slot !== undefined; slot = this.#open[limit]) this.end(slot, 'surplus');
  }

  /** Nobody is served for the time being: nothing is asked for either. */
  paused(): void {
    this.#wish = 'none';
  }

  /** Called by the upkeep. One that was not used for a whole tick grows old on the shelf, as others do. */
  tick(now: number): void {
    this.#wish = 'none';
    this.#review(now);
    for (const { slot } of [...this.read(now)]) {
      const { state } = slot;
      if (state.kind !== 'lane') continue;
      if (state.places > 0) this.#account(state, now);
      else if (state.progressAt < this.#tickedAt) this.#putBack(slot, now);
    }
    this.#tickedAt = now;
  }

  *read(now: number): Generator<LaneReading<Connection>> {
    for (const slot of this.#ground.roster.slots) {
      if (slot.state.kind !== 'lane') continue;
      const { places, progressAt } = slot.state;
      yield { slot, places, stalledSince: isStalled(slot.state, now) ? progressAt : undefined };
    }
  }

  /** Time in which places were taken, as far as it has not been told yet. */
  busyMillis(now: number): number {
    let sum = 0;
    for (const { state } of this.#ground.roster.slots) {
      if (state.kind === 'lane' && state.places > 0) sum += now - state.busySince;
    }
    return sum;
  }

  /** Ends those whose time has come, and has the empty ones checked that were not used for too long. */
  #review(now: number): void {
    for (let index = 0; index < this.#open.length; ) {
      // What leaves the list may take others along, by way of its subscribers.
      index = this.#mayGoOn(this.#open[index] as Slot<Connection>, now) ? index + 1 : 0;
    }
  }

  #mayGoOn(slot: Slot<Connection>, now: number): boolean {
    const { retirement } = this.#ground;
    const lane = laneOf(slot);
    const reason = retirement.whileInUse(slot, now);
    if (reason === undefined && (lane.places > 0 || retirement.isFresh(lane.progressAt, now))) return true;
    if (reason === undefined) this.#putBack(slot, now);
    else this.end(slot, reason);
    return false;
  }

  #leastLoaded(now: number, among: 'all' | 'those in use'): Slot<Connection> | undefined {
    let best: Slot<Connection> | undefined;
    let fewest = DEPTH;
    for (const slot of this.#open) {
      const lane = laneOf(slot);
      if (isStalled(lane, now)) {
        this.#fittings.seam.stalled(lane.connection);
        continue;
      }
      if (lane.places >= fewest || slot === this.#yielding) continue;
      if (lane.places === 0 && among !== 'all') continue;
      best = slot;
      fewest = lane.places;
    }
    return best;
  }

  #form(slot: Slot<Connection>, now: number): Slot<Connection> {
    const { connection, since } = this.#ground.roster.unshelve(slot);
    slot.move({
      kind: 'lane',
      since: now,
      connection,
      places: 0,
      progressAt: since,
      busySince: now,
      ending: undefined,
    });
    slot.uses += 1;
    this.#open.push(slot);
    this.#fittings.seam.rest(connection);
    this.#wish = 'none';
    return slot;
  }

  #emptied(slot: Slot<Connection>, lane: Lane<Connection>, now: number): void {
    slot.usedAt = now;
    this.#account(lane, now);
    const mayGoOn = lane.ending === undefined && this.#ground.retirement.of(slot, now) === undefined;
    if (mayGoOn) this.#fittings.seam.rest(lane.connection);
    else this.#putBack(slot, now);
  }

  /** An empty one is idle again, and was so since it was used last. */
  #putBack(slot: Slot<Connection>, now: number, error?: unknown): void {
    const { connection, progressAt, ending } = laneOf(slot);
    this.#leave(slot);
    this.#ground.roster.shelve(slot, connection, progressAt);
    // Whether it is one too many is seen now.
    if (ending === undefined || ending === 'surplus') this.#shelf.judge(slot, connection, now);
    else this.#shelf.retire(slot, ending, error);
  }

  #account(lane: Lane<Connection>, now: number): void {
    this.#onBusy(now - lane.busySince, now);
    lane.busySince = now;
  }

  /** Harmless for one that is ending. */
  #leave(slot: Slot<Connection>): void {
    const index = this.#open.indexOf(slot);
    if (index >= 0) this.#open.splice(index, 1);
    if (slot === this.#yielding) this.#yielding = undefined;
  }
}

const MOST = 4;
/** For so long nothing came back to somebody who waits for a connection. */
const OTHERS_MILLIS = 50;
/** From here on a further lane is worth a connection. */
const CROWDED = 16;
