import type { Clock } from '../clock.ts';
import { DeadlineWheel } from '../deadline-wheel.ts';
import type { LifeguardError, PoolFigures } from '../errors.ts';
import { Overload } from './overload.ts';
import type { Fittings, PoolSettings } from './pool-settings.ts';
import { aborted, lineFull, overloaded, timedOut, type Wait } from './refusal.ts';
import type { Slot } from './slot.ts';
import { type AcquireRequest, isAdmitted, type Section, SHARING, Waiter, type WaiterEnds, Waiters } from './waiters.ts';

/** What the line must know of the pool. */
export interface Surroundings {
  figures(): PoolFigures;
  /** What dials fail with at present. */
  failure(): unknown;
  /** Since when connections have come back without a break; infinity while they do not. */
  servingSince(): number;
  /** Whether connections are shared at all. */
  hasLanes(): boolean;
  /** Leases that a group may still take. */
  roomOf(group: string): number;
  /** Counts and tells every refusal, whoever makes it. */
  refused(error: LifeguardError, waitedMillis: number): LifeguardError;
  /** Somebody left: a place may have become free for others. */
  left(): void;
}

/** The line: who may join it, who is next, and how everybody leaves it. */
export class Line<Connection> implements WaiterEnds<Connection> {
  readonly #clock: Clock;
  readonly #wheel: DeadlineWheel;
  readonly #settings: PoolSettings;
  readonly #around: Surroundings;
  readonly #waiters = new Waiters<Connection>();
  readonly #overloads = new Map<Section, Overload>();
  #ticket = 0;

  constructor({ settings, clock }: Fittings<Connection>, around: Surroundings) {
    this.#clock = clock;
    this.#wheel = new DeadlineWheel(clock);
    this.#settings = settings;
    this.#around = around;
  }

  get length(): number {
    return this.#waiters.length;
  }

  /** Those among them who are content with a place on a lane. */
  get sharing(): number {
    return this.#waiters.length === 0 ? 0 : this.#waiters.lengthOf(SHARING);
  }

  /** How many more connections would be of help. */
  get servable(): number {
    return this.#waiters.servable(this.#around.roomOf);
  }

  /** Undefined while nobody waits. */
  oldestWait(now: number): number | undefined {
    const oldest = this.#waiters.oldest();
    return oldest === undefined ? undefined : now - oldest.since;
  }

  /** The same of those who want a connection to themselves, and whom nothing else keeps waiting. */
  oldestWaitAlone(now: number): number | undefined {
    const lacksConnection = (section: Section): boolean =>
      section !== SHARING && (section === undefined || this.#around.roomOf(section) > 0);
    const oldest = this.#waiters.oldest(lacksConnection);
    return oldest === undefined ? undefined : now - oldest.since;
  }

  /** A place in the line, or the refusal. */
  join(request: AcquireRequest, now: number): Promise<Slot<Connection>> {
    const section = this.#sectionOf(request);
    const refusal = this.#refusal(request, section, now);
    if (refusal !== undefined) return Promise.reject(this.#around.refused(refusal, 0));
    const waiter = new Waiter<Connection>(request, { ticket: this.#ticket++, since: now, section }, this);
    this.#waiters.enqueue(waiter);
    const due = this.#due(request, now);
    if (due !== undefined) this.#wheel.arm(waiter, due);
    return waiter.promise;
  }

  /** The next to be served, who has thereby left the line. Those who stood too long are told so on the way. */
  next(now: number, among: 'all' | 'the sharing' = 'all'): Waiter<Connection> | undefined {
    for (;;) {
      const waiter = among === 'all' ? this.#waiters.next(this.#around.roomOf) : this.#waiters.nextSharing();
      if (waiter === undefined) return undefined;
      this.#remove(waiter);
      // Another listener of the same signal may have given the connection back before ours was called.
      if (waiter.request.signal?.aborted === true) this.#refuseSoon(waiter, this.#aborted(waiter));
      else if (!this.#drops(waiter, now)) return waiter;
      else this.#refuseSoon(waiter, this.#shed(now - waiter.since, waiter.section));
    }
  }

  rejectAll(error: () => LifeguardError): void {
    for (let waiter = this.#waiters.oldest(); waiter !== undefined; waiter = this.#waiters.oldest()) {
      this.#remove(waiter);
      this.#refuse(waiter, error());
    }
  }

  /** @internal Called by a waiter whose signal was aborted. */
  onAbort(waiter: Waiter<Connection>): void {
    if (!this.#remove(waiter)) return;
    this.#refuse(waiter, this.#aborted(waiter));
    this.#around.left();
  }

  /** @internal Called by a waiter whose time is up. */
  onDue(waiter: Waiter<Connection>, now: number): void {
    const lateMillis = now - waiter.due;
    if (lateMillis < LATE_MILLIS) return this.#timeOut(waiter, now, 0);
    // The loop was blocked, and the connection may lie ready in a socket that could not be read: read first.
    this.#clock.afterInput(() => this.#timeOut(waiter, this.#clock.now(), lateMillis));
  }

  #timeOut(waiter: Waiter<Connection>, now: number, lateMillis: number): void {
    if (!this.#remove(waiter)) return;
    const limit = waiter.due === waiter.request.deadline ? 'caller' : 'pool';
    const wait: Wait = { waited: now - waiter.since, limit, lateMillis, failure: this.#around.failure() };
    this.#refuse(waiter, timedOut(this.#around.figures(), wait));
    this.#around.left();
  }

  #remove(waiter: Waiter<Connection>): boolean {
    this.#wheel.disarm(waiter);
    const removed = this.#waiters.remove(waiter);
    if (removed && this.#waiters.lengthOf(waiter.section) === 0) this.#overloads.get(waiter.section)?.emptied();
    return removed;
  }

  /** With a group it counts towards that: a bulkhead counts connections, and cannot share one. */
  #sectionOf({ group, shares }: AcquireRequest): Section {
    return shares === true && group === undefined && this.#around.hasLanes() ? SHARING : group;
  }

  #refuse(waiter: Waiter<Connection>, error: LifeguardError): void {
    waiter.settle({ kind: 'refused', error: this.#around.refused(error, this.#clock.now() - waiter.since) });
  }

  /** Whoever listens to refusals may ask the pool for a connection, and it is just about to lend one. */
  #refuseSoon(waiter: Waiter<Connection>, error: LifeguardError): void {
    queueMicrotask(() => this.#refuse(waiter, error));
  }

  #aborted({ request }: Waiter<Connection>): LifeguardError {
    return aborted(this.#around.figures().pool, request.signal?.reason);
  }

  #due(request: AcquireRequest, now: number): number | undefined {
    const { acquireTimeoutMillis } = this.#settings;
    if (acquireTimeoutMillis === 0) return request.deadline;
    return Math.min(request.deadline ?? Number.POSITIVE_INFINITY, now + acquireTimeoutMillis);
  }

  #refusal(request: AcquireRequest, section: Section, now: number): LifeguardError | undefined {
    const { maxWaiting } = this.#settings;
    // Each section for itself: a bulkhead whose callers pile up must not take the places of all others.
    if (maxWaiting > 0 && this.#waiters.lengthOf(section) >= maxWaiting)
      return lineFull(this.#around.figures(), this.#drainSeconds(section));
    const overload = isAdmitted(request) || this.length === 0 ? undefined : this.#overloadOf(section);
    if (overload === undefined) return undefined;
    const ahead = this.#waiters.newcomersAhead(section, request.priority);
    const oldest = this.#waiters.oldestNewcomer(section);
    const stood = oldest === undefined ? 0 : this.#stood(oldest, now);
    return overload.refuses({ ahead, stood, now }) ? this.#shed(0, section) : undefined;
  }

  /**
   * How long a waiter has stood, as far as that tells of overload: whoever came while the server was away waits for
   * the server. Asked about long waits only; most are not.
   */
  #stood(waiter: Waiter<Connection>, now: number): number {
    const waited = now - waiter.since;
    const target = this.#settings.overload?.targetWaitMillis ?? Number.POSITIVE_INFINITY;
    return waited <= target || waiter.since >= this.#around.servingSince() ? waited : 0;
  }

  #drops(waiter: Waiter<Connection>, now: number): boolean {
    const overload = isAdmitted(waiter.request) ? undefined : this.#overloadOf(waiter.section);
    if (overload === undefined) return false;
    if (overload.drops(this.#stood(waiter, now), now)) return true;
    overload.served(now);
    return false;
  }

  #shed(waited: number, section: Section): LifeguardError {
    return overloaded(this.#around.figures(), waited, this.#drainSeconds(section));
  }

  #drainSeconds(section: Section): number {
    return this.#overloadOf(section)?.drainSeconds(this.#waiters.lengthOf(section)) ?? 1;
  }

  #overloadOf(section: Section): Overload | undefined {
    if (this.#settings.overload === undefined) return undefined;
    let overload = this.#overloads.get(section);
    if (overload === undefined) {
      overload = new Overload(this.#settings.overload);
      this.#overloads.set(section, overload);
    }
    return overload;
  }
}

/** A timer this late was held up by the process itself. */
const LATE_MILLIS = 50;
