import assert from 'node:assert';
import type { Anything } from './context.ts';
import { Namespace } from './namespace.ts';
import { publish, state } from './process-state.ts';

/** A new namespace under that name, also if there is one: whoever holds the old one can go on using it. */
export function createNamespace<N = Record<string, Anything>>(name: string): Namespace<N> {
  assert.ok(name, 'namespace must be given a name.');
  const namespace = new Namespace<N>(name);
  state.namespaces[name] = namespace as Namespace;
  return namespace;
}

/** Undefined if there never was one; null, as in cls-hooked, if it was destroyed. */
export function getNamespace<N = Record<string, Anything>>(name: string): Namespace<N> | undefined {
  return state.namespaces[name] as Namespace<N> | undefined;
}

/** Forgets a namespace. What runs in one of its contexts keeps it, and whoever holds the namespace can go on using it. */
export function destroyNamespace(name: string): void {
  const namespace = getNamespace(name);
  assert.ok(namespace, `can't delete nonexistent namespace! "${name}"`);
  assert.ok(namespace.id, `don't assign to process.namespaces directly! "${name}"`);
  state.namespaces[name] = null;
}

/** Forgets all namespaces, and touches no other AsyncLocalStorage of the process. */
export function reset(): void {
  for (const name of Object.keys(state.namespaces)) if (state.namespaces[name]) destroyNamespace(name);
  state.namespaces = publish(Object.create(null));
}
