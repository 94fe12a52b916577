import { onTestFinished } from '@lifeguard/testkit/vitest';
import { createNamespace, destroyNamespace, getNamespace, type Namespace } from '../src/index.ts';

let namespaces = 0;

/** A namespace that ends with its test. */
export function openNamespace(): Namespace {
  namespaces += 1;
  const name = `namespace ${namespaces}`;
  onTestFinished(() => {
    if (getNamespace(name)) destroyNamespace(name);
  });
  return createNamespace(name);
}

/** Timers as what is tested. Not by the names of the globals, which are a way to sleep. */
export const timers = process.getBuiltinModule('node:timers');

/** Something that calls back once, later. */
export type Errand = (done: () => void) => unknown;

/** What `key` is when an errand that was begun in a context calls back; it is begun with `value` there. */
export function afterwards(namespace: Namespace, errand: Errand, value: unknown = 'mine'): Promise<unknown> {
  return new Promise((resolve) => {
    namespace.run(() => {
      namespace.set('key', value);
      errand(() => resolve(namespace.get('key')));
    });
  });
}

/** What `key` is in each of many contexts that are at it at once. */
export function interleaved(namespace: Namespace, errand: Errand): Promise<unknown[]> {
  return Promise.all([1, 2, 3, 4, 5].map((value) => afterwards(namespace, errand, value)));
}
