import { AsyncLocalStorage } from 'node:async_hooks';
import { adoptAcceptedSockets } from './accepted-sockets.ts';
import type { Entry } from './entry.ts';
import type { Namespace } from './namespace.ts';
import type { Binder, Registrations } from './registrations.ts';

/** Namespaces by their names; null where one was destroyed. */
type NamespaceTable = Record<string, Namespace | null | undefined>;

/** What there is once in a process, however many copies of this package are loaded, also of other versions: its shape is never changed. */
export interface ProcessState {
  /** Where the running code stands, in each namespace. Never changed, only replaced: async work keeps what it began with. */
  readonly storage: AsyncLocalStorage<ReadonlyMap<object, Entry>>;
  /** Which namespaces have bound an emitter. */
  readonly emitters: WeakMap<object, Set<Binder>>;
  readonly registrations: WeakMap<object, Registrations>;
  namespaces: NamespaceTable;
  lastId: number;
}

const KEY: unique symbol = Symbol.for('lifeguard.cls');

export const state: ProcessState = processState();

function processState(): ProcessState {
  const shared = globalThis as { [KEY]?: ProcessState };
  shared[KEY] ??= newState();
  return shared[KEY];
}

function newState(): ProcessState {
  const storage: ProcessState['storage'] = new AsyncLocalStorage();
  adoptAcceptedSockets(storage);
  const namespaces = publish(publishedTable() ?? Object.create(null));
  return { storage, emitters: new WeakMap(), registrations: new WeakMap(), namespaces, lastId: 0 };
}

/** `process.namespaces`, which is part of the API: whoever has no copy of this package finds a namespace there. */
export function publish(table: NamespaceTable): NamespaceTable {
  (process as { namespaces?: NamespaceTable }).namespaces = table;
  return table;
}

/** That of cls-hooked, where it is in the process too: its namespaces can be found from here, and ours from there. */
function publishedTable(): NamespaceTable | undefined {
  return (process as { namespaces?: NamespaceTable }).namespaces ?? undefined;
}

/** From 1: what has an id 0 was not made here. */
export function nextId(): number {
  state.lastId += 1;
  return state.lastId;
}
