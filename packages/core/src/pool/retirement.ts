import type { PoolSettings } from './pool-settings.ts';
import type { Roster } from './roster.ts';
import type { CloseReason } from './seam.ts';
import type { Slot } from './slot.ts';

/** The line, as far as it matters for how many connections there may be. */
export interface Standing {
  readonly isAwaited: boolean;
  readonly oldestWaitMillis: number;
}

/** When a connection may not be kept, although it is fit; and how many there may be. */
export class Retirement {
  readonly #settings: PoolSettings;
  readonly #roster: Roster<unknown>;
  readonly #standing: () => Standing;
  readonly size: { min: number; max: number };
  generation: { readonly number: number; readonly since: number };

  constructor(settings: PoolSettings, roster: Roster<unknown>, setting: { now: number; standing: () => Standing }) {
    this.#settings = settings;
    this.#roster = roster;
    this.#standing = setting.standing;
    this.size = { min: settings.min, max: settings.max };
    this.generation = { number: 0, since: setting.now };
  }

  /** Why this one may not be kept, or undefined. */
  of(slot: Slot<unknown>, now: number): CloseReason | undefined {
    if (slot.generation !== this.generation.number) return 'invalidated';
    if (now >= slot.expiresAt) return 'lifetime';
    const { maxUses } = this.#settings;
    if (maxUses > 0 && slot.uses >= maxUses) return 'max-uses';
    return this.#roster.size > this.size.max && this.isSurplus() ? 'surplus' : undefined;
  }

  /** Beyond `max` a connection lives only while there is a line for it. */
  isSurplus(): boolean {
    return this.#roster.live() > this.ceiling();
  }

  /** How many places there are now. The overflow is for a line, the reserve for one that stands. */
  ceiling(): number {
    const { overflow, reserve, reserveAfterMillis } = this.#settings;
    if (overflow === 0 && reserve === 0) return this.size.max;
    const { isAwaited, oldestWaitMillis } = this.#standing();
    if (!isAwaited) return this.size.max;
    return this.size.max + overflow + (oldestWaitMillis >= reserveAfterMillis ? reserve : 0);
  }

  /** Used so lately that it may be lent without a check. */
  isFresh(slot: Slot<unknown>, now: number): boolean {
    const { validateAfterIdleMillis } = this.#settings;
    return validateAfterIdleMillis === 0 || now - slot.state.since <= validateAfterIdleMillis;
  }

  isIdleForLong(slot: Slot<unknown>, now: number): boolean {
    const { idleTimeoutMillis } = this.#settings;
    return idleTimeoutMillis > 0 && now - slot.usedAt >= idleTimeoutMillis && this.#roster.live() > this.size.min;
  }

  isDueForKeepalive(slot: Slot<unknown>, now: number): boolean {
    const { keepaliveMillis } = this.#settings;
    return keepaliveMillis > 0 && now - slot.state.since >= keepaliveMillis;
  }

  newGeneration(now: number): void {
    this.generation = { number: this.generation.number + 1, since: now };
  }

  /** Connections that were opened together shall not end together. */
  lifetime(): number {
    const { maxLifetimeSeconds } = this.#settings;
    if (maxLifetimeSeconds === 0) return Number.POSITIVE_INFINITY;
    return maxLifetimeSeconds * 1_000 * (1 - Math.random() * LIFETIME_JITTER);
  }
}

const LIFETIME_JITTER = 0.25;
