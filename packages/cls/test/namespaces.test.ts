import { expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import cls, { createNamespace, destroyNamespace, ERROR_SYMBOL, getNamespace, reset } from '../src/index.ts';
import { afterwards, openNamespace, timers } from './rig.ts';

const published = (): Record<string, unknown> =>
  (process as unknown as { namespaces: Record<string, unknown> }).namespaces;

test('a namespace is found by its name, here and in process.namespaces', () => {
  const namespace = openNamespace();
  expect(getNamespace(namespace.name)).toBe(namespace);
  expect(published()[namespace.name]).toBe(namespace);
});

test('a namespace needs a name', () => {
  expect(() => createNamespace('')).toThrow('namespace must be given a name.');
});

test('an unknown name gives undefined, and a destroyed one null', () => {
  const { name } = openNamespace();
  destroyNamespace(name);
  expect(getNamespace(name)).toBeNull();
  expect(getNamespace('never made')).toBeUndefined();
  expect(getNamespace('toString')).toBeUndefined();
});

test('what does not exist, or was not made here, cannot be destroyed', () => {
  const { name } = openNamespace();
  destroyNamespace(name);
  expect(() => destroyNamespace(name)).toThrow(`can't delete nonexistent namespace! "${name}"`);
  published()['intruder'] = {};
  onTestFinished(() => void delete published()['intruder']);
  expect(() => destroyNamespace('intruder')).toThrow("don't assign to process.namespaces directly!");
});

test('reset forgets all namespaces, also next to one that is already destroyed', () => {
  const [kept, gone] = [openNamespace(), openNamespace()];
  destroyNamespace(gone.name);
  reset();
  expect(Object.keys(published())).toEqual([]);
  expect(getNamespace(kept.name)).toBeUndefined();
});

test('a second namespace of a name takes the place of the first, and both work', () => {
  const first = openNamespace();
  const second = createNamespace(first.name);
  expect(getNamespace(first.name)).toBe(second);
  first.run(() => {
    first.set('key', 1);
    expect([first.get('key'), second.get('key')]).toEqual([1, undefined]);
  });
});

test('what runs in a context keeps it when its namespace is destroyed, or all are reset', async () => {
  const namespace = openNamespace();
  const seen = afterwards(namespace, (done) => timers.setImmediate(done));
  destroyNamespace(namespace.name);
  reset();
  expect(await seen).toBe('mine');
});

test('namespaces and contexts have ids that are unique and not 0', () => {
  const namespaces = [openNamespace(), openNamespace()];
  const contexts = namespaces.map((namespace) => namespace.createContext());
  const ids = [...namespaces, ...contexts].map(({ id }) => id);
  expect(new Set(ids).size).toBe(4);
  expect(ids.every((id) => id > 0)).toBe(true);
  expect(contexts.map((context) => context._ns_name)).toEqual(namespaces.map(({ name }) => name));
});

test('the default export has all functions, and they can be replaced as tests of users do', () => {
  expect(cls).toEqual({ createNamespace, destroyNamespace, ERROR_SYMBOL, getNamespace, reset });
  expect(ERROR_SYMBOL).toBe('error@context');
  expect(Object.isFrozen(cls)).toBe(false);
});
