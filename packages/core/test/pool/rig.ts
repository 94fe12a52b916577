import { expect } from '@lifeguard/testkit/vitest';
import type { LifeguardError } from '../../src/errors.ts';
import { readOptions } from '../../src/options.ts';
import { Pool } from '../../src/pool/pool.ts';
import type { Verdict } from '../../src/pool/seam.ts';
import { DEPTH, type Slot } from '../../src/pool/slot.ts';
import type { AcquireRequest } from '../../src/pool/waiters.ts';
import type { PoolOptions } from '../../src/pool-options.ts';
import { FakeClock } from './fake-clock.ts';
import { type ScriptedConnection, ScriptedSeam } from './scripted-seam.ts';

export const keep: Verdict = { kind: 'keep' };
export const discard: Verdict = { kind: 'discard', reason: 'discarded' };

/** Somebody who asks for a connection. */
export class Caller {
  readonly request: AcquireRequest;
  state: 'waiting' | 'served' | 'refused' | 'done' = 'waiting';
  slot: Slot<ScriptedConnection> | undefined;
  /** What was given: the connection, or a place on it. */
  got: 'lease' | 'place' | undefined;
  error: LifeguardError | undefined;

  constructor(request: AcquireRequest) {
    this.request = request;
  }

  get connection(): number {
    return this.slot?.connection.id ?? 0;
  }
}

/** Lanes are off where a test does not ask for them. */
export type RigOptions = PoolOptions & { readonly lanes?: boolean };

/** A pool with a scripted server and a clock that tests drive. Its invariants are looked at after every turn. */
export class Rig {
  readonly clock: FakeClock;
  readonly seam: ScriptedSeam;
  readonly pool: Pool<ScriptedConnection>;
  readonly callers: Caller[] = [];
  /** Who was served or refused, in that order. */
  readonly log: string[] = [];
  readonly #beyond: number;
  readonly #groups: ReadonlyMap<string, { readonly maxConcurrent: number }>;
  readonly #hands = new Map<Slot<ScriptedConnection>, Caller>();
  readonly #riders = new Map<Slot<ScriptedConnection>, number>();

  constructor(options: RigOptions = {}, prepare: (seam: ScriptedSeam, clock: FakeClock) => void = () => undefined) {
    const { lanes = false, ...given } = options;
    const settings = { ...readOptions({ overload: false, ...given }), lanes };
    this.clock = new FakeClock();
    this.seam = new ScriptedSeam(this.clock);
    this.#groups = settings.groups;
    this.#beyond = settings.overflow + settings.reserve;
    this.seam.ceiling = () => (this.pool?.size.max ?? settings.max) + this.#beyond;
    prepare(this.seam, this.clock);
    this.pool = new Pool({ settings, seam: this.seam, clock: this.clock });
    this.clock.onTurn = () => this.checkInvariants();
  }

  /** Somebody comes and asks; what comes of it is told by the caller's state. */
  ask(name = 'caller', request: Partial<AcquireRequest> = {}): Caller {
    const caller = new Caller({ name, queriedMillis: () => 0, ...request });
    this.callers.push(caller);
    this.pool.acquire(caller.request).then(
      (slot) => this.#served(caller, slot),
      (error: LifeguardError) => {
        expect(caller.state).toBe('waiting');
        caller.state = 'refused';
        caller.error = error;
        this.log.push(`${name}: ${error.code}`);
      },
    );
    return caller;
  }

  /** Somebody takes what is there, or leaves with nothing. */
  take(name = 'taker'): Caller | undefined {
    const caller = new Caller({ name, queriedMillis: () => 0 });
    const slot = this.pool.take(caller.request);
    if (slot === undefined) return undefined;
    this.callers.push(caller);
    this.#served(caller, slot);
    return caller;
  }

  /** Somebody takes a place on a lane, or leaves with nothing. */
  board(name = 'rider', request: Partial<AcquireRequest> = {}): Caller | undefined {
    const caller = new Caller({ name, queriedMillis: () => 0, shares: true, ...request });
    const slot = this.pool.board(caller.request);
    if (slot === undefined) return undefined;
    this.callers.push(caller);
    this.#served(caller, slot);
    return caller;
  }

  /** Somebody for each of as many places. */
  boardMany(count: number): Caller[] {
    const riders = Array.from({ length: count }, () => this.board());
    expect(riders).not.toContain(undefined);
    return riders as Caller[];
  }

  askMany(count: number, request: Partial<AcquireRequest> = {}): Caller[] {
    return Array.from({ length: count }, (_, index) => this.ask(`${index}`, request));
  }

  /** Asks, and lets the time pass that an answer needs where nothing is slow. */
  async lease(name?: string, request?: Partial<AcquireRequest>): Promise<Caller> {
    const caller = this.ask(name, request);
    await this.clock.settle();
    expect(caller.state).toBe('served');
    return caller;
  }

  /** As many leases at the same time. */
  async leases(count: number): Promise<Caller[]> {
    const callers = this.askMany(count);
    await this.clock.advance(0);
    for (let turns = 0; turns < 10 && callers.some(({ state }) => state === 'waiting'); turns += 1) {
      await this.clock.advance(21);
    }
    expect(callers.map(({ state }) => state)).toEqual(callers.map(() => 'served'));
    return callers;
  }

  giveBack(caller: Caller, verdict: Verdict = keep): void {
    const { slot } = caller;
    if (slot === undefined || caller.state !== 'served')
      throw new Error(`${caller.request.name} has nothing to give back`);
    caller.state = 'done';
    if (caller.got === 'place') {
      this.#riders.set(slot, (this.#riders.get(slot) ?? 0) - 1);
      return this.pool.alight(slot);
    }
    this.#hands.delete(slot);
    this.pool.giveBack(slot, caller.request, verdict);
  }

  /** A statement of theirs has failed, or of somebody's who had the slot before. */
  learn(caller: Caller | undefined, error: unknown, slot: Caller['slot'] = caller?.slot): void {
    if (caller === undefined || slot === undefined) throw new Error('whoever has no connection cannot tell of it');
    if (caller.got === 'place') this.pool.learnFromLane(slot, error);
    else this.pool.learn(slot, caller.request, error);
  }

  giveBackAll(verdict: Verdict = keep): void {
    for (const caller of this.callers) if (caller.state === 'served') this.giveBack(caller, verdict);
  }

  /** Opens connections and leaves them idle. */
  async idle(count: number): Promise<void> {
    await this.leases(count);
    this.giveBackAll();
    await this.clock.settle();
    expect(this.pool.snapshot()).toMatchObject({ idle: count, size: count });
  }

  states(callers: readonly Caller[] = this.callers): string[] {
    return callers.map(({ state }) => state);
  }

  count(state: Caller['state']): number {
    return this.callers.filter((caller) => caller.state === state).length;
  }

  closed(): Partial<Record<string, number>> {
    return this.pool.snapshot().closed;
  }

  /** The connection of a slot that lies idle, by its number. */
  connection(id: number): ScriptedConnection {
    return this.seam.connections.find((one) => one.id === id) as ScriptedConnection;
  }

  /** What holds whenever all promises that were kept have been heard of. */
  checkInvariants(): void {
    const { waiting } = this.pool.snapshot();
    hold(waiting === this.count('waiting'), `${waiting} wait in the line`);
    for (const { slot, places } of this.pool.lanes()) {
      hold(places === (this.#riders.get(slot) ?? 0), `${places} places are taken on slot ${slot.id}`);
    }
    this.checkSlots();
  }

  /** What holds at every moment, whatever happens. Asked millions of times: so it compares by hand. */
  checkSlots(): void {
    const { size, connecting, idle, leased, lanes, tending, closing } = this.pool.snapshot();
    if (this.seam.violations.length > 0) throw new Error(this.seam.violations.join('; '));
    hold(connecting + idle + leased + lanes + tending + closing === size, 'the states add up to the size');
    hold(this.seam.sessions <= size, `${this.seam.sessions} sessions of the server are counted in a size of ${size}`);
    for (const [slot, { request }] of this.#hands) {
      hold(slot.state.kind !== 'leased' || slot.state.holder === request, `slot ${slot.id} has one holder`);
    }
    for (const [slot, count] of this.#riders) {
      const { state } = slot;
      // Whoever was seated in this very moment has not heard of it yet.
      if (state.kind === 'lane') hold(state.places >= count && state.places <= DEPTH, `${count} share slot ${slot.id}`);
      else
        hold(count === 0 || ['closing', 'closed'].includes(state.kind), `slot ${slot.id} is ${state.kind}, and shared`);
    }
    for (const [name, { maxConcurrent }] of this.#groups) {
      const inGroup = [...this.pool.leased()].filter(({ holder }) => holder.group === name).length;
      hold(inGroup <= maxConcurrent, `${inGroup} leases are in group ${name} of ${maxConcurrent}`);
    }
  }

  #served(caller: Caller, slot: Slot<ScriptedConnection>): void {
    expect(caller.state).toBe('waiting');
    expect(this.#hands.has(slot)).toBe(false);
    caller.state = 'served';
    caller.slot = slot;
    // A lane may be ended before those hear of it who have just been given a place.
    caller.got = slot.state.kind === 'leased' ? 'lease' : 'place';
    if (caller.got === 'place') {
      expect(caller.request).toMatchObject({ shares: true });
      this.#riders.set(slot, (this.#riders.get(slot) ?? 0) + 1);
    } else {
      expect(slot.state).toMatchObject({ kind: 'leased', holder: caller.request });
      this.#hands.set(slot, caller);
    }
    this.log.push(`${caller.request.name}: served by ${slot.connection.id}`);
  }
}

function hold(holds: boolean, invariant: string): void {
  if (!holds) throw new Error(`does not hold: ${invariant}`);
}
