import type { Pool } from '../../packages/core/src/pool/pool.ts';
import type { Slot } from '../../packages/core/src/pool/slot.ts';
import type { AcquireRequest } from '../../packages/core/src/pool/waiters.ts';
import { ManualClock } from './manual-clock.ts';
import { openStubHouse, type StubConnection, type StubHouse } from './stub-house.ts';

/** Someone in the line. */
class Caller implements AcquireRequest {
  readonly name = 'bench';
  readonly #controller = new AbortController();
  readonly signal: AbortSignal = this.#controller.signal;
  readonly deadline: number | undefined;

  constructor(deadline?: number) {
    this.deadline = deadline;
  }

  queriedMillis(): number {
    return 0;
  }

  leave(): void {
    this.#controller.abort(REASON);
  }
}

/** A pool whose connections are all lent, and a line of a given length before it. */
export class StandingLine {
  readonly #clock = new ManualClock();
  readonly #house: StubHouse;
  readonly #standing = new Set<Caller>();
  readonly #slots: Slot<StubConnection>[] = [];

  constructor() {
    // Defaults would not let such a line come about: they refuse from the 1,001st caller on, or from 100 ms of waiting.
    const options = { maxWaiting: 0, overload: false, acquireTimeoutMillis: LONG_MILLIS } as const;
    this.#house = openStubHouse(options, { clock: this.#clock });
  }

  async form(length: number): Promise<void> {
    const lent = await Promise.all(Array.from({ length: 10 }, () => this.#pool.acquire(new Caller())));
    this.#slots.push(...lent);
    for (let joined = 0; joined < length; joined += 1) {
      this.join([new Caller()]);
      // Limits that end all over a turn of the wheel, as those of callers who came one by one.
      this.#clock.advance(TURN_MILLIS / length);
    }
  }

  get length(): number {
    return this.#pool.figures().waiting;
  }

  callers(count: number, patienceMillis?: number): Caller[] {
    const deadline = patienceMillis === undefined ? undefined : this.#clock.now() + patienceMillis;
    return Array.from({ length: count }, () => new Caller(deadline));
  }

  /** Those who stand all along the line, at equal distances. */
  scattered(count: number): Caller[] {
    const step = Math.max(1, Math.floor(this.#standing.size / count));
    return [...this.#standing].filter((_caller, place) => place % step === 0).slice(0, count);
  }

  join(callers: readonly Caller[]): void {
    for (const caller of callers) {
      this.#standing.add(caller);
      this.#pool.acquire(caller).catch(ignore);
    }
  }

  leave(callers: readonly Caller[]): void {
    for (const caller of callers) caller.leave();
  }

  /** So many leases end, and each connection goes to whoever is next. */
  serve(count: number): void {
    for (let served = 0; served < count; served += 1) {
      const slot = this.#slots[served % this.#slots.length] as Slot<StubConnection>;
      if (slot.state.kind !== 'leased') throw new Error(`bug: slot ${slot.id} is ${slot.state.kind}`);
      this.#pool.giveBack(slot, slot.state.holder, KEEP);
    }
  }

  /** Long enough for whoever had patience for a millisecond. */
  timePasses(): void {
    this.#clock.advance(2 * TICK_MILLIS);
  }

  /** Keeps our own list, which is not measured, in step with the pool's. */
  forget(callers: readonly Caller[]): void {
    for (const caller of callers) this.#standing.delete(caller);
  }

  /** The ones who have stood longest, for `forget`. */
  first(count: number): Caller[] {
    const standing = this.#standing.values();
    return Array.from({ length: count }, () => standing.next().value as Caller);
  }

  close(): Promise<void> {
    // The line is refused at once; the leases end with the grace, which is on our own clock.
    const closed = this.#house.close();
    this.#clock.advance(LONG_MILLIS);
    return closed;
  }

  get #pool(): Pool<StubConnection> {
    return this.#house.pool;
  }
}

function ignore(): void {}

/** Given, because one that the platform makes would cost more than all that is measured. */
const REASON = new Error('gone');
const KEEP = { kind: 'keep' } as const;
const LONG_MILLIS = 3_600_000;
/** The wheel's tick and turn: deadline-wheel.ts. */
const TICK_MILLIS = 8;
const TURN_MILLIS = 4_096;
