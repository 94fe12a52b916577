import type { PoolFigures } from '../errors.ts';
import { publish } from '../events.ts';
import { Checks } from './checks.ts';
import { Closer } from './closer.ts';
import type { Health } from './growth.ts';
import { Lanes } from './lanes.ts';
import type { Fittings } from './pool-settings.ts';
import { type Bounds, Retirement } from './retirement.ts';
import { Roster } from './roster.ts';
import type { CloseReason } from './seam.ts';
import { RESTED_MILLIS, Shelf } from './shelf.ts';
import type { Census, Holder, Slot, Task } from './slot.ts';
import { Supply } from './supply.ts';
import { Tending } from './tending.ts';

/** What the stock asks of the pool, and tells it. */
export interface StockEnds {
  /** Something changed that may let somebody be served, or make a dial worth while. */
  changed(): void;
  opened(): void;
  dialFailed(error: unknown, permanent: boolean): void;
  /** Time in which places were taken on a lane. */
  onLane(millis: number, now: number): void;
  /** How many connections those who wait could put to use. */
  servable(): number;
  /** How long the first in the line has waited; undefined while there is no line. */
  oldestWait(): number | undefined;
  /** Whether somebody awaits that the pool is ready. */
  isReadyAwaited(): boolean;
  /** Whether connections are no longer kept. */
  isEnding(): boolean;
}

/** The connections themselves: opened, kept fit, retired and seen off. Who gets them is the pool's affair. */
export class Stock<Connection> {
  readonly shelf: Shelf<Connection>;
  readonly lanes: Lanes<Connection>;
  readonly #fittings: Fittings<Connection>;
  readonly #ends: StockEnds;
  readonly #roster: Roster<Connection>;
  readonly #retirement: Retirement;
  readonly #supply: Supply<Connection>;
  readonly #tending: Tending<Connection>;
  readonly #checks: Checks<Connection>;
  readonly #closer: Closer<Connection>;

  constructor(fittings: Fittings<Connection>, ends: StockEnds) {
    this.#fittings = fittings;
    this.#ends = ends;
    this.#roster = new Roster(fittings.seam);
    this.#retirement = new Retirement(fittings, this.#roster, () => ends.oldestWait());
    this.#closer = new Closer(fittings, this.#roster, (slot) => this.#onClosed(slot));
    const ground = { roster: this.#roster, retirement: this.#retirement, closer: this.#closer };
    this.shelf = new Shelf(fittings, ground, ends);
    this.lanes = new Lanes(fittings, { ...ground, shelf: this.shelf }, (millis, now) => ends.onLane(millis, now));
    this.#supply = new Supply(fittings, ground, {
      changed: () => ends.changed(),
      opened: (slot, connection) => this.#onOpened(slot, connection),
      dialFailed: (error, permanent) => this.#onDialFailed(error, permanent),
      lost: (slot, error) => this.#onLost(slot, error),
      // What lies idle is made a lane of by the next one who boards; and those who wait come first.
      servable: () => Math.max(ends.servable(), this.#roster.top() === undefined ? this.lanes.wanted : 0),
      isReadyAwaited: () => ends.isReadyAwaited(),
    });
    this.#tending = new Tending(fittings, {
      done: (slot) => this.#onTended(slot),
      failed: (slot, reason, error) => this.#onTendingFailed(slot, reason, error),
    });
    this.#checks = new Checks(fittings, { roster: this.#roster, tending: this.#tending }, ends);
  }

  /** Places in use, whatever their state. */
  get size(): number {
    return this.#roster.size;
  }

  get bounds(): Bounds {
    return this.#retirement.bounds;
  }

  get health(): Health {
    return this.#supply.health;
  }

  /** What dials fail with at present. */
  get failure(): unknown {
    return this.#supply.failure;
  }

  get closeReasons(): ReadonlyMap<CloseReason, number> {
    return this.#closer.reasons;
  }

  census(): Census {
    return this.#roster.census();
  }

  leased(): Iterable<{ slot: Slot<Connection>; holder: Holder; since: number }> {
    return this.#roster.leased();
  }

  leasedBy(group: string): number {
    return this.#roster.leasedBy(group);
  }

  figures(waiting: number): PoolFigures {
    const { settings, clock } = this.#fittings;
    return this.#roster.figures({ pool: settings.name, max: this.bounds.max, waiting, now: clock.now() });
  }

  /** Whether no connection is open. */
  isBare(): boolean {
    return this.#roster.live() === 0;
  }

  /** Whether as many are open as shall be. */
  isReady(): boolean {
    return this.#roster.live() >= this.#supply.minimum();
  }

  /** Since when connections have come back without a break; infinity while they do not. */
  servingSince(): number {
    return this.#supply.servingSince();
  }

  /** Callers were kept waiting on purpose: what they waited so far says nothing about load. */
  resumed(): void {
    this.#supply.resumed();
  }

  grow(now: number): void {
    this.#supply.grow(now);
  }

  /** Whether what would be lent next has lain for so long that the machine may have slept meanwhile. */
  isRested(now: number): boolean {
    const top = this.#roster.top();
    return top === undefined ? this.lanes.isRested(now) : now - top.state.since > RESTED_MILLIS;
  }

  /** An idle connection that may be lent as it is. An empty lane is as good where there is no other. */
  fit(now: number): Slot<Connection> | undefined {
    return this.shelf.fit(now) ?? (this.lanes.yieldOne(now) ? this.shelf.fit(now) : undefined);
  }

  lend(slot: Slot<Connection>, holder: Holder, now: number): void {
    const { connection } = this.#roster.unshelve(slot);
    slot.move({ kind: 'leased', since: now, connection, holder });
    slot.uses += 1;
  }

  /** The lane for one more. Where a further lane is wanted: what is idle is checked for it, or one is dialled. */
  laneFor(now: number): Slot<Connection> | undefined {
    const { wanted } = this.lanes;
    const lane = this.lanes.choose(now);
    if (this.lanes.wanted > wanted) {
      this.#checks.serve(now, 1);
      this.#supply.grow(now);
    }
    return lane;
  }

  /** A lease has ended: what becomes of its connection is said next. */
  gaveBack(slot: Slot<Connection>, heldMillis: number, now: number): void {
    slot.usedAt = now;
    this.#supply.gaveBack(now, heldMillis);
    this.lanes.gaveBack(now);
  }

  tend(slot: Slot<Connection>, task: Task): void {
    this.#tending.tend(slot, task);
  }

  close(slot: Slot<Connection>, reason: CloseReason): void {
    this.#closer.close(slot, reason);
  }

  /** Has stale idle connections checked for those who wait. */
  checkStale(now: number): void {
    this.#checks.serve(now);
  }

  /** Something was wrong that may be wrong with all: whatever is idle is checked before it is lent. */
  suspectAll(restingBefore: number = Number.POSITIVE_INFINITY): void {
    const now = this.#fittings.clock.now();
    this.lanes.yieldAll(now);
    this.lanes.suspect(restingBefore, now);
    this.#checks.suspectAll(restingBefore);
  }

  /** What a failed statement, or a lost connection, says about the others. */
  learn(slot: Slot<Connection>, error: unknown): void {
    const { seam, clock } = this.#fittings;
    const contagion = seam.contagion(slot.connection, error);
    if (contagion === 'suspect') this.suspectAll();
    // A write sent to a replica by mistake looks like a failover: it must not cost a new pool at every request.
    const { number, since } = this.#retirement.generation;
    const isOld = clock.now() - since >= STALE_AFTER_MILLIS;
    if (contagion === 'stale' && slot.generation === number && isOld) this.invalidate('stale');
  }

  /** From now on only connections that are opened from now on are kept. */
  invalidate(reason: string): void {
    const { settings, clock } = this.#fittings;
    this.#retirement.newGeneration(clock.now());
    publish('lifeguard:pool:invalidated', () => ({ pool: settings.name, reason }));
    this.lanes.yieldAll(clock.now());
    this.shelf.retireAll('invalidated');
  }

  resize(min: number, max: number): void {
    this.#retirement.resize(min, max);
    this.lanes.resized();
    if (this.#retirement.isSurplus()) this.lanes.yieldAll(this.#fittings.clock.now());
    for (const slot of [...this.#roster.idle]) if (this.#retirement.isSurplus()) this.shelf.retire(slot, 'surplus');
  }

  /** Called by the upkeep: what only time brings about. */
  tick(now: number): void {
    this.#supply.tick(now);
    this.lanes.tick(now);
    for (const slot of [...this.#roster.idle]) {
      // A subscriber may have taken it while one before it was closed.
      if (slot.state.kind !== 'idle') continue;
      const reason = this.#retirement.of(slot, now);
      if (reason !== undefined) this.shelf.retire(slot, reason);
      else if (this.#retirement.isIdleForLong(slot, now)) this.shelf.retire(slot, 'idle');
      else if (this.#retirement.isDueForKeepalive(slot, now)) this.#checks.begin(slot);
    }
    this.#closer.enforceCap(this.#roster.slots);
  }

  /** No more dials; whatever is idle or on its way goes. */
  end(): void {
    this.#supply.stop();
    this.lanes.endAll('pool-closed');
    this.shelf.retireAll('pool-closed');
  }

  /** Closes what is still leased, shared or tended, under its holders' hands. */
  endByForce(): void {
    for (const slot of [...this.#roster.slots]) {
      const { kind } = slot.state;
      if (kind === 'lane') this.lanes.cut(slot, 'pool-closed');
      else if (kind === 'leased' || kind === 'tending') this.close(slot, 'pool-closed');
    }
  }

  cutOff(): void {
    this.#closer.cutOffAll(this.#roster.slots);
  }

  #onOpened(slot: Slot<Connection>, connection: Connection): void {
    this.shelf.keep(slot, this.#fittings.clock.now(), connection);
    this.#ends.opened();
    this.#ends.changed();
  }

  #onDialFailed(error: unknown, permanent: boolean): void {
    this.#ends.dialFailed(error, permanent);
    this.#ends.changed();
  }

  /** The server or the network ended it. One that is in somebody's hands is closed when they let go of it. */
  #onLost(slot: Slot<Connection>, error: unknown): void {
    const { kind } = slot.state;
    if (kind !== 'idle' && kind !== 'leased' && kind !== 'lane') return;
    if (kind === 'idle') this.shelf.retire(slot, 'lost', error);
    if (kind === 'lane') this.lanes.end(slot, 'lost', error);
    this.learn(slot, error);
    this.#ends.changed();
  }

  #onTended(slot: Slot<Connection>): void {
    this.shelf.keep(slot, this.#fittings.clock.now());
    this.#ends.changed();
  }

  #onTendingFailed(slot: Slot<Connection>, reason: CloseReason, error: unknown): void {
    // Not those that were opened meanwhile: where every check fails, dialling and checking would never end.
    if (reason === 'check-failed') this.suspectAll(slot.state.since);
    this.#closer.close(slot, reason, error);
    this.#ends.changed();
  }

  #onClosed(slot: Slot<Connection>): void {
    this.#roster.remove(slot);
    this.#ends.changed();
  }
}

const STALE_AFTER_MILLIS = 5_000;
