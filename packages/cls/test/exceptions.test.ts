import domain from 'node:domain';
import { expect, test } from '@lifeguard/testkit/vitest';
import { ERROR_SYMBOL, type Namespace } from '../src/index.ts';
import { openNamespace, timers } from './rig.ts';

test('an error carries the context that it came out of, and all is as it was before', () => {
  const namespace = openNamespace();
  namespace.run(() => {
    namespace.set('key', 'outer');
    const error = thrownIn(() => failIn(namespace));
    expect(namespace.fromException(error).key).toBe('inner');
    expect((error as Record<string, unknown>)[ERROR_SYMBOL]).toBe(namespace.fromException(error));
    expect(namespace.get('key')).toBe('outer');
  });
});

test('an error that passes through several runs carries the outermost context', () => {
  const namespace = openNamespace();
  const error = thrownIn(() =>
    namespace.run(() => {
      namespace.set('who', 'outer');
      failIn(namespace);
    }),
  );
  expect(namespace.fromException(error).who).toBe('outer');
  expect(namespace.fromException(error).key).toBeUndefined();
});

test('the context on an error is not shown by what shows the error', () => {
  const error = thrownIn(() => failIn(openNamespace()));
  expect(Object.keys(error as object)).toEqual([]);
});

test.for([[null], [undefined], ['a string'], [Object.freeze(new Error('frozen'))]])(
  'what cannot carry a context (%s) is thrown as it is',
  async ([thrown]) => {
    const namespace = openNamespace();
    const fail = (): never => {
      throw thrown;
    };
    expect(thrownIn(() => namespace.run(fail))).toBe(thrown);
    expect(thrownIn(namespace.bind(fail))).toBe(thrown);
    expect(await namespace.runPromise(async () => fail()).catch((error: unknown) => error)).toBe(thrown);
    expect(namespace.fromException(thrown)).toBeUndefined();
  },
);

test('a promise of runPromise rejects with an error that carries the context', async () => {
  const namespace = openNamespace();
  const error = await namespace
    .runPromise(async () => {
      namespace.set('key', 'promised');
      await undefined;
      throw new Error('late');
    })
    .catch((reason: unknown) => reason);
  expect(namespace.fromException(error).key).toBe('promised');
  expect(namespace.active).toBeNull();
});

test('an error of a bound function carries its context', () => {
  const namespace = openNamespace();
  const context = namespace.createContext();
  const fail = namespace.bind(() => {
    throw new Error('bound');
  }, context);
  expect(namespace.fromException(thrownIn(fail))).toBe(context);
});

test.for([
  ['nextTick', (fn: () => void) => process.nextTick(fn)],
  ['setTimeout', (fn: () => void) => timers.setTimeout(fn)],
  ['setImmediate', (fn: () => void) => timers.setImmediate(fn)],
] as const)('an error thrown later, by %s, carries its context to whoever catches it', async ([, later]) => {
  const namespace = openNamespace();
  const caught = new Promise<{ error: unknown; around: unknown; depth: number }>((resolve) => {
    namespace.run(() => {
      namespace.set('around', true);
      const guard = domain.create();
      guard.on('error', (error) => resolve({ error, around: namespace.get('around'), depth: namespace._set.length }));
      later(guard.bind(() => failIn(namespace)));
    });
  });
  const { error, around, depth } = await caught;
  expect(namespace.fromException(error).key).toBe('inner');
  expect([around, depth]).toEqual([true, 1]);
});

function failIn(namespace: Namespace): void {
  namespace.run(() => {
    namespace.set('key', 'inner');
    throw new Error('on purpose');
  });
}

function thrownIn(fn: () => unknown): unknown {
  try {
    fn();
  } catch (error) {
    return error;
  }
  throw new Error('It was expected to fail');
}
