import type { Clock, Timer } from '../../src/clock.ts';

/**
 * Time that passes only when a test says so. Timers run in the order of their instants, and between two of them
 * everything that was promised is carried out, as between two turns of a real event loop.
 */
export class FakeClock implements Clock {
  #now = 10_000;
  #wall = 1_700_000_000_000;
  #timers: FakeTimer[] = [];
  #inputs: (() => void)[] = [];
  #set = 0;
  #turns = { at: 0, count: 0 };
  /** Runs after each turn: where invariants are looked at. */
  onTurn: () => void = () => undefined;

  now(): number {
    return this.#now;
  }

  wall(): number {
    return this.#wall;
  }

  /** Timers that are set. */
  get pending(): number {
    return this.#timers.filter(({ kind }) => kind === 'busy').length;
  }

  after(millis: number, fn: () => void): Timer {
    this.#set += 1;
    const due = this.#now + Math.max(0, millis);
    const timer: FakeTimer = {
      due,
      order: this.#set,
      fn,
      kind: 'busy',
      cancel: () => undefined,
      become: () => undefined,
    };
    timer.become = (kind) => {
      timer.kind = kind;
    };
    timer.cancel = () => {
      const index = this.#timers.indexOf(timer);
      if (index >= 0) this.#timers.splice(index, 1);
    };
    this.#timers.push(timer);
    return timer;
  }

  afterInput(fn: () => void): void {
    this.#inputs.push(fn);
  }

  /** Lets time pass on both clocks. */
  async advance(millis: number): Promise<void> {
    const until = this.#now + millis;
    await this.settle();
    for (let timer = this.#next(until); timer !== undefined; timer = this.#next(until)) {
      this.#pass(Math.max(0, timer.due - this.#now));
      timer.cancel();
      this.#mindStandstill();
      timer.fn();
      await this.settle();
    }
    this.#pass(Math.max(0, until - this.#now));
  }

  /** Carries out what was promised, and what waits for input, without any time passing. */
  async settle(): Promise<void> {
    await turn();
    this.onTurn();
    for (let input = this.#inputs.shift(); input !== undefined; input = this.#inputs.shift()) {
      input();
      await turn();
      this.onTurn();
    }
  }

  /** The event loop is blocked: time passes and no timer runs. */
  block(millis: number): void {
    this.#pass(millis);
  }

  /** The machine sleeps: only the wall clock goes on. */
  sleep(millis: number): void {
    this.#wall += millis;
  }

  /** Timers that set each other for this very instant would never let a test end. */
  #mindStandstill(): void {
    this.#turns =
      this.#turns.at === this.#now ? { at: this.#now, count: this.#turns.count + 1 } : { at: this.#now, count: 1 };
    if (this.#turns.count > 10_000) throw new Error(`time stands still at ${this.#now}`);
  }

  #pass(millis: number): void {
    this.#now += millis;
    this.#wall += millis;
  }

  #next(until: number): FakeTimer | undefined {
    let first: FakeTimer | undefined;
    for (const timer of this.#timers) {
      if (timer.due > until) continue;
      if (first === undefined || timer.due < first.due || (timer.due === first.due && timer.order < first.order)) {
        first = timer;
      }
    }
    return first;
  }
}

interface FakeTimer extends Timer {
  readonly due: number;
  readonly order: number;
  readonly fn: () => void;
  kind: 'busy' | 'idle';
  cancel: () => void;
  become: (kind: 'busy' | 'idle') => void;
}

/** All microtasks run between two turns of the loop. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
