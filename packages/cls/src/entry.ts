import type { Context } from './context.ts';
import { state } from './process-state.ts';

/**
 * One entering of a context, with those that were entered before it:
 *
 *     the running code → inner → outer → (nothing)
 *
 * `turn` is over when the `run` that entered it has returned. What goes on asynchronously then keeps the context and not
 * those below, as with cls-hooked; else a chain of runs, each begun by the last, would grow for ever.
 */
export interface Entry {
  readonly context: Context | null;
  readonly below: Entry | undefined;
  readonly turn: Turn;
}

interface Turn {
  over: boolean;
}

/** Where the running code stands in a namespace. */
export function entryOf(namespace: object): Entry | undefined {
  return state.storage.getStore()?.get(namespace);
}

/** Runs `fn`, and all that it starts, in a context. */
export function runIn<R>(namespace: object, context: Context | null, fn: () => R): R {
  const entry = newEntry(namespace, context);
  try {
    return state.storage.run(storeWith(namespace, entry), fn);
  } finally {
    entry.turn.over = true;
  }
}

/** Puts the running code on top of where it stands; for `enter`, whose caller has no function to give. */
export function enterInto(namespace: object, context: Context): void {
  stand(namespace, newEntry(namespace, context));
}

/** Replaces the context in which the running code stands. */
export function replace(namespace: object, context: Context | null): void {
  stand(namespace, { context, below: belowOf(entryOf(namespace)), turn: { over: false } });
}

/** Takes a context from where the running code stands, also from below others; false if it is not there. */
export function leave(namespace: object, context: Context): boolean {
  const entry = entryOf(namespace);
  if (!contextsOf(entry).includes(context)) return false;
  stand(namespace, without(entry, context));
  return true;
}

/** All contexts that are entered, the innermost first. */
export function contextsOf(entry: Entry | undefined): (Context | null)[] {
  const contexts: (Context | null)[] = [];
  for (let at = entry; at !== undefined; at = belowOf(at)) contexts.push(at.context);
  return contexts;
}

function newEntry(namespace: object, context: Context | null): Entry {
  const current = entryOf(namespace);
  const below = current && { ...current, below: belowOf(current) };
  return { context, below, turn: { over: false } };
}

function belowOf(entry: Entry | undefined): Entry | undefined {
  return entry?.turn.over === false ? entry.below : undefined;
}

function without(entry: Entry | undefined, context: Context): Entry | undefined {
  if (entry === undefined || entry.context === context) return belowOf(entry);
  return { ...entry, below: without(belowOf(entry), context) };
}

function stand(namespace: object, entry: Entry | undefined): void {
  state.storage.enterWith(storeWith(namespace, entry));
}

function storeWith(namespace: object, entry: Entry | undefined): ReadonlyMap<object, Entry> {
  const store = new Map(state.storage.getStore());
  if (entry === undefined) store.delete(namespace);
  else store.set(namespace, entry);
  return store;
}
