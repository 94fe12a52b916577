import type { Timer } from '../clock.ts';
import { nameOf } from '../errors.ts';
import { publish } from '../events.ts';
import { Closer } from './closer.ts';
import { Dialer } from './dialer.ts';
import { Growth, type Health } from './growth.ts';
import type { Fittings } from './pool-settings.ts';
import { Retirement, type Standing } from './retirement.ts';
import { Roster } from './roster.ts';
import type { CloseReason } from './seam.ts';
import { Slot, type Task } from './slot.ts';
import { HANGING_MILLIS, Tending } from './tending.ts';

/** What the stock asks of the pool, and tells it. */
export interface StockEnds {
  /** Something changed that may let somebody be served, or make a dial worth while. */
  changed(): void;
  opened(): void;
  dialFailed(error: unknown, permanent: boolean): void;
  /** Callers whom one more connection would help. */
  servable(): number;
  standing(): Standing;
  /** Whether somebody awaits that the pool is ready. */
  isReadyAwaited(): boolean;
}

/** The connections themselves: opened, kept fit, retired and seen off. Who gets them is the pool's affair. */
export class Stock<Connection> {
  readonly roster: Roster<Connection> = new Roster<Connection>();
  readonly retirement: Retirement;
  readonly #fittings: Fittings<Connection>;
  readonly #ends: StockEnds;
  readonly #growth: Growth;
  readonly #dialer: Dialer<Connection>;
  readonly #tending: Tending<Connection>;
  readonly #closer: Closer<Connection>;
  #slotIds = 0;
  #secondLook: Timer | undefined;
  /** Since when connections are to be had without interruption. */
  #servingSince = 0;
  /** Starting: no connection was open yet. Ending: none may be opened or kept any more. */
  #stage: 'starting' | 'running' | 'ending' = 'starting';

  constructor(fittings: Fittings<Connection>, ends: StockEnds) {
    const { settings, clock } = fittings;
    this.#fittings = fittings;
    this.#ends = ends;
    this.retirement = new Retirement(settings, this.roster, { now: clock.now(), standing: () => ends.standing() });
    this.#growth = new Growth(clock, { breakAfterMillis: BREAK_AFTER[settings.startup] }, () => ends.changed());
    this.#closer = new Closer(fittings, (slot) => this.#onClosed(slot));
    this.#dialer = new Dialer(fittings, this.#closer, {
      opened: (slot, connection, dialMillis) => this.#onOpened(slot, connection, dialMillis),
      failed: (slot, error, startedAt) => this.#onDialFailed(slot, error, startedAt),
      lost: (slot, error) => this.#onLost(slot, error),
    });
    this.#tending = new Tending(fittings, {
      done: (slot) => this.#onTended(slot),
      failed: (slot, reason, error) => this.#onTendingFailed(slot, reason, error),
    });
  }

  get health(): Health {
    return this.#growth.health;
  }

  get closeReasons(): ReadonlyMap<CloseReason, number> {
    return this.#closer.reasons;
  }

  /** Since when connections have come back without a break; infinity while they do not. */
  servingSince(): number {
    return this.#isAccepting() && this.roster.live() > 0 ? this.#servingSince : Number.POSITIVE_INFINITY;
  }

  /** Callers were kept waiting on purpose: what they waited so far says nothing about load. */
  resumed(): void {
    this.#servingSince = this.#fittings.clock.now();
  }

  /** Connections to be kept open now. */
  minimum(): number {
    const wantsOne = this.#ends.isReadyAwaited() || this.#isToStart();
    return Math.max(this.retirement.size.min, wantsOne ? 1 : 0);
  }

  /** The connection on top, if it may be lent as it is. What may not be kept is retired on the way. */
  fit(now: number): Slot<Connection> | undefined {
    for (let slot = this.roster.top(); slot !== undefined; slot = this.roster.top()) {
      const reason = this.retirement.of(slot, now);
      if (reason === undefined) return this.retirement.isFresh(slot, now) ? slot : undefined;
      this.#retire(slot, reason);
    }
    return undefined;
  }

  /** A connection has become fit: it is idle now, unless its time has come. */
  keep(slot: Slot<Connection>, now: number, connection: Connection = slot.connection): void {
    this.roster.shelve(slot, connection, now);
    const reason = this.#stage === 'ending' ? 'pool-closed' : this.retirement.of(slot, now);
    if (reason === undefined) this.#fittings.seam.rest(connection);
    else this.#retire(slot, reason);
  }

  tend(slot: Slot<Connection>, task: Task): void {
    this.#tending.tend(slot, task);
  }

  close(slot: Slot<Connection>, reason: CloseReason, error?: unknown): void {
    this.#closer.close(slot, reason, error);
  }

  gaveBack(now: number, heldMillis: number): void {
    this.#growth.gaveBack(now, heldMillis);
  }

  /** Starts as many dials as the line, the minimum and the server's health call for. */
  grow(now: number): void {
    const room = this.retirement.ceiling() - this.roster.size;
    if (this.#stage === 'ending' || room <= 0) return;
    const { connecting, idle, leased, tending } = this.roster.census();
    const live = idle + leased + tending;
    // A broken server is probed on: whoever comes next shall not have to find out that it is back.
    const minimum = Math.max(this.minimum(), this.health.kind === 'broken' ? 1 : 0);
    const waiting = this.#ends.servable();
    const demand = { waiting, checking: tending, working: leased, connecting, missing: minimum - live, room };
    for (let dials = this.#growth.dials(demand, now); dials > 0; dials -= 1) this.#dial(now);
  }

  /** Checks stale idle connections, as many as somebody waits for: more of them when the first ones hang. */
  checkFor(waiting: number, now: number): void {
    let missing = waiting - this.roster.tendedSince(now - HANGING_MILLIS);
    for (let slot = this.roster.top(); slot !== undefined && missing > 0; slot = this.roster.top(), missing -= 1) {
      this.#check(slot);
    }
    const lookAgain = (): void => {
      this.#secondLook = undefined;
      this.#ends.changed();
    };
    const another = waiting > 0 && this.roster.top() !== undefined;
    if (another) this.#secondLook ??= this.#fittings.clock.after(HANGING_MILLIS + 1, lookAgain);
  }

  /** Something was wrong that may be wrong with all: whatever is idle is checked before it is lent. */
  suspectAll(restingBefore: number = Number.POSITIVE_INFINITY): void {
    for (const slot of [...this.roster.idle]) if (slot.state.since < restingBefore) this.#check(slot);
  }

  /** What a failed statement, or a lost connection, says about the others. */
  learn(slot: Slot<Connection>, error: unknown): void {
    const { seam, clock } = this.#fittings;
    const contagion = seam.contagion(slot.connection, error);
    if (contagion === 'suspect') this.suspectAll();
    // A write sent to a replica by mistake looks like a failover: it must not cost a new pool at every request.
    const { number, since } = this.retirement.generation;
    const isOld = clock.now() - since >= STALE_AFTER_MILLIS;
    if (contagion === 'stale' && slot.generation === number && isOld) this.invalidate('stale');
  }

  /** From now on only connections that are opened from now on are kept. */
  invalidate(reason: string): void {
    const { settings, clock } = this.#fittings;
    this.retirement.newGeneration(clock.now());
    publish('lifeguard:pool:invalidated', () => ({ pool: settings.name, reason }));
    for (const slot of [...this.roster.idle]) this.#retire(slot, 'invalidated');
  }

  resize(min: number, max: number): void {
    Object.assign(this.retirement.size, { min, max });
    for (const slot of [...this.roster.idle]) if (this.retirement.isSurplus()) this.#retire(slot, 'surplus');
  }

  /** Called by the upkeep: what only time brings about. */
  tick(now: number): void {
    this.#growth.tick(now);
    for (const slot of [...this.roster.idle]) {
      const reason = this.retirement.of(slot, now);
      if (reason !== undefined) this.#retire(slot, reason);
      else if (this.retirement.isIdleForLong(slot, now)) this.#retire(slot, 'idle');
      else if (this.retirement.isDueForKeepalive(slot, now)) this.#check(slot);
    }
    this.#closer.enforceCap(this.roster.slots);
  }

  /** No more dials; whatever is idle or on its way goes. */
  end(): void {
    this.#stage = 'ending';
    this.#growth.stop();
    for (const slot of [...this.roster.slots]) {
      if (slot.state.kind === 'idle') this.#retire(slot, 'pool-closed');
      else if (slot.state.kind === 'connecting') this.#dialer.abandon(slot);
    }
  }

  /** Closes what is still leased or tended, under its holder's hands. */
  endByForce(): void {
    for (const slot of [...this.roster.slots]) {
      if (slot.state.kind === 'leased' || slot.state.kind === 'tending') this.close(slot, 'pool-closed');
    }
  }

  cutOff(): void {
    this.#closer.cutOffAll(this.roster.slots);
  }

  #isAccepting(): boolean {
    return this.health.kind === 'healthy' || this.health.kind === 'recovering';
  }

  #isToStart(): boolean {
    return this.#stage === 'starting' && this.#fittings.settings.startup !== 'lazy';
  }

  #dial(now: number): void {
    this.#slotIds += 1;
    const slot = new Slot<Connection>(this.#slotIds, this.retirement.generation.number, now);
    this.roster.slots.add(slot);
    this.#dialer.dial(slot);
  }

  #retire(slot: Slot<Connection>, reason: CloseReason): void {
    this.#unshelve(slot);
    this.#closer.close(slot, reason);
  }

  #check(slot: Slot<Connection>): void {
    this.#unshelve(slot);
    this.#tending.tend(slot, 'check');
  }

  #unshelve(slot: Slot<Connection>): void {
    this.roster.unshelve(slot);
    this.#fittings.seam.wake(slot.connection);
  }

  #onOpened(slot: Slot<Connection>, connection: Connection, dialMillis: number): void {
    const { clock, settings } = this.#fittings;
    const now = clock.now();
    if (this.#stage === 'starting') this.#stage = 'running';
    this.#growth.limits.breakAfterMillis = BREAK_AFTER.lazy;
    const wasBroken = this.health.kind === 'broken';
    if (this.roster.live() === 0 || !this.#isAccepting()) this.#servingSince = now;
    this.#growth.dialSucceeded(dialMillis, now);
    if (wasBroken) publish('lifeguard:pool:breaker', () => ({ pool: settings.name, state: 'closed' }));
    slot.expiresAt = now + this.retirement.lifetime();
    slot.usedAt = now;
    publish('lifeguard:pool:opened', () => ({ pool: settings.name, slot: slot.id, dialMillis }));
    this.keep(slot, now, connection);
    this.#ends.opened();
    this.#ends.changed();
  }

  #onDialFailed(slot: Slot<Connection>, error: unknown, startedAt: number): void {
    if (slot.state.kind === 'closed') this.roster.slots.delete(slot);
    const { seam, clock, settings } = this.#fittings;
    const permanent = seam.isPermanent(error);
    const now = clock.now();
    const { attempts, retryAt, opened } = this.#growth.dialFailed(error, { permanent, startedAt, now });
    publish('lifeguard:pool:dial-failed', () => {
      const retryInMillis = Math.max(0, retryAt - now);
      return { pool: settings.name, slot: slot.id, attempts, retryInMillis, error: nameOf(error) };
    });
    if (opened) publish('lifeguard:pool:breaker', () => ({ pool: settings.name, state: 'open', error: nameOf(error) }));
    this.#ends.dialFailed(error, permanent);
    this.#ends.changed();
  }

  /** The server or the network ended it. One that is in somebody's hands is closed when they let go of it. */
  #onLost(slot: Slot<Connection>, error: unknown): void {
    const { kind } = slot.state;
    if (kind !== 'idle' && kind !== 'leased') return;
    if (kind === 'idle') {
      this.roster.unshelve(slot);
      this.#closer.close(slot, 'lost', error);
    }
    this.learn(slot, error);
    this.#ends.changed();
  }

  #onTended(slot: Slot<Connection>): void {
    this.keep(slot, this.#fittings.clock.now());
    this.#ends.changed();
  }

  #onTendingFailed(slot: Slot<Connection>, reason: CloseReason, error: unknown): void {
    // Not those that were opened meanwhile: where every check fails, dialling and checking would never end.
    if (reason === 'check-failed') this.suspectAll(slot.state.since);
    this.#closer.close(slot, reason, error);
    this.#ends.changed();
  }

  #onClosed(slot: Slot<Connection>): void {
    this.roster.slots.delete(slot);
    this.#ends.changed();
  }
}

/** Unbroken failure for this long, and callers are no longer kept waiting (DESIGN.md §5.14). */
const BREAK_AFTER = { lazy: 2_000, wait: Number.POSITIVE_INFINITY, fail: 0 } as const;

const STALE_AFTER_MILLIS = 5_000;
