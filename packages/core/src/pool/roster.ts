import type { PoolFigures } from '../errors.ts';
import type { Seam } from './seam.ts';
import { type Census, census, type Holder, type Slot, type SlotState } from './slot.ts';

/** All slots, and the stack of those that are idle: the one used last is lent first, so that the rest can grow old. */
export class Roster<Connection> {
  readonly #seam: Pick<Seam<Connection>, 'wake'>;
  readonly #slots = new Set<Slot<Connection>>();
  /** Bottom first, and the longer idle the lower. Holds exactly the slots whose state is idle. */
  readonly #idle: Slot<Connection>[] = [];

  constructor(seam: Pick<Seam<Connection>, 'wake'>) {
    this.#seam = seam;
  }

  /** Connections towards the ceiling: whatever the server may still have. */
  get size(): number {
    return this.#slots.size;
  }

  get slots(): ReadonlySet<Slot<Connection>> {
    return this.#slots;
  }

  get idle(): readonly Slot<Connection>[] {
    return this.#idle;
  }

  top(): Slot<Connection> | undefined {
    return this.#idle.at(-1);
  }

  /** The state of an idle slot that is taken off the stack, to become something else at once. */
  unshelve(slot: Slot<Connection>): SlotState<Connection> & { kind: 'idle' } {
    const { state } = slot;
    if (state.kind !== 'idle') throw new Error(`bug: slot ${slot.id} is ${state.kind}, not idle`);
    if (this.top() === slot) this.#idle.pop();
    else this.#idle.splice(this.#idle.indexOf(slot), 1);
    this.#seam.wake(state.connection);
    return state;
  }

  /** An empty lane is idle since its last place was left: it may belong below others. */
  shelve(slot: Slot<Connection>, connection: Connection, since: number): void {
    slot.move({ kind: 'idle', since, connection });
    const top = this.top();
    if (top === undefined || top.state.since <= since) this.#idle.push(slot);
    else this.#insert(slot, since);
  }

  #insert(slot: Slot<Connection>, since: number): void {
    this.#idle.splice(this.#idle.findLastIndex(({ state }) => state.since <= since) + 1, 0, slot);
  }

  add(slot: Slot<Connection>): void {
    this.#slots.add(slot);
  }

  /** One that is closed. */
  remove(slot: Slot<Connection>): void {
    this.#slots.delete(slot);
  }

  /** Open connections, whoever has them. */
  live(): number {
    const { idle, leased, lanes, tending } = this.census();
    return idle + leased + lanes + tending;
  }

  census(): Census {
    return census(this.#slots);
  }

  /** Those that the house has had in its hands for no longer than this. */
  tendedSince(instant: number): number {
    let count = 0;
    for (const { state } of this.#slots) if (state.kind === 'tending' && state.since >= instant) count += 1;
    return count;
  }

  /** Leases that holders of a group have. */
  leasedBy(group: string): number {
    let count = 0;
    for (const { state } of this.#slots) if (state.kind === 'leased' && state.holder.group === group) count += 1;
    return count;
  }

  *leased(): Generator<{ slot: Slot<Connection>; holder: Holder; since: number }> {
    for (const slot of this.#slots) {
      if (slot.state.kind === 'leased') yield { slot, holder: slot.state.holder, since: slot.state.since };
    }
  }

  figures({ now, ...given }: { pool: string; max: number; waiting: number; now: number }): PoolFigures {
    const { connecting, idle, leased, lanes, tending, closing } = this.census();
    const numbers = { ...given, size: this.size, connecting, idle, leased, lanes, tending, closing };
    const longest = this.#longestLease();
    if (longest === undefined) return numbers;
    return { ...numbers, longest: { name: longest.holder.name, heldMillis: now - longest.since } };
  }

  #longestLease(): { holder: Holder; since: number } | undefined {
    let longest: { holder: Holder; since: number } | undefined;
    for (const lease of this.leased()) if (longest === undefined || lease.since < longest.since) longest = lease;
    return longest;
  }
}
