import type { Clock, Timer } from '../clock.ts';
import type { Statement } from '../pg/statement.ts';
import type { Server } from './ground.ts';
import type { Level } from './level.ts';
import { cursorIsOpen, notLetIn } from './transaction-errors.ts';

/** A nested level that a library holds open by its BEGIN. */
export interface Occupant {
  readonly level: Level;
  /** Whether others may work in it, as it is now. */
  welcomes(who: 'reads' | 'writes'): boolean;
  /** Rolls it back: nobody is left who could end it. What is around it goes on to its end, or is rolled back itself. */
  evict(around: 'goes on' | 'is undone'): void;
}

/** What a visitor wants: to read or write while the occupant stays, what only the turn can give, or that all ends. */
export type Purpose = 'reads' | 'writes' | 'turn' | 'end';

/** Of statements: in doubt they write. */
export function purposeOf(server: Server, statements: readonly Statement[]): 'reads' | 'writes' {
  return statements.every(({ text }) => server.read(text).isPlainRead) ? 'reads' : 'writes';
}

interface Wish {
  readonly purpose: () => Purpose;
  readonly looks: number;
}

interface Visitor {
  readonly arrivedAt: number;
  /** Statements that travel together may still become more. */
  readonly purpose: () => Purpose;
  /** How often it must be seen quiet before this one is let in. */
  readonly looks: number;
  /** How often it was, one time after the other, since this one waits. */
  seenQuiet: number;
  readonly invite: (host: Level) => void;
  readonly refuse: (error: unknown) => void;
}

/** What has the connection to itself for as long as somebody reads or writes it. */
export interface Exclusive {
  readonly text: string;
  /** Whether it waits for whoever has it, and not for the server. */
  isIdle(): boolean;
}

type State =
  | { readonly kind: 'free' }
  | { readonly kind: 'taken'; readonly occupant: Occupant; running: number; quietAt: number }
  | { readonly kind: 'lent'; readonly to: Exclusive };

/**
 * The turn of a level while a library has it, from its BEGIN to its COMMIT. Who waits behind it may be a sibling, for
 * which waiting is right, or called by the library's own function, which waits for it in turn: then both would wait for
 * ever. From outside the two cannot be told apart. But a function that waits sends nothing: where an occupant is quiet for
 * a while, one visitor is let in as a guest, first of those who came since it fell quiet. A guest who was a sibling after
 * all loses nothing while the occupant commits; where it rolls back, the whole transaction is refused its COMMIT.
 */
export class Occupancy {
  readonly #clock: Clock;
  readonly #visitors = new Set<Visitor>();
  #state: State = FREE;
  /** Numbers what happens, so that it is known what came first. */
  #moment = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  take(occupant: Occupant): void {
    this.#state = { kind: 'taken', occupant, running: 0, quietAt: this.#next() };
    this.#look();
  }

  leave(level: Level): void {
    if (this.#state.kind === 'taken' && this.#state.occupant.level === level) this.#state = FREE;
    this.#look();
  }

  /** A cursor, a stream or a COPY has the turn, until the answer is called. */
  lend(to: Exclusive): () => void {
    const state: State = { kind: 'lent', to };
    this.#state = state;
    this.#look();
    return () => {
      if (this.#state === state) this.#state = FREE;
      this.#look();
    };
  }

  evict(): void {
    if (this.#state.kind === 'taken') this.#state.occupant.evict('is undone');
  }

  /** Something runs in the occupant, or below it, until the answer is called. */
  began(): () => void {
    const state = this.#state;
    if (state.kind !== 'taken') return () => undefined;
    state.running += 1;
    this.#look();
    return () => {
      state.running -= 1;
      state.quietAt = this.#next();
      this.#seen('busy');
      this.#look();
    };
  }

  /** Waits for the turn, or for an invitation. `over` is to be called when neither is waited for any more. */
  visit(turn: Promise<void>, { purpose, looks }: Wish): { readonly host: Promise<Level | undefined>; over(): void } {
    const { promise: host, resolve, reject } = Promise.withResolvers<Level | undefined>();
    const visitor: Visitor = { arrivedAt: this.#next(), purpose, looks, seenQuiet: 0, invite: resolve, refuse: reject };
    this.#visitors.add(visitor);
    void turn.then(() => resolve(undefined));
    this.#look();
    return { host, over: () => void this.#visitors.delete(visitor) };
  }

  #next(): number {
    this.#moment += 1;
    return this.#moment;
  }

  #look(): void {
    const isQuiet = this.#state.kind === 'taken' && this.#state.running === 0;
    if (isQuiet && this.#visitors.size > 0) {
      this.#timer ??= this.#clock.after(GRACE_MILLIS, () => this.#invite());
    } else if (this.#state.kind === 'lent' && this.#visitors.size > 0) {
      this.#timer ??= this.#clock.after(IDLE_MILLIS, () => this.#refuse());
    } else {
      this.#timer?.cancel();
      this.#timer = undefined;
    }
  }

  /** Who reads a cursor and waits for another statement in between waits for himself. */
  #refuse(): void {
    this.#timer = undefined;
    const state = this.#state;
    if (state.kind === 'lent') {
      this.#seen(state.to.isIdle() ? 'quiet' : 'busy');
      for (const { purpose, seenQuiet, refuse } of this.#visitors)
        if (purpose() !== 'end' && seenQuiet >= TWICE) refuse(cursorIsOpen(state.to.text));
    }
    this.#look();
  }

  #invite(): void {
    this.#timer = undefined;
    const state = this.#state;
    if (state.kind !== 'taken') return this.#look();
    const { occupant } = state;
    this.#seen('quiet');
    const all = [...this.#visitors].filter(
      ({ purpose, looks, seenQuiet }) => looks <= seenQuiet && isWelcome(occupant, purpose()),
    );
    const visitor = all.find(({ arrivedAt }) => arrivedAt > state.quietAt) ?? all[0];
    if (visitor === undefined) return this.#turnAway(state);
    if (visitor.purpose() === 'end') return occupant.evict('goes on');
    this.#visitors.delete(visitor);
    visitor.invite(occupant.level);
    this.#look();
  }

  /** Nobody who waits can be let in. Who came since it fell quiet may be what it waits for. */
  #turnAway(state: State & { kind: 'taken' }): void {
    const { occupant, quietAt } = state;
    for (const { arrivedAt, purpose, seenQuiet, refuse } of this.#visitors) {
      const mayBeWaitedFor = arrivedAt > quietAt && seenQuiet >= A_SECOND;
      if (mayBeWaitedFor && !isWelcome(occupant, purpose())) refuse(notLetIn(occupant.level.plan.name));
    }
    this.#look();
  }

  #seen(how: 'quiet' | 'busy'): void {
    for (const visitor of this.#visitors) visitor.seenQuiet = how === 'quiet' ? visitor.seenQuiet + 1 : 0;
  }
}

function isWelcome({ welcomes }: Occupant, purpose: Purpose): boolean {
  return purpose === 'end' || (purpose !== 'turn' && welcomes(purpose));
}

const FREE: State = Object.freeze({ kind: 'free' });
/** Longer than a library takes between two statements, unless its function waits for something else. */
const GRACE_MILLIS = 100;
/** Of looks: who holds a level and asks for more in it is not what its guest waits for, unless its handle was passed on. */
export const A_SECOND = 10;
/** Whoever says COMMIT while a guest is still there: most guests come to an end by themselves. */
export const FIVE_SECONDS = 50;
/** Between two looks at a cursor. */
const IDLE_MILLIS = 500;
const TWICE = 2;
