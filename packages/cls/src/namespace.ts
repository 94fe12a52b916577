import assert from 'node:assert';
import type { EventEmitter } from 'node:events';
import { bindEmitter } from './bound-emitter.ts';
import { type Anything, annotate, type Context, ERROR_SYMBOL } from './context.ts';
import { contextsOf, enterInto, entryOf, leave, replace, runIn } from './entry.ts';
import { nextId } from './process-state.ts';

/** Values that follow the running code through everything asynchronous that it starts. */
export class Namespace<N = Record<string, Anything>> {
  readonly name: string;
  /** Unique in the process, and never 0. */
  readonly id: number;

  constructor(name: string) {
    this.name = name;
    this.id = nextId();
  }

  /** The context of the running code; null outside of all. */
  get active(): Anything {
    return entryOf(this)?.context ?? null;
  }

  /** Lasts as long as what `enter` does. */
  set active(context: Anything) {
    replace(this, context ?? null);
  }

  /** The contexts below the active one, the outermost first; null stands for none. A copy. */
  get _set(): (Context | null)[] {
    const entry = entryOf(this);
    return entry === undefined ? [] : [null, ...contextsOf(entry).slice(1).reverse()];
  }

  /** Throws outside of all contexts. */
  set<K extends keyof N = keyof N>(key: K, value: N[K]): N[K] {
    const context = this.active;
    if (!context) throw new Error('No context available. ns.run() or ns.bind() must be called first.');
    context[key] = value;
    return value;
  }

  /** Undefined outside of all contexts. */
  get<K extends keyof N = keyof N>(key: K): N[K] {
    return this.active?.[key];
  }

  /** A context inside the active one: what is set in that is visible here, also later, and not the other way round. */
  createContext(): Anything {
    return Object.assign(Object.create(this.active ?? Object.prototype), { _ns_name: this.name, id: nextId() });
  }

  /** Runs `fn` in a new context, and returns the context. */
  run(fn: (context: Anything) => void): Context {
    const context = this.createContext();
    within(this, context, () => fn(context));
    return context;
  }

  /** Runs `fn` in a new context, and returns what it returns. */
  runAndReturn<T>(fn: (context: Anything) => T): T {
    const context = this.createContext();
    return within(this, context, () => fn(context));
  }

  /** The same for what returns a promise: its error carries the context too. */
  runPromise<T>(fn: (context: Anything) => Promise<T>): Promise<T> {
    const context = this.createContext();
    const promise = within(this, context, () => fn(context));
    if (!promise?.then || !promise.catch) throw new Error('fn must return a promise.');
    return promise.catch((error: unknown) => {
      annotate(error, context);
      throw error;
    });
  }

  /** `fn`, to be called from elsewhere: in the given context, or the one active now, or a new one. */
  // biome-ignore lint/complexity/noBannedTypes: as @types/cls-hooked has it
  bind<F extends Function>(fn: F, context?: Anything): F {
    const namespace = this;
    const bound: Context = context || this.active || this.createContext();
    return function clsBind(this: unknown, ...args: unknown[]) {
      return within(namespace, bound, () => Reflect.apply(fn, this, args));
    } as unknown as F;
  }

  /** From now on each listener runs in the context in which it was added. */
  bindEmitter(emitter: EventEmitter): void {
    bindEmitter(this, emitter);
  }

  /**
   * Puts the running code into a context until `exit`: what comes after this call, in the caller of the caller too, and
   * what that starts. `run` and `bind` know where they end; this does not.
   */
  enter(context: Anything): void {
    assert.ok(context, 'context must be provided for entering');
    enterInto(this, context);
  }

  exit(context: Anything): void {
    assert.ok(context, 'context must be provided for exiting');
    assert.ok(leave(this, context), "context not currently entered; can't exit.");
  }

  /** The context that an error came out of. */
  fromException(exception: unknown): Anything {
    return (exception as { [ERROR_SYMBOL]?: Context } | null | undefined)?.[ERROR_SYMBOL];
  }
}

function within<R>(namespace: object, context: Context, fn: () => R): R {
  try {
    return runIn(namespace, context, fn);
  } catch (error) {
    annotate(error, context);
    throw error;
  }
}
