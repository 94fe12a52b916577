import { expect, test } from '@lifeguard/testkit/vitest';
import { openNamespace, timers } from './rig.ts';

test('what is entered is active until it is exited, also in the caller', () => {
  const namespace = openNamespace();
  const context = namespace.createContext();
  const begin = (): void => namespace.enter(context);
  begin();
  expect(namespace.active).toBe(context);
  namespace.exit(context);
  expect(namespace.active).toBeNull();
});

test('contexts can be exited in another order than they were entered in', () => {
  const namespace = openNamespace();
  const [one, two] = [namespace.createContext(), namespace.createContext()];
  namespace.enter(one);
  namespace.enter(two);
  expect(namespace._set).toEqual([null, one]);
  namespace.exit(one);
  expect(namespace.active).toBe(two);
  namespace.exit(two);
  expect(namespace.active).toBeNull();
});

test('a context can be exited from inside a run that was begun in it', () => {
  const namespace = openNamespace();
  const context = namespace.createContext();
  namespace.enter(context);
  namespace.run((inner) => {
    expect(namespace._set).toEqual([null, context]);
    namespace.exit(context);
    expect(namespace._set).toEqual([null]);
    expect(namespace.active).toBe(inner);
  });
  namespace.exit(context);
  expect(namespace._set).toEqual([]);
});

test('what is not entered cannot be exited, and nothing is neither', () => {
  const namespace = openNamespace();
  const context = namespace.createContext();
  expect(() => namespace.exit(context)).toThrow("context not currently entered; can't exit.");
  expect(() => namespace.enter(undefined)).toThrow('context must be provided for entering');
  expect(() => namespace.exit(undefined)).toThrow('context must be provided for exiting');
});

test('a run restores what was active before it, whatever was entered inside', () => {
  const namespace = openNamespace();
  namespace.run((outer) => {
    namespace.run(() => namespace.enter(namespace.createContext()));
    expect(namespace.active).toBe(outer);
  });
  expect(namespace.active).toBeNull();
});

test('what goes on after an await is still inside what was entered before it, and can exit', async () => {
  const namespace = openNamespace();
  const context = namespace.createContext();
  namespace.enter(context);
  await undefined;
  expect(namespace.active).toBe(context);
  namespace.exit(context);
  await undefined;
  expect(namespace.active).toBeNull();
});

test('what goes on after a run has returned can exit its context, and is then in none', async () => {
  const namespace = openNamespace();
  const seen = await namespace.runPromise(() =>
    namespace.runPromise(async (inner) => {
      await undefined;
      expect(namespace._set).toEqual([null]);
      namespace.exit(inner);
      return namespace.active;
    }),
  );
  expect(seen).toBeNull();
});

test('what one task enters, another one does not see', async () => {
  const namespace = openNamespace();
  const task = (name: string): Promise<string> =>
    namespace.runPromise(async () => {
      namespace.enter(Object.assign(namespace.createContext(), { name }));
      await new Promise((resolve) => timers.setImmediate(resolve));
      return namespace.get('name');
    });
  expect(await Promise.all([task('a'), task('b')])).toEqual(['a', 'b']);
});

test('the active context can be assigned, as to the property that it was', () => {
  const namespace = openNamespace();
  namespace.run((context) => {
    const other = namespace.createContext();
    namespace.active = other;
    expect(namespace.active).toBe(other);
    namespace.active = null;
    expect(() => namespace.set('key', 1)).toThrow('No context available');
    namespace.active = context;
    expect(namespace.set('key', 1)).toBe(1);
  });
});
