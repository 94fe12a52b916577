import { nameOf } from '../errors.ts';
import { publish } from '../events.ts';
import { Dialer } from './dialer.ts';
import { Growth, type Health } from './growth.ts';
import type { Fittings } from './pool-settings.ts';
import type { Retirement } from './retirement.ts';
import type { Roster } from './roster.ts';
import type { Ground } from './shelf.ts';
import type { Slot } from './slot.ts';

/** What the supply asks of the stock, and tells it. */
export interface SupplyEnds<Connection> {
  /** Time has passed, and more dials may be worth while. */
  changed(): void;
  opened(slot: Slot<Connection>, connection: Connection): void;
  dialFailed(error: unknown, permanent: boolean): void;
  lost(slot: Slot<Connection>, error: unknown): void;
  /** How many more connections would be of help. */
  servable(): number;
  /** Whether somebody awaits that the pool is ready. */
  isReadyAwaited(): boolean;
}

/** Where connections come from: how many are called for, what the server says to dials, since when all is well. */
export class Supply<Connection> {
  readonly #fittings: Fittings<Connection>;
  readonly #roster: Roster<Connection>;
  readonly #retirement: Retirement;
  readonly #ends: SupplyEnds<Connection>;
  readonly #growth: Growth;
  readonly #dialer: Dialer<Connection>;
  /** Since when connections are to be had without interruption. */
  #servingSince = 0;
  /** Starting: no connection was open yet. */
  #stage: 'starting' | 'running' = 'starting';

  constructor(fittings: Fittings<Connection>, ground: Ground<Connection>, ends: SupplyEnds<Connection>) {
    const { settings, clock } = fittings;
    this.#fittings = fittings;
    this.#roster = ground.roster;
    this.#retirement = ground.retirement;
    this.#ends = ends;
    const breakAfterMillis = (): number => BREAK_AFTER[this.#stage === 'starting' ? settings.startup : 'lazy'];
    this.#growth = new Growth(clock, breakAfterMillis, () => ends.changed());
    this.#dialer = new Dialer(fittings, ground, {
      opened: (slot, connection, dialMillis) => this.#onOpened(slot, connection, dialMillis),
      failed: (slot, error, startedAt) => this.#onFailed(slot, error, startedAt),
      lost: (slot, error) => ends.lost(slot, error),
    });
  }

  get health(): Health {
    return this.#growth.health;
  }

  /** What dials fail with at present. */
  get failure(): unknown {
    return this.#growth.failure;
  }

  /** Since when connections have come back without a break; infinity while they do not. */
  servingSince(): number {
    return this.#isAccepting() && this.#roster.live() > 0 ? this.#servingSince : Number.POSITIVE_INFINITY;
  }

  /** Callers were kept waiting on purpose: what they waited so far says nothing about load. */
  resumed(): void {
    this.#servingSince = this.#fittings.clock.now();
  }

  /** Connections to be kept open now. */
  minimum(): number {
    const isToStart = this.#stage === 'starting' && this.#fittings.settings.startup !== 'lazy';
    return Math.max(this.#retirement.bounds.min, this.#ends.isReadyAwaited() || isToStart ? 1 : 0);
  }

  gaveBack(now: number, heldMillis: number): void {
    this.#growth.gaveBack(now, heldMillis);
  }

  /** Starts as many dials as the line, the minimum and the server's health call for. */
  grow(now: number): void {
    const room = this.#retirement.ceiling() - this.#roster.size;
    if (room <= 0) return;
    const { connecting, idle, leased, lanes, tending } = this.#roster.census();
    const live = idle + leased + lanes + tending;
    // A broken server is probed on: whoever comes next shall not have to find out that it is back.
    const minimum = Math.max(this.minimum(), this.health.kind === 'broken' ? 1 : 0);
    const waiting = this.#ends.servable();
    const demand = { waiting, checking: tending, working: leased, connecting, missing: minimum - live, room };
    for (let dials = this.#growth.dials(demand, now); dials > 0; dials -= 1) {
      this.#dialer.dial(this.#retirement.generation.number);
    }
  }

  tick(now: number): void {
    this.#growth.tick(now);
  }

  /** Whatever is on its way is not wanted any more. */
  stop(): void {
    this.#growth.stop();
    for (const slot of [...this.#roster.slots]) this.#dialer.abandon(slot);
  }

  #isAccepting(): boolean {
    return this.health.kind === 'healthy' || this.health.kind === 'recovering';
  }

  #onOpened(slot: Slot<Connection>, connection: Connection, dialMillis: number): void {
    const { clock, settings } = this.#fittings;
    const now = clock.now();
    this.#stage = 'running';
    const wasBroken = this.health.kind === 'broken';
    if (this.#roster.live() === 0 || !this.#isAccepting()) this.#servingSince = now;
    this.#growth.dialSucceeded(dialMillis, now);
    if (wasBroken) publish('lifeguard:pool:breaker', () => ({ pool: settings.name, state: 'closed' }));
    slot.expiresAt = now + this.#retirement.lifetime();
    slot.usedAt = now;
    publish('lifeguard:pool:opened', () => ({ pool: settings.name, slot: slot.id, dialMillis }));
    this.#ends.opened(slot, connection);
  }

  /** One that was given up is still to be seen off; of one that has failed there is nothing left. */
  #onFailed(slot: Slot<Connection>, error: unknown, startedAt: number): void {
    const { seam, clock, settings } = this.#fittings;
    const now = clock.now();
    if (slot.state.kind === 'closed') this.#roster.remove(slot);
    const permanent = seam.isPermanent(error);
    const { attempts, retryAt, opened } = this.#growth.dialFailed(error, { permanent, startedAt, now });
    publish('lifeguard:pool:dial-failed', () => {
      const retryInMillis = Math.max(0, retryAt - now);
      return { pool: settings.name, slot: slot.id, attempts, retryInMillis, error: nameOf(error) };
    });
    if (opened) publish('lifeguard:pool:breaker', () => ({ pool: settings.name, state: 'open', error: nameOf(error) }));
    this.#ends.dialFailed(error, permanent);
  }
}

/** Unbroken failure for this long, and callers are no longer kept waiting (DESIGN.md §5.14). */
const BREAK_AFTER = { lazy: 2_000, wait: Number.POSITIVE_INFINITY, fail: 0 } as const;
