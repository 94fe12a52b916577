import { expect, test } from '@lifeguard/testkit/vitest';
import { openNamespace } from './rig.ts';

test('run gives its function a context, and returns that context and not what the function returns', () => {
  const namespace = openNamespace();
  let given: unknown;
  const context = namespace.run((active) => {
    given = active;
    expect(namespace.active).toBe(active);
    expect(namespace.set('key', 1)).toBe(1);
    return 'ignored';
  });
  expect(context).toBe(given);
  expect(context['key']).toBe(1);
  expect(namespace.active).toBeNull();
});

test('outside of all contexts nothing is found, and nothing can be set', () => {
  const namespace = openNamespace();
  expect(namespace.get('key')).toBeUndefined();
  expect(() => namespace.set('key', 1)).toThrow('No context available. ns.run() or ns.bind() must be called first.');
});

test('an inner context sees the outer one, also what is set there later, and hides what it sets itself', () => {
  const namespace = openNamespace();
  namespace.run((outer) => {
    namespace.set('key', 'outer');
    namespace.run(() => {
      expect(namespace.get('key')).toBe('outer');
      outer['late'] = true;
      expect(namespace.get('late')).toBe(true);
      namespace.set('key', 'inner');
      expect([namespace.get('key'), outer['key']]).toEqual(['inner', 'outer']);
    });
    expect(namespace.get('key')).toBe('outer');
  });
});

test('namespaces know nothing of each other', () => {
  const [one, two] = [openNamespace(), openNamespace()];
  one.run(() => {
    one.set('key', 1);
    expect(two.active).toBeNull();
    two.run(() => {
      two.set('key', 2);
      expect([one.get('key'), two.get('key')]).toEqual([1, 2]);
    });
    expect([one.get('key'), two.get('key')]).toEqual([1, undefined]);
  });
});

test('runAndReturn returns what its function returns', () => {
  const namespace = openNamespace();
  const answer = {};
  expect(namespace.runAndReturn((context) => (namespace.active === context ? answer : undefined))).toBe(answer);
});

test('runPromise resolves as its promise does, and leaves no context behind', async () => {
  const namespace = openNamespace();
  const promise = namespace.runPromise(async () => {
    namespace.set('key', 1);
    await undefined;
    return namespace.get('key');
  });
  expect(namespace.active).toBeNull();
  expect(await promise).toBe(1);
  expect(namespace.active).toBeNull();
});

test('runPromise refuses a function that returns no promise', () => {
  const namespace = openNamespace();
  expect(() => namespace.runPromise((() => 1) as never)).toThrow('fn must return a promise.');
  expect(namespace.active).toBeNull();
});

test('a bound function runs where it was bound, with its own this and arguments', () => {
  const namespace = openNamespace();
  const owner = { add: (_: number): unknown => undefined };
  namespace.run(() => {
    namespace.set('key', 40);
    owner.add = namespace.bind(function (this: unknown, more: number) {
      return this === owner && namespace.get('key') + more;
    });
  });
  expect(owner.add(2)).toBe(42);
  expect(namespace.active).toBeNull();
});

test('a function bound to a context runs in that one', () => {
  const namespace = openNamespace();
  const context = namespace.createContext();
  context.key = 'given';
  namespace.run(() => {
    namespace.set('key', 'active');
    expect(namespace.bind(() => namespace.get('key'), context)()).toBe('given');
  });
});

test('a function bound outside of all contexts gets one of its own, the same at each call', () => {
  const namespace = openNamespace();
  const count = namespace.bind(() => namespace.set('count', (namespace.get('count') ?? 0) + 1));
  expect([count(), count()]).toEqual([1, 2]);
  expect(namespace.active).toBeNull();
});

test('a bound function changes the context of its own namespace only', () => {
  const [one, two] = [openNamespace(), openNamespace()];
  const read = one.bind(() => [one.get('key'), two.get('key')]);
  one.run(() => one.set('key', 1));
  two.run(() => {
    two.set('key', 2);
    expect(read()).toEqual([undefined, 2]);
  });
});

test('a context created by hand inherits from the one that is active', () => {
  const namespace = openNamespace();
  namespace.run(() => {
    namespace.set('key', 1);
    expect(namespace.createContext().key).toBe(1);
  });
  expect(namespace.createContext().key).toBeUndefined();
});
