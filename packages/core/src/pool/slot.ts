import type { CloseReason } from './seam.ts';

/**
 * A place for one connection, and all the states it can be in.
 *
 * ```
 *   connecting ──▶ idle ◀──▶ leased       what has become fit is idle, if only until the line is served
 *       │         ▲ │ ▲        │
 *       │         │ │ └▶ lane  │          lane: shared by many for a statement each; idle again when it is empty
 *       │         │ ▼     │    │          tending: the house itself has the connection,
 *       │       tending ◀─┼────┤          to check, clean or interrupt it
 *       ▼           ▼     ▼    ▼
 *       └───────▶ closing ──▶ closed      closing ends when the *server* has closed its side
 * ```
 */
export type SlotState<Connection> =
  | Connecting<Connection>
  | { readonly kind: 'idle'; readonly since: number; readonly connection: Connection }
  | { readonly kind: 'leased'; readonly since: number; readonly connection: Connection; readonly holder: Holder }
  | Lane<Connection>
  | { readonly kind: 'tending'; readonly since: number; readonly connection: Connection; readonly task: Task }
  | Closing<Connection>
  | { readonly kind: 'closed'; readonly since: number };

export interface Connecting<Connection> {
  readonly kind: 'connecting';
  readonly since: number;
  readonly abort: AbortController;
  /** What becomes of it, also when the slot has gone on to another state. */
  readonly dial: Promise<Connection>;
  /** From the login on: it is open, and is still being introduced (`onConnect`). */
  readonly connection: Connection | undefined;
}

/** Places that a lane has: what the loss of one connection may cost, at most. */
export const DEPTH = 64;

/** What changes with every statement is changed in place: nothing is made for a place. */
export interface Lane<Connection> {
  readonly kind: 'lane';
  readonly since: number;
  readonly connection: Connection;
  /** Taken now. A lane without any is as good as an idle connection. */
  places: number;
  /** When a place was last left, or the first one taken. */
  progressAt: number;
  /** Since when there were places taken without a break, as far as that has not been accounted for. */
  busySince: number;
  /** Why it takes nobody on any more: what becomes of it when its last place is left. */
  ending: CloseReason | undefined;
}

export interface Closing<Connection> {
  readonly kind: 'closing';
  readonly since: number;
  /** Absent when the dial was given up and has not come back yet. */
  readonly connection: Connection | undefined;
  readonly reason: CloseReason;
  /** Past its cap, or its end was not seen: reported, and still counted, because the server may have it yet. */
  readonly overdue: boolean;
}

export type Task = 'check' | 'clean' | 'interrupt';

/** Who holds a lease. The pool asks only for what it must explain and count. */
export interface Holder {
  /** In errors, leaks and statistics: a route, a job. */
  readonly name: string;
  /** The bulkhead it counts for. */
  readonly group?: string | undefined;
  /** Time in which something ran on the lease until now, in milliseconds. */
  queriedMillis(now: number): number;
}

type Kind = SlotState<unknown>['kind'];

const MOVES: Readonly<Record<Kind, readonly Kind[]>> = {
  connecting: ['connecting', 'idle', 'closing', 'closed'],
  idle: ['leased', 'lane', 'tending', 'closing'],
  leased: ['idle', 'tending', 'closing'],
  lane: ['idle', 'closing'],
  tending: ['idle', 'closing'],
  closing: ['closing', 'closed'],
  closed: [],
};

export class Slot<Connection> {
  readonly id: number;
  /** Connections of an older generation are closed instead of kept. */
  readonly generation: number;
  /** The instant after which the connection is replaced, never in use. */
  expiresAt: number = Number.POSITIVE_INFINITY;
  uses = 0;
  /** When a caller had it last: a check by the house is no use. */
  usedAt: number = Number.NEGATIVE_INFINITY;
  #state: SlotState<Connection>;

  constructor(id: number, generation: number, state: Connecting<Connection>) {
    this.id = id;
    this.generation = generation;
    this.#state = state;
  }

  get state(): SlotState<Connection> {
    return this.#state;
  }

  /** Of a slot whose state has one. */
  get connection(): Connection {
    const { state } = this;
    if (state.kind === 'closed' || state.connection === undefined) {
      throw new Error(`bug: slot ${this.id} is ${state.kind} and has no connection`);
    }
    return state.connection;
  }

  /** The only way from state to state. */
  move(next: SlotState<Connection>): void {
    if (!MOVES[this.#state.kind].includes(next.kind)) {
      throw new Error(`bug: slot ${this.id} cannot go from ${this.#state.kind} to ${next.kind}`);
    }
    this.#state = next;
  }
}

/** Slots by state: counted when asked for, never kept beside the states. */
export interface Census {
  connecting: number;
  idle: number;
  leased: number;
  lanes: number;
  /** Places taken on them. */
  onLanes: number;
  tending: number;
  closing: number;
  /** Among those closing. */
  overdue: number;
}

export function census(slots: Iterable<Slot<unknown>>): Census {
  const count: Census = {
    connecting: 0,
    idle: 0,
    leased: 0,
    lanes: 0,
    onLanes: 0,
    tending: 0,
    closing: 0,
    overdue: 0,
  };
  for (const { state } of slots) {
    if (state.kind === 'closed') continue;
    if (state.kind === 'lane') {
      count.lanes += 1;
      count.onLanes += state.places;
      continue;
    }
    count[state.kind] += 1;
    if (state.kind === 'closing' && state.overdue) count.overdue += 1;
  }
  return count;
}

export function laneOf<Connection>({ id, state }: Slot<Connection>): Lane<Connection> {
  if (state.kind !== 'lane') throw new Error(`bug: slot ${id} is ${state.kind} and no lane`);
  return state;
}

export function placesOn(slot: Slot<unknown>): number {
  return laneOf(slot).places;
}

/** What is sent now would stand behind a slow one. */
export function isStalled({ places, progressAt }: Lane<unknown>, now: number): boolean {
  return places > 0 && now - progressAt > STALLED_MILLIS;
}

export const STALLED_MILLIS = 20;
