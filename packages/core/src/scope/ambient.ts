import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * One step into a unit of work of one pool; `outer` leads to those around it, which may be of other pools. Other versions of
 * this package walk through it too: its shape is never changed, but for a new one under a new key.
 */
interface Frame {
  readonly pool: object;
  readonly work: unknown;
  readonly outer: Frame | undefined;
}

const KEY: unique symbol = Symbol.for('lifeguard.ambient');

/** Two copies of this package in one process share it. Only `run` and `bind` are used of it, but in tests: no hook is ever made. */
const storage: AsyncLocalStorage<Frame> = sharedStorage();

function sharedStorage(): AsyncLocalStorage<Frame> {
  const shared = globalThis as { [KEY]?: AsyncLocalStorage<Frame> };
  shared[KEY] ??= new AsyncLocalStorage<Frame>();
  return shared[KEY];
}

/** `fn`, to be called later and from elsewhere, in the context of now. */
export function bindToHere<Args extends unknown[], R>(fn: (...args: Args) => R): (...args: Args) => R {
  return AsyncLocalStorage.bind(fn);
}

/** Which unit of work of one pool the running code belongs to. A convenience: all works without it, by handles. */
export class Ambient<Work extends { readonly isOver: boolean }> {
  readonly #pool: object;
  readonly #mode: 'ambient' | 'explicit';

  constructor(pool: object, mode: 'ambient' | 'explicit') {
    this.#pool = pool;
    this.#mode = mode;
  }

  /** Whose units of work they are. */
  get pool(): object {
    return this.#pool;
  }

  current(): Work | undefined {
    if (this.#mode === 'explicit') return undefined;
    for (let frame = storage.getStore(); frame !== undefined; frame = frame.outer) {
      if (frame.pool === this.#pool) return frame.work as Work | undefined;
    }
    return undefined;
  }

  /** Whether one of the units of work around the running code is like that, the innermost or another. */
  some(is: (work: unknown) => boolean): boolean {
    if (this.#mode === 'explicit') return false;
    for (let frame = storage.getStore(); frame !== undefined; frame = frame.outer) {
      if (frame.pool === this.#pool && is(frame.work)) return true;
    }
    return false;
  }

  /** Runs `fn`, and all that it starts, inside `work`; with `undefined`, outside of all work of this pool. */
  run<R>(work: Work | undefined, fn: () => R): R {
    if (this.#mode === 'explicit') return fn();
    return storage.run({ pool: this.#pool, work, outer: this.#around() }, fn);
  }

  /**
   * From here on the rest of the running function is inside `work`, and so is what goes on in its caller: it leaks out of
   * async functions in every line of Node. That is what a test wants of its sandbox, and nobody else may want it.
   * https://nodejs.org/api/async_context.html#asynclocalstorageenterwithstore
   */
  enter(work: Work): void {
    storage.enterWith({ pool: this.#pool, work, outer: this.#around() });
  }

  /** What has ended is left out: else a chain of calls, each made from inside the last, would keep all of them. */
  #around(): Frame | undefined {
    let outer = storage.getStore();
    while (outer?.pool === this.#pool && (outer.work as Work | undefined)?.isOver !== false) outer = outer.outer;
    return outer;
  }
}
