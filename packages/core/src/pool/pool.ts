import type { LifeguardError, PoolFigures } from '../errors.ts';
import { Admission, isGone } from './admission.ts';
import type { Boarding, LaneReading } from './lanes.ts';
import { Ledger } from './ledger.ts';
import { Line } from './line.ts';
import type { Fittings } from './pool-settings.ts';
import { Readiness } from './readiness.ts';
import { aborted, poolClosed, unavailable } from './refusal.ts';
import type { CloseReason, Verdict } from './seam.ts';
import type { Holder, Slot } from './slot.ts';
import type { PoolReading } from './snapshot.ts';
import { Stock } from './stock.ts';
import { Upkeep } from './upkeep.ts';
import { Usher } from './usher.ts';
import type { AcquireRequest } from './waiters.ts';

type Phase =
  | { readonly kind: 'open' }
  | { readonly kind: 'paused' }
  | { readonly kind: 'closing'; readonly drained: () => void; readonly done: Promise<void> }
  | { readonly kind: 'closed'; readonly done: Promise<void> };

/** Who gets which connection, and when. Every connection has exactly one owner at every moment: its slot's state says who. */
export class Pool<Connection> {
  readonly #fittings: Fittings<Connection>;
  readonly #stock: Stock<Connection>;
  readonly #line: Line<Connection>;
  readonly #admission: Admission<Connection>;
  readonly #usher: Usher<Connection>;
  readonly #upkeep: Upkeep;
  readonly #ledger: Ledger;
  readonly #readiness = new Readiness();
  #phase: Phase = { kind: 'open' };

  /** `onTick` is called by the one timer of the pool, about every second. */
  constructor(fittings: Fittings<Connection>, onTick: (now: number) => void = () => undefined) {
    const { settings, clock } = fittings;
    this.#fittings = fittings;
    this.#ledger = new Ledger(clock.now());
    this.#line = new Line(fittings, {
      figures: () => this.figures(),
      failure: () => this.failure,
      servingSince: () => this.#stock.servingSince(),
      roomOf: (group) => (settings.groups.get(group)?.maxConcurrent ?? 0) - this.#stock.leasedBy(group),
      hasLanes: () => this.#stock.lanes.limit > 0,
      refused: (error, waitedMillis) => this.#admission.refused(error, waitedMillis),
      left: () => this.#dispatch(),
    });
    this.#stock = new Stock(fittings, {
      changed: () => this.#onChange(),
      opened: () => this.#onOpened(),
      dialFailed: (error, permanent) => this.#onDialFailed(error, permanent),
      onLane: (millis, now) => this.#ledger.onLane(millis, now),
      // Nobody is served before resume(): then a dial would help nobody, and would go to a server that is being changed.
      servable: () => (this.#phase.kind === 'open' ? this.#line.servable : 0),
      oldestWait: () => this.#line.oldestWait(clock.now()),
      isReadyAwaited: () => this.#readiness.awaited,
      isEnding: () => this.#isEnding(),
    });
    const house = { line: this.#line, stock: this.#stock, ledger: this.#ledger };
    this.#admission = new Admission(fittings, house);
    this.#usher = new Usher(house);
    this.#upkeep = new Upkeep(settings, clock, {
      tick: (now) => this.#onTick(now, onTick),
      late: () => this.#stock.suspectAll(),
    });
    if (settings.startup !== 'lazy' || settings.min > 0) this.#dispatch();
  }

  /** A connection at once, where one is idle and fit and nobody waits: no promise is made. Else undefined. */
  take(request: AcquireRequest): Slot<Connection> | undefined {
    if (this.#line.length > 0 || this.#phase.kind !== 'open' || request.group !== undefined) return undefined;
    const now = this.#fittings.clock.now();
    if (isGone(request, now)) return undefined;
    this.#upkeep.mind(now, this.#stock.isRested(now));
    const slot = this.#stock.fit(now);
    if (slot === undefined) return undefined;
    this.#stock.lend(slot, request, now);
    request.owner?.admit();
    this.#ledger.lent(0, now);
    return slot;
  }

  /** A place on a lane at once, where one has room and nobody waits for one; to be left by `alight`. Else undefined. */
  board(request: Boarding): Slot<Connection> | undefined {
    if (this.#phase.kind !== 'open' || !this.#fittings.settings.lanes || this.#line.sharing > 0) return undefined;
    const now = this.#fittings.clock.now();
    if (isGone(request, now)) return undefined;
    this.#upkeep.mind(now, this.#stock.lanes.isRested(now));
    const lane = this.#stock.laneFor(now);
    if (lane === undefined) return undefined;
    this.#stock.lanes.take(lane, now);
    request.owner?.admit();
    this.#ledger.tookPlace(0, now);
    return lane;
  }

  /** Leaves a place on a lane, once for each that was taken. Harmless when the lane has been closed meanwhile. */
  alight(slot: Slot<Connection>): void {
    const now = this.#fittings.clock.now();
    const isFree = this.#stock.lanes.alight(slot, now);
    const { length } = this.#line;
    this.#stock.lanes.mindOthers(length === 0 ? undefined : this.#line.oldestWaitAlone(now), now);
    if (length > 0 && (isFree || this.#line.sharing > 0)) this.#dispatch(now);
  }

  /** A connection, or for those who share a place on a lane (the slot's state says which), or the reason why not. */
  acquire(request: AcquireRequest): Promise<Slot<Connection>> {
    const now = this.#fittings.clock.now();
    const refusal = this.#isEnding() ? poolClosed(this.#fittings.settings.name) : this.#admission.refusal(request, now);
    if (refusal !== undefined) return Promise.reject(this.#admission.refused(refusal, 0));
    this.#upkeep.mind(now, this.#stock.isRested(now));
    const promise = this.#line.join(request, now);
    this.#dispatch(now);
    return promise;
  }

  /** Ends a lease. Harmless when this holder's lease has ended before. */
  giveBack(slot: Slot<Connection>, holder: Holder, verdict: Verdict): void {
    const { state } = slot;
    if (state.kind !== 'leased' || state.holder !== holder) return;
    const now = this.#fittings.clock.now();
    const heldMillis = now - state.since;
    this.#stock.gaveBack(slot, heldMillis, now);
    this.#ledger.returned(holder, heldMillis, now);
    switch (verdict.kind) {
      case 'keep':
        this.#stock.shelf.keep(slot, now);
        break;
      case 'clean':
        this.#stock.tend(slot, 'clean');
        break;
      case 'interrupt':
        this.#ledger.cancels += 1;
        this.#stock.tend(slot, 'interrupt');
        break;
      case 'discard':
        this.#stock.close(slot, verdict.reason);
        break;
      default:
        verdict satisfies never;
    }
    // Also when nothing was kept: the group of the holder has room now.
    if (this.#line.length > 0) this.#dispatch(now);
  }

  /** What a failed statement on this slot says about the other connections. */
  learn(slot: Slot<Connection>, holder: Holder, error: unknown): void {
    const { state } = slot;
    if (state.kind === 'leased' && state.holder === holder) this.#stock.learn(slot, error);
  }

  /** The same of a statement on a lane. */
  learnFromLane(slot: Slot<Connection>, error: unknown): void {
    if (slot.state.kind === 'lane') this.#stock.learn(slot, error);
  }

  lanes(): Iterable<LaneReading<Connection>> {
    return this.#stock.lanes.read(this.#fittings.clock.now());
  }

  /** Closes a lane at once, under its users' hands. Harmless for what is none any more. */
  endLane(slot: Slot<Connection>, reason: CloseReason): void {
    if (slot.state.kind === 'lane') this.#stock.lanes.cut(slot, reason);
  }

  /** Replaces every connection: idle ones now, leased ones when they come back. */
  invalidate(reason: string): void {
    this.#stock.invalidate(reason);
    this.#dispatch();
  }

  resize(min: number, max: number): void {
    this.#stock.resize(min, max);
    this.#settleReadiness();
    this.#dispatch();
  }

  get size(): { readonly min: number; readonly max: number } {
    return this.#stock.bounds;
  }

  /** Callers wait, up to their limits; what is leased goes on. */
  pause(): void {
    if (this.#phase.kind !== 'open') return;
    this.#phase = { kind: 'paused' };
    this.#stock.lanes.paused();
  }

  resume(): void {
    if (this.#phase.kind !== 'paused') return;
    this.#phase = { kind: 'open' };
    this.#stock.resumed();
    this.#dispatch();
  }

  /** Resolves when the minimum, and at least one connection, is open. */
  ready(signal: AbortSignal | undefined): Promise<void> {
    if (this.#isEnding()) return Promise.reject(poolClosed(this.#fittings.settings.name));
    const ready = this.#readiness.wait(signal, (reason) => aborted(this.#fittings.settings.name, reason));
    this.#settleReadiness();
    this.#dispatch();
    return ready;
  }

  /** Refuses new work, waits for leases up to `graceMillis`, then closes them under their holders' hands. */
  close(graceMillis: number): Promise<void> {
    if (this.#phase.kind === 'closing' || this.#phase.kind === 'closed') return this.#phase.done;
    const { promise, resolve } = Promise.withResolvers<void>();
    const grace = this.#fittings.clock.after(graceMillis, () => this.#stock.endByForce());
    // The server is given its time, and no more: what it has not closed by then is overdue and stays so.
    const end = this.#fittings.clock.after(graceMillis + this.#fittings.settings.closeTimeoutMillis, resolve);
    const done = promise.then(() => {
      grace.cancel();
      end.cancel();
      this.#upkeep.stop();
      this.#stock.cutOff();
      this.#phase = { kind: 'closed', done };
    });
    this.#phase = { kind: 'closing', drained: resolve, done };
    this.#line.rejectAll(() => poolClosed(this.#fittings.settings.name));
    this.#readiness.failed(() => poolClosed(this.#fittings.settings.name));
    this.#stock.end();
    this.#onChange();
    return done;
  }

  leased(): Iterable<{ slot: Slot<Connection>; holder: Holder; since: number }> {
    return this.#stock.leased();
  }

  figures(): PoolFigures {
    return this.#stock.figures(this.#line.length);
  }

  /** What dials fail with at present. */
  get failure(): unknown {
    return this.#stock.failure;
  }

  snapshot(): PoolReading {
    const now = this.#fittings.clock.now();
    const { min, max } = this.#stock.bounds;
    return Object.freeze({
      name: this.#fittings.settings.name,
      state: this.#phase.kind,
      health: this.#stock.health.kind,
      min,
      max,
      size: this.#stock.size,
      ...this.#stock.census(),
      waiting: this.#line.length,
      oldestWaitMillis: this.#line.oldestWait(now) ?? 0,
      ...this.#ledger.read({ max, out: [...this.leased()], busyMillis: this.#stock.lanes.busyMillis(now) }, now),
      closed: Object.freeze(Object.fromEntries(this.#stock.closeReasons)),
    });
  }

  /** Serves the line from what is idle, has stale ones checked, and dials where that is not enough. */
  #dispatch(now: number = this.#fittings.clock.now()): void {
    if (this.#isEnding()) return;
    if (this.#phase.kind === 'open') {
      this.#usher.serve(now);
      if (this.#line.length > 0) this.#stock.checkStale(now);
    }
    this.#stock.grow(now);
    if (this.#stock.size > 0) this.#upkeep.start();
  }

  #onOpened(): void {
    this.#ledger.opened += 1;
    this.#settleReadiness();
  }

  #settleReadiness(): void {
    if (this.#readiness.awaited && this.#stock.isReady()) this.#readiness.reached();
  }

  #onDialFailed(error: unknown, permanent: boolean): void {
    this.#ledger.failedDials += 1;
    const refusal = (): LifeguardError => unavailable(this.figures(), error, permanent);
    if (this.#fittings.settings.startup === 'fail' || permanent) this.#readiness.failed(refusal);
    if (this.#stock.health.kind === 'broken' && this.#stock.isBare()) this.#line.rejectAll(refusal);
  }

  #onChange(): void {
    if (this.#phase.kind === 'closing' && this.#stock.size === 0) this.#phase.drained();
    this.#dispatch();
  }

  #onTick(now: number, alsoOnTick: (now: number) => void): void {
    this.#stock.tick(now);
    alsoOnTick(now);
    this.#dispatch();
  }

  #isEnding(): boolean {
    return this.#phase.kind === 'closing' || this.#phase.kind === 'closed';
  }
}
