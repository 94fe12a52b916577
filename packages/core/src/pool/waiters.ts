import { DeadlineEntry } from '../deadline-wheel.ts';
import type { Boarding } from './lanes.ts';
import { DEPTH, type Holder, type Slot } from './slot.ts';

export type Priority = 'high' | 'normal' | 'low';

/** Whoever asks for connections more than once: what it has begun goes ahead of what others have not. */
export class Owner {
  #standing: 'newcomer' | 'admitted' = 'newcomer';
  #holding = 0;

  /** `admitted` from the first connection on. */
  get standing(): 'newcomer' | 'admitted' {
    return this.#standing;
  }

  /** How many connections it keeps now: those that its own code must give back. A single statement ends by itself. */
  get holding(): number {
    return this.#holding;
  }

  /** @internal Called by the pool that lends it one. */
  admit(): void {
    this.#standing = 'admitted';
  }

  /** @internal */
  keeps(): void {
    this.#holding += 1;
  }

  /** @internal */
  gaveBack(): void {
    this.#holding -= 1;
  }
}

/** What a caller asks for. Without a deadline it waits as long as the pool's own limit says. */
export interface AcquireRequest extends Holder, Boarding {
  readonly priority?: Priority | undefined;
  /** Content with a place on a lane. Not so with a group: a bulkhead counts connections. */
  readonly shares?: boolean | undefined;
}

/** Those who would share a connection, in a section of their own: what serves them all would serve one of the others. */
export const SHARING: unique symbol = Symbol('sharing');

/** The part of the line that a waiter stands in: its group's, that of those who named none, or that of the sharing. */
export type Section = string | undefined | typeof SHARING;

export type Outcome<Connection> =
  | { readonly kind: 'served'; readonly slot: Slot<Connection> }
  | { readonly kind: 'refused'; readonly error: unknown };

/** One caller in the line. Settled once, whoever comes first: a slot, the deadline, the signal, a refusal. */
export class Waiter<Connection> extends DeadlineEntry {
  readonly request: AcquireRequest;
  readonly section: Section;
  readonly since: number;
  readonly promise: Promise<Slot<Connection>>;
  /** Links of the queue it stands in. */
  ahead: Waiter<Connection> | undefined = undefined;
  behind: Waiter<Connection> | undefined = undefined;
  /** The queue it stands in; undefined once it has left. */
  queue: Queue<Connection> | undefined = undefined;
  /** Place in the order of arrival, over all queues. */
  readonly ticket: number;
  #resolve!: (slot: Slot<Connection>) => void;
  #reject!: (error: unknown) => void;
  readonly #ends: WaiterEnds<Connection>;

  constructor(
    request: AcquireRequest,
    { ticket, since, section = request.group }: Arrival,
    ends: WaiterEnds<Connection>,
  ) {
    super();
    this.request = request;
    this.section = section;
    this.ticket = ticket;
    this.since = since;
    this.#ends = ends;
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    request.signal?.addEventListener('abort', this);
  }

  /** Called by the abort signal: the waiter is its own listener, so that none has to be made. */
  handleEvent(): void {
    this.#ends.onAbort(this);
  }

  override expire(now: number): void {
    this.#ends.onDue(this, now);
  }

  settle(outcome: Outcome<Connection>): void {
    this.request.signal?.removeEventListener('abort', this);
    if (outcome.kind === 'served') this.#resolve(outcome.slot);
    else this.#reject(outcome.error);
  }
}

/** Its place in the order of arrival, when that was, and where it stands if not with its group. */
interface Arrival {
  readonly ticket: number;
  readonly since: number;
  readonly section?: Section;
}

export interface WaiterEnds<Connection> {
  onDue(waiter: Waiter<Connection>, now: number): void;
  onAbort(waiter: Waiter<Connection>): void;
}

/** First in, first out: a doubly linked list, so that leaving from the middle costs what leaving at the head does. */
class Queue<Connection> {
  head: Waiter<Connection> | undefined = undefined;
  tail: Waiter<Connection> | undefined = undefined;
  length = 0;

  push(waiter: Waiter<Connection>): void {
    waiter.queue = this;
    waiter.ahead = this.tail;
    if (this.tail === undefined) this.head = waiter;
    else this.tail.behind = waiter;
    this.tail = waiter;
    this.length += 1;
  }

  remove(waiter: Waiter<Connection>): void {
    if (waiter.ahead === undefined) this.head = waiter.behind;
    else waiter.ahead.behind = waiter.behind;
    if (waiter.behind === undefined) this.tail = waiter.ahead;
    else waiter.behind.ahead = waiter.ahead;
    waiter.queue = undefined;
    waiter.ahead = undefined;
    waiter.behind = undefined;
    this.length -= 1;
  }
}

/** The queues of one section, most urgent first. */
type Ranked<Connection> = readonly Queue<Connection>[];

const RANKS = 6;
const PRIORITY_RANK: Readonly<Record<Priority, number>> = { high: 0, normal: 2, low: 4 };

export function isAdmitted({ owner }: AcquireRequest): boolean {
  return owner?.standing === 'admitted';
}

/** Even ranks were admitted once, odd ones are newcomers: within a priority the former go first (DESIGN.md §5.11). */
function rankOf(request: AcquireRequest): number {
  return PRIORITY_RANK[request.priority ?? 'normal'] + (isAdmitted(request) ? 0 : 1);
}

/**
 * Everybody who waits. A group at its limit must not hold up the others, so each section has queues of its own, and the
 * next one is the earliest ticket among the heads: the number of groups bounds the work, not the number of waiters.
 */
export class Waiters<Connection> {
  /** Of these only the groups, which have a name, have a limit. */
  readonly #sections = new Map<Section, Ranked<Connection>>();
  /** Of all queues together, as `Map.size` is of all buckets. */
  #length = 0;

  get length(): number {
    return this.#length;
  }

  lengthOf(section: Section): number {
    const queues = this.#sections.get(section);
    return queues === undefined ? 0 : standingIn(queues);
  }

  /** Those of a section who were never given a connection and stand before a newcomer of this priority. */
  newcomersAhead(section: Section, priority: Priority = 'low'): number {
    const queues = this.#sections.get(section);
    let sum = 0;
    for (let rank = 1; rank <= PRIORITY_RANK[priority] + 1; rank += 2) sum += queues?.[rank]?.length ?? 0;
    return sum;
  }

  enqueue(waiter: Waiter<Connection>): void {
    const queue = this.#queuesOf(waiter.section)[rankOf(waiter.request)];
    if (queue === undefined) throw new Error(`bug: there is no queue for priority ${String(waiter.request.priority)}`);
    queue.push(waiter);
    this.#length += 1;
  }

  /** Harmless for one that has left already. */
  remove(waiter: Waiter<Connection>): boolean {
    if (waiter.queue === undefined) return false;
    waiter.queue.remove(waiter);
    this.#length -= 1;
    return true;
  }

  /**
   * How many connections could be put to use: a bulkhead's limit is not moved by a dial, and one connection serves as
   * many of the sharing as a lane has places.
   */
  servable(roomOf: (group: string) => number): number {
    let sum = 0;
    for (const [section, queues] of this.#sections) {
      const standing = standingIn(queues);
      if (standing === 0 || section === undefined) sum += standing;
      else if (section === SHARING) sum += Math.ceil(standing / DEPTH);
      else sum += Math.min(standing, roomOf(section));
    }
    return sum;
  }

  /** The next of those who would share. */
  nextSharing(): Waiter<Connection> | undefined {
    return this.#sections.get(SHARING)?.find(({ head }) => head !== undefined)?.head;
  }

  /** The one to be served next, among the groups that have room. */
  next(roomOf: (group: string) => number): Waiter<Connection> | undefined {
    for (let rank = 0; rank < RANKS; rank += 1) {
      const head = this.#earliest(rank, roomOf);
      if (head !== undefined) return head;
    }
    return undefined;
  }

  /** The one who has stood here for the longest time. */
  oldest(isMeant: (section: Section) => boolean = () => true): Waiter<Connection> | undefined {
    if (this.#length === 0) return undefined;
    let oldest: Waiter<Connection> | undefined;
    for (const [section, queues] of this.#sections) {
      if (!isMeant(section)) continue;
      for (const { head } of queues) {
        if (head !== undefined && (oldest === undefined || head.ticket < oldest.ticket)) oldest = head;
      }
    }
    return oldest;
  }

  /** The newcomer of a section who has stood here for the longest time. */
  oldestNewcomer(section: Section): Waiter<Connection> | undefined {
    const queues = this.#sections.get(section);
    let oldest: Waiter<Connection> | undefined;
    for (let rank = 1; rank < RANKS; rank += 2) {
      const head = queues?.[rank]?.head;
      if (head !== undefined && (oldest === undefined || head.ticket < oldest.ticket)) oldest = head;
    }
    return oldest;
  }

  #earliest(rank: number, roomOf: (group: string) => number): Waiter<Connection> | undefined {
    let best: Waiter<Connection> | undefined;
    for (const [section, queues] of this.#sections) {
      const head = queues[rank]?.head;
      if (head === undefined || (best !== undefined && best.ticket < head.ticket)) continue;
      if (typeof section !== 'string' || roomOf(section) > 0) best = head;
    }
    return best;
  }

  #queuesOf(section: Section): Ranked<Connection> {
    let queues = this.#sections.get(section);
    if (queues === undefined) {
      queues = Array.from({ length: RANKS }, () => new Queue<Connection>());
      this.#sections.set(section, queues);
    }
    return queues;
  }
}

function standingIn<Connection>(queues: Ranked<Connection>): number {
  let sum = 0;
  for (const { length } of queues) sum += length;
  return sum;
}
