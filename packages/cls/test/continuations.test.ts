import crypto from 'node:crypto';
import dns from 'node:dns';
import fs from 'node:fs';
import { pipeline, Readable, Transform } from 'node:stream';
import zlib from 'node:zlib';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { afterwards, type Errand, interleaved, openNamespace, timers } from './rig.ts';

const errands: Readonly<Record<string, Errand>> = {
  'process.nextTick': (done) => process.nextTick(done),
  queueMicrotask: (done) => queueMicrotask(done),
  setImmediate: (done) => timers.setImmediate(done),
  setTimeout: (done) => timers.setTimeout(done, 1),
  setInterval: (done) => {
    const timer = timers.setInterval(() => {
      timers.clearInterval(timer);
      done();
    }, 1);
  },
  'a timer in a timer': (done) => timers.setTimeout(() => timers.setTimeout(done, 1), 1),
  'a promise': (done) => void Promise.resolve().then(done),
  'a chain of promises': (done) =>
    void Promise.resolve()
      .then(async () => await Promise.resolve())
      .then(done),
  'an await': async (done) => {
    await undefined;
    done();
  },
  'a thenable of another kind': async (done) => {
    // biome-ignore lint/suspicious/noThenProperty: libraries with promises of their own are like this
    await { then: (resolve: () => void) => timers.setImmediate(resolve) };
    done();
  },
  'a rejection': (done) => void Promise.reject(new Error('on purpose')).catch(done),
  'Promise.all': (done) => void Promise.all([Promise.resolve(), new Promise((r) => timers.setImmediate(r))]).then(done),
  'crypto.randomBytes': (done) => crypto.randomBytes(16, done),
  'crypto.pbkdf2': (done) => crypto.pbkdf2('s3cret', 'salt', 1, 16, 'sha512', done),
  'dns.lookup': (done) => dns.lookup('localhost', done),
  'zlib.deflate': (done) => zlib.deflate(Buffer.from('Goodbye, world'), done),
  'a pipeline of streams': (done) => pipeline(Readable.from(['a', 'b']), new Transform(passing), done).resume(),
  'the end of a file that is read as a stream': (done) =>
    fs
      .createReadStream(import.meta.filename)
      .on('end', done)
      .resume(),
};

const passing = {
  transform(chunk: unknown, _encoding: unknown, done: (error: null, chunk: unknown) => void) {
    timers.setImmediate(() => done(null, chunk));
  },
};

describe('the context survives', () => {
  test.for(Object.entries(errands))('%s, in five contexts that are at it at once', async ([, errand]) => {
    expect(await interleaved(openNamespace(), errand)).toEqual([1, 2, 3, 4, 5]);
  });

  test('each step of an interval, until it is cleared', async () => {
    const namespace = openNamespace();
    const seen: unknown[] = [];
    await afterwards(namespace, (done) => {
      const timer = timers.setInterval(() => {
        if (seen.push(namespace.get('key')) < 3) return;
        timers.clearInterval(timer);
        done();
      }, 1);
    });
    expect(seen).toEqual(['mine', 'mine', 'mine']);
  });
});

test('a value that is set in a continuation is seen by those after it, and by nobody else', async () => {
  const namespace = openNamespace();
  const task = async (name: string): Promise<unknown[]> => {
    namespace.set('name', name);
    await undefined;
    const seen = [namespace.get('name')];
    namespace.set('name', `${name} later`);
    await new Promise((resolve) => timers.setImmediate(resolve));
    return [...seen, namespace.get('name')];
  };
  const tasks = ['a', 'b'].map((name) => namespace.runAndReturn(() => task(name)));
  expect(await Promise.all(tasks)).toEqual([
    ['a', 'a later'],
    ['b', 'b later'],
  ]);
});

test('then runs in the context in which it is called, whoever resolves the promise', async () => {
  const namespace = openNamespace();
  let resolve = (): void => undefined;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  const seen = afterwards(namespace, (done) => void promise.then(done), 'asker');
  namespace.run(() => {
    namespace.set('key', 'resolver');
    resolve();
  });
  expect(await seen).toBe('asker');
});

test('continuations that fork from one promise all keep its context', async () => {
  const namespace = openNamespace();
  const seen = await namespace.runPromise(async () => {
    namespace.set('key', 1);
    const promise = new Promise((resolve) => timers.setImmediate(resolve));
    return await Promise.all([1, 2, 3].map(() => promise.then(() => namespace.get('key'))));
  });
  expect(seen).toEqual([1, 1, 1]);
});

test('a generator runs in the context of whoever asks it for the next value', () => {
  const namespace = openNamespace();
  const values = namespace.runAndReturn(() => {
    namespace.set('key', 'maker');
    return read();
  });
  function* read(): Generator<unknown> {
    for (;;) yield namespace.get('key');
  }
  expect(values.next().value).toBeUndefined();
  namespace.run(() => {
    namespace.set('key', 'asker');
    expect(values.next().value).toBe('asker');
  });
});

test('an async generator keeps the context of whoever asks it across its own awaits', async () => {
  const namespace = openNamespace();
  async function* read(): AsyncGenerator<unknown> {
    for (;;) {
      await new Promise((resolve) => timers.setImmediate(resolve));
      yield namespace.get('key');
    }
  }
  const reader = async (name: string): Promise<unknown[]> => {
    namespace.set('key', name);
    const seen: unknown[] = [];
    for await (const value of read()) if (seen.push(value) === 3) return seen;
    return seen;
  };
  const seen = await Promise.all(['a', 'b'].map((name) => namespace.runPromise(() => reader(name))));
  expect(seen).toEqual([Array(3).fill('a'), Array(3).fill('b')]);
});

test('a self-perpetuating chain of bound functions holds on to no context but the last', async () => {
  const namespace = openNamespace();
  const contexts = [namespace.createContext(), namespace.createContext()];
  const depths = await new Promise<number[]>((resolve) => {
    const seen: number[] = [];
    const step = (): void => {
      if (seen.push(namespace._set.length) === 100) return resolve(seen);
      timers.setImmediate(namespace.bind(step, contexts[seen.length % 2]));
    };
    namespace.bind(step, contexts[0])();
  });
  expect(Math.max(...depths)).toBeLessThanOrEqual(2);
});

test('a context is collected when its work is over', async () => {
  const namespace = openNamespace();
  const context = new WeakRef(namespace.run(() => namespace.set('key', 'mine')));
  await afterwards(namespace, (done) => timers.setImmediate(done));
  (globalThis as { gc?: () => void }).gc?.();
  expect(context.deref()).toBeUndefined();
});
