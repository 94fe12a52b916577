import assert from 'node:assert';
import type { EventEmitter } from 'node:events';
import { state } from './process-state.ts';
import { type Binder, type Captured, Registrations } from './registrations.ts';

type Method = (this: Emitter, ...args: unknown[]) => unknown;
type Listener = (...args: unknown[]) => unknown;
type Listeners = Listener | Listener[] | undefined;

/** An emitter, with the table of its listeners: Node has no other place where they could be replaced for an `emit`. */
interface Emitter extends Record<string, unknown> {
  readonly _events?: Record<PropertyKey, Listeners>;
}

/** Those that have it are ours. cls-hooked has the same mark, and its own suite looks for it. */
const WRAPPED = '__wrapped';

/**
 * From now on a listener that is added to `emitter` runs in the context in which it is added. The emitter keeps the
 * listener itself, so that whoever asks for it or removes it finds it; what runs it in its context stands in its place
 * only while `emit` reads the table. May be the prototype of emitters too.
 */
export function bindEmitter(namespace: Binder, emitter: EventEmitter): void {
  const methods: Partial<EventEmitter> = emitter;
  assert.ok(methods.on && methods.addListener && methods.emit, 'can only bind real EEs');
  const namespaces = state.emitters.get(emitter) ?? new Set();
  state.emitters.set(emitter, namespaces.add(namespace));
  wrapMethods(emitter as unknown as Emitter);
}

/** `once` and `prependOnceListener` are made of these. */
function wrapMethods(emitter: Emitter): void {
  wrapMethod(emitter, 'emit', emitting);
  for (const name of ['on', 'addListener', 'prependListener']) wrapMethod(emitter, name, adding);
}

function wrapMethod(emitter: Emitter, name: string, wrap: (method: Method) => Method): void {
  const method = emitter[name] as (Method & { [WRAPPED]?: true }) | undefined;
  if (method === undefined || method[WRAPPED]) return;
  const value = Object.assign(wrap(method), { [WRAPPED]: true });
  Object.defineProperty(emitter, name, { value, configurable: true, writable: true, enumerable: false });
}

function adding(add: Method): Method {
  return function added(this: Emitter, ...args: unknown[]) {
    const [event] = args as [PropertyKey];
    const before = new Set(listenersOf(this, event));
    try {
      return add.apply(this, args);
    } finally {
      const after = listenersOf(this, event);
      // Not the argument: an emitter of its own kind may wrap it before it keeps it.
      const fresh = after.filter((listener) => !before.has(listener));
      Registrations.of(this).add(event, { fresh: fresh.length > 0 ? fresh : args.slice(1, 2), after }, capture(this));
      // An http server's socket puts its own `on` back: https://github.com/nodejs/node/blob/main/lib/_http_server.js
      wrapMethods(this);
    }
  };
}

function emitting(emit: Method): Method {
  return function emitted(this: Emitter, ...args: unknown[]) {
    const [event] = args as [PropertyKey];
    const events = this._events;
    const kept = events?.[event];
    const bound = boundListeners(this, event, () => restore());
    if (events === undefined || bound === undefined) return emit.apply(this, args);
    const restore = (): void => {
      if (events[event] === bound) events[event] = kept;
    };
    events[event] = bound;
    try {
      return emit.apply(this, args);
    } finally {
      restore();
    }
  };
}

/** What stands in for the listeners of an event; undefined if none of them is bound. */
function boundListeners(emitter: Emitter, event: PropertyKey, restore: () => void): Listeners {
  const kept = emitter._events?.[event];
  const listeners = listenersOf(emitter, event);
  const captures = Registrations.of(emitter).capturesOf(event, listeners);
  if (captures.every((captured) => captured === undefined)) return undefined;
  const bound = listeners.map((listener, place) => standIn(listener, captures[place], restore));
  return typeof kept === 'function' ? bound[0] : bound;
}

/** The first of them to run puts the listeners back, so that they can be added to and removed from inside of one. */
function standIn(listener: Listener, captured: Captured | undefined, restore: () => void): Listener {
  let inContext = listener;
  for (const [namespace, context] of captured ?? []) inContext = namespace.bind(inContext, context);
  return function standingIn(this: unknown, ...args) {
    restore();
    return Reflect.apply(inContext, this, args);
  };
}

/** None for an emitter that keeps them in another way. */
function listenersOf(emitter: Emitter, event: PropertyKey): Listener[] {
  const kept = emitter._events?.[event];
  const listeners = Array.isArray(kept) ? kept : [kept];
  return listeners.every((listener) => typeof listener === 'function') ? [...listeners] : [];
}

/** The active contexts of those who bound the emitter, or what it inherits from. */
function capture(emitter: Emitter): Captured {
  const captured = new Map<Binder, unknown>();
  for (let at: object | null = emitter; at !== null; at = Object.getPrototypeOf(at)) {
    for (const namespace of state.emitters.get(at) ?? []) captured.set(namespace, namespace.active);
  }
  return captured;
}
