import type { Namespace } from './namespace.ts';
import { state } from './process-state.ts';

/** What an emitter needs of a namespace. */
export type Binder = Pick<Namespace, 'name' | 'active' | 'bind'>;

/** In which context of each namespace a listener was added; null in none. */
export type Captured = ReadonlyMap<Binder, unknown>;

type Listener = unknown;

/** cls-hooked puts the contexts on the listener itself. We only leave the mark that its own suite looks for. */
const MARK = 'cls@contexts';

/**
 * With what the listeners of one emitter were added: a listener may be there twice, added in different contexts, and on
 * many emitters at once. So nothing is kept on the listener, where the last one to add it would win.
 */
export class Registrations {
  readonly #byEvent = new Map<PropertyKey, Map<Listener, Captured[]>>();

  static of(emitter: object): Registrations {
    const known = state.registrations.get(emitter) ?? new Registrations();
    state.registrations.set(emitter, known);
    return known;
  }

  /** `after` is what the emitter has now: what it has no more is forgotten here too. */
  add(
    event: PropertyKey,
    { fresh, after }: { fresh: readonly Listener[]; after: readonly Listener[] },
    captured: Captured,
  ): void {
    const byListener = this.#byEvent.get(event) ?? new Map<Listener, Captured[]>();
    this.#byEvent.set(event, byListener);
    const counts = countsOf(after);
    for (const listener of fresh) {
      const known = byListener.get(listener) ?? [];
      // Otherwise a method that calls another one of ours has added it already.
      if (known.length < (counts.get(listener) ?? 0)) byListener.set(listener, [...known, captured]);
      mark(listener, captured);
    }
    for (const [listener, known] of byListener) known.length = Math.min(known.length, counts.get(listener) ?? 0);
    for (const [listener, known] of byListener) if (known.length === 0) byListener.delete(listener);
  }

  /** One for each listener, undefined where it was added unseen. */
  capturesOf(event: PropertyKey, listeners: readonly Listener[]): (Captured | undefined)[] {
    const byListener = this.#byEvent.get(event);
    const seen = new Map<Listener, number>();
    return listeners.map((listener) => {
      const place = seen.get(listener) ?? 0;
      seen.set(listener, place + 1);
      return byListener?.get(listener)?.[place];
    });
  }
}

function countsOf(listeners: readonly Listener[]): ReadonlyMap<Listener, number> {
  const counts = new Map<Listener, number>();
  for (const listener of listeners) counts.set(listener, (counts.get(listener) ?? 0) + 1);
  return counts;
}

function mark(listener: Listener, captured: Captured): void {
  if (typeof listener !== 'function') return;
  const value = Object.fromEntries([...captured.keys()].map(({ name }) => [`context@${name}`, true]));
  Reflect.defineProperty(listener, MARK, { value, configurable: true, writable: true });
}
