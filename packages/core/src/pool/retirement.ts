import type { Clock } from '../clock.ts';
import type { PoolSettings } from './pool-settings.ts';
import type { Roster } from './roster.ts';
import type { CloseReason } from './seam.ts';
import type { Slot } from './slot.ts';

/** How many connections there shall be. */
export interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** When a connection may not be kept, although it is fit; and how many there may be. */
export class Retirement {
  readonly #settings: PoolSettings;
  readonly #roster: Roster<unknown>;
  /** How long the first in the line has waited; undefined while there is no line. */
  readonly #oldestWait: () => number | undefined;
  #bounds: Bounds;
  #generation: { readonly number: number; readonly since: number };

  constructor(
    { settings, clock }: { settings: PoolSettings; clock: Clock },
    roster: Roster<unknown>,
    oldestWait: () => number | undefined,
  ) {
    this.#settings = settings;
    this.#roster = roster;
    this.#oldestWait = oldestWait;
    this.#bounds = Object.freeze({ min: settings.min, max: settings.max });
    this.#generation = { number: 0, since: clock.now() };
  }

  get bounds(): Bounds {
    return this.#bounds;
  }

  get generation(): { readonly number: number; readonly since: number } {
    return this.#generation;
  }

  /** Why this one may not be kept, or undefined. */
  of(slot: Slot<unknown>, now: number): CloseReason | undefined {
    if (slot.generation !== this.#generation.number) return 'invalidated';
    if (now >= slot.expiresAt) return 'lifetime';
    const { maxUses } = this.#settings;
    if (maxUses > 0 && slot.uses >= maxUses) return 'max-uses';
    return this.#roster.size > this.#bounds.max && this.isSurplus() ? 'surplus' : undefined;
  }

  /** Why a lane takes nobody on any more. The use that it is goes on, and what is too many goes when it is idle. */
  whileInUse(slot: Slot<unknown>, now: number): CloseReason | undefined {
    if (slot.generation !== this.#generation.number) return 'invalidated';
    return now >= slot.expiresAt ? 'lifetime' : undefined;
  }

  /** Beyond `max` a connection lives only while there is a line for it. */
  isSurplus(): boolean {
    return this.#roster.live() > this.ceiling();
  }

  /** How many places there are now. The overflow is for a line, the reserve for one that stands. */
  ceiling(): number {
    const { overflow, reserve, reserveAfterMillis } = this.#settings;
    const { max } = this.#bounds;
    const oldestWait = overflow === 0 && reserve === 0 ? undefined : this.#oldestWait();
    if (oldestWait === undefined) return max;
    return max + overflow + (oldestWait >= reserveAfterMillis ? reserve : 0);
  }

  /** Idle for so short a time that it may be lent without a check. */
  isFresh(idleSince: number, now: number): boolean {
    const { validateAfterIdleMillis } = this.#settings;
    return validateAfterIdleMillis === 0 || now - idleSince <= validateAfterIdleMillis;
  }

  isIdleForLong(slot: Slot<unknown>, now: number): boolean {
    const { idleTimeoutMillis } = this.#settings;
    return idleTimeoutMillis > 0 && now - slot.usedAt >= idleTimeoutMillis && this.#roster.live() > this.#bounds.min;
  }

  isDueForKeepalive(slot: Slot<unknown>, now: number): boolean {
    const { keepaliveMillis } = this.#settings;
    return keepaliveMillis > 0 && now - slot.state.since >= keepaliveMillis;
  }

  newGeneration(now: number): void {
    this.#generation = { number: this.#generation.number + 1, since: now };
  }

  resize(min: number, max: number): void {
    this.#bounds = Object.freeze({ min, max });
  }

  /** Connections that were opened together shall not end together. */
  lifetime(): number {
    const { maxLifetimeSeconds } = this.#settings;
    if (maxLifetimeSeconds === 0) return Number.POSITIVE_INFINITY;
    return maxLifetimeSeconds * 1_000 * (1 - Math.random() * LIFETIME_JITTER);
  }
}

const LIFETIME_JITTER = 0.25;
