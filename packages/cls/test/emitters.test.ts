import { EventEmitter, once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { Namespace } from '../src/index.ts';
import { openNamespace, timers } from './rig.ts';

/** Adds a listener in a context with that value, which says where it runs. */
function listenIn(namespace: Namespace, emitter: EventEmitter, value: string): unknown[] {
  const heard: unknown[] = [];
  inside(namespace, value, () => emitter.on('event', () => heard.push(namespace.get('key'))));
  return heard;
}

function inside(namespace: Namespace, value: string, fn: () => unknown): void {
  namespace.run(() => {
    namespace.set('key', value);
    fn();
  });
}

describe.for(['on', 'addListener', 'once', 'prependListener', 'prependOnceListener'] as const)(
  'a listener that is added by %s',
  (method) => {
    test('runs in the context in which it was added', () => {
      const [namespace, emitter] = [openNamespace(), new EventEmitter()];
      const heard: unknown[] = [];
      namespace.bindEmitter(emitter);
      inside(namespace, 'adder', () => emitter[method]('event', (more) => heard.push(namespace.get('key'), more)));
      emitter.emit('event', 1);
      inside(namespace, 'emitter', () => emitter.emit('event', 2));
      const both = ['adder', 1, 'adder', 2];
      expect(heard).toEqual(/once/i.test(method) ? both.slice(0, 2) : both);
      expect(namespace.active).toBeNull();
    });

    test('is found and removed as what it is', () => {
      const [namespace, emitter] = [openNamespace(), new EventEmitter()];
      const listener = (): void => expect.unreachable();
      namespace.bindEmitter(emitter);
      inside(namespace, 'adder', () => emitter[method]('event', listener));
      expect(emitter.listeners('event')).toEqual([listener]);
      emitter.off('event', listener);
      expect(emitter.emit('event')).toBe(false);
    });

    test('runs where it is emitted if it was added before the emitter was bound', () => {
      const [namespace, emitter] = [openNamespace(), new EventEmitter()];
      const heard: unknown[] = [];
      emitter[method]('event', () => heard.push(namespace.get('key')));
      inside(namespace, 'emitter', () => {
        namespace.bindEmitter(emitter);
        emitter.emit('event');
      });
      expect(heard).toEqual(['emitter']);
    });
  },
);

test('a listener that was added in no context runs where it is emitted, and has a context there in any case', () => {
  const [namespace, emitter] = [openNamespace(), new EventEmitter()];
  const heard: unknown[] = [];
  namespace.bindEmitter(emitter);
  emitter.on('event', () => heard.push(namespace.get('key'), namespace.set('key', 'own')));
  emitter.emit('event');
  inside(namespace, 'emitter', () => emitter.emit('event'));
  expect(heard).toEqual([undefined, 'own', 'emitter', 'own']);
});

test('an emitter that is bound by two namespaces gives a listener both contexts', async () => {
  const [one, two, emitter] = [openNamespace(), openNamespace(), new EventEmitter()];
  for (const namespace of [one, two, one]) namespace.bindEmitter(emitter);
  const heard: unknown[] = [];
  const added = new Promise<void>((resolve) => {
    const listen = (): unknown => emitter.on('event', () => heard.push(one.get('key'), two.get('key')));
    inside(one, 'one', () => inside(two, 'two', () => process.nextTick(() => resolve(void listen()))));
  });
  await added;
  emitter.emit('event');
  expect(heard).toEqual(['one', 'two']);
});

test('one function that is added in several contexts runs in each, and on other emitters in theirs', () => {
  const [namespace, emitters] = [openNamespace(), [new EventEmitter(), new EventEmitter()]];
  const heard: unknown[] = [];
  const shared = (): unknown => heard.push(namespace.get('key'));
  for (const [index, emitter] of emitters.entries()) {
    namespace.bindEmitter(emitter);
    for (const name of ['a', 'b']) inside(namespace, `${name}${index}`, () => emitter.on('event', shared));
  }
  for (const emitter of emitters) emitter.emit('event');
  expect(heard).toEqual(['a0', 'b0', 'a1', 'b1']);
  emitters[0]?.off('event', shared);
  emitters[0]?.emit('event');
  expect(heard.slice(4)).toEqual(['a0']);
});

test('listeners can be added and removed from inside of one', () => {
  const [namespace, emitter] = [openNamespace(), new EventEmitter()];
  const heard: string[] = [];
  namespace.bindEmitter(emitter);
  inside(namespace, 'adder', () => {
    emitter.once('event', () => {
      heard.push('first');
      emitter.on('event', () => heard.push(`late ${namespace.get('key')}`));
    });
    emitter.on('event', function self() {
      heard.push('second');
      emitter.off('event', self);
    });
  });
  emitter.emit('event');
  emitter.emit('event');
  expect(heard).toEqual(['first', 'second', 'late adder']);
  expect(emitter.listenerCount('event')).toBe(1);
});

test('a newListener handler that removes itself takes nothing else with it', async () => {
  const [namespace, emitter] = [openNamespace(), new EventEmitter()];
  const heard: unknown[] = [];
  namespace.bindEmitter(emitter);
  emitter.on('newListener', function handler(this: EventEmitter, event) {
    if (event !== 'data') return;
    this.removeListener('newListener', handler);
    process.nextTick(() => emitter.on('data', (chunk) => heard.push(`second ${chunk}`)));
  });
  emitter.on('data', (chunk) => heard.push(`first ${chunk}`));
  expect(emitter.listenerCount('newListener')).toBe(0);
  await new Promise((resolve) => timers.setImmediate(resolve));
  emitter.emit('data', 'chunk');
  expect(heard).toEqual(['first chunk', 'second chunk']);
});

test('a listener that throws leaves the emitter as it was, and its error carries the context', () => {
  const [namespace, emitter] = [openNamespace(), new EventEmitter()];
  const kaboom = (): never => {
    throw new Error('on purpose');
  };
  namespace.bindEmitter(emitter);
  inside(namespace, 'adder', () => emitter.on('event', kaboom));
  for (const _ of [1, 2]) expect(() => emitter.emit('event')).toThrow('on purpose');
  expect(emitter.rawListeners('event')).toEqual([kaboom]);
  let error: unknown;
  try {
    emitter.emit('event');
  } catch (thrown) {
    error = thrown;
  }
  expect(namespace.fromException(error).key).toBe('adder');
});

test('an emit inside of an emit of the same event reaches all listeners in their contexts', () => {
  const [namespace, emitter] = [openNamespace(), new EventEmitter()];
  const heard: unknown[] = [];
  namespace.bindEmitter(emitter);
  inside(namespace, 'a', () =>
    emitter.on('event', (depth: number) => {
      heard.push(namespace.get('key') + depth);
      if (depth === 0) emitter.emit('event', 1);
    }),
  );
  inside(namespace, 'b', () => emitter.on('event', (depth: number) => heard.push(namespace.get('key') + depth)));
  emitter.emit('event', 0);
  expect(heard).toEqual(['a0', 'a1', 'b1', 'b0']);
});

test('an event that nobody listens to does no harm, and an error that nobody hears is thrown', () => {
  const [namespace, emitter] = [openNamespace(), new EventEmitter()];
  namespace.bindEmitter(emitter);
  expect(emitter.emit('event')).toBe(false);
  expect(() => emitter.emit('error', new Error('unheard'))).toThrow('unheard');
});

test('a stream can be bound, and gives its data and its end to listeners in their contexts', async () => {
  const [namespace, stream] = [openNamespace(), new PassThrough()];
  const heard: unknown[] = [];
  namespace.bindEmitter(stream);
  inside(namespace, 'reader', () => {
    stream.on('data', (chunk) => heard.push(`${namespace.get('key')}: ${chunk}`));
    stream.on('end', () => heard.push(`${namespace.get('key')}: end`));
  });
  stream.end('a');
  await once(stream, 'end');
  expect(heard).toEqual(['reader: a', 'reader: end']);
});

test('a stream that is bound keeps the one listener that was there', () => {
  const [namespace, stream] = [openNamespace(), new Readable({ read: () => undefined })];
  const heard: unknown[] = [];
  stream.once('data', (chunk) => heard.push(namespace.get('key'), chunk));
  inside(namespace, 'emitter', () => {
    namespace.bindEmitter(stream);
    expect(stream.listenerCount('data')).toBe(1);
    stream.emit('data', 'chunk');
  });
  expect(heard).toEqual(['emitter', 'chunk']);
});

test('a prototype can be bound, for all emitters that inherit from it', () => {
  class Parent extends EventEmitter {}
  class Child extends Parent {
    override on(event: string, listener: () => void): this {
      return super.on(event, listener);
    }
  }
  const namespace = openNamespace();
  namespace.bindEmitter(Parent.prototype);
  const [one, two] = [new Child(), new Child()];
  const heard = [listenIn(namespace, one, 'one'), listenIn(namespace, two, 'two')];
  for (const emitter of [one, two]) emitter.emit('event');
  expect(heard).toEqual([['one'], ['two']]);
  expect(Object.hasOwn(EventEmitter.prototype.on, '__wrapped')).toBe(false);
});

test('an emitter whose on is put back is bound again at the next listener', () => {
  const [namespace, emitter] = [openNamespace(), new EventEmitter()];
  namespace.bindEmitter(emitter);
  emitter.on = EventEmitter.prototype.on;
  emitter.addListener('other', () => undefined);
  const heard = listenIn(namespace, emitter, 'adder');
  emitter.emit('event');
  expect(heard).toEqual(['adder']);
});

test('what is no emitter is refused', () => {
  const namespace = openNamespace();
  for (const other of [{}, { on: () => undefined }, new EventTarget()]) {
    expect(() => namespace.bindEmitter(other as unknown as EventEmitter)).toThrow('can only bind real EEs');
  }
});

test('an async listener that rejects is heard by an emitter that captures rejections', async () => {
  const [namespace, emitter] = [openNamespace(), new EventEmitter({ captureRejections: true })];
  namespace.bindEmitter(emitter);
  const failure = new Promise((resolve) => emitter.on('error', resolve));
  inside(namespace, 'adder', () => emitter.on('event', async () => Promise.reject(new Error(namespace.get('key')))));
  emitter.emit('event');
  expect(await failure).toMatchObject({ message: 'adder' });
});

test('an emitter that nobody holds is collected, with the contexts of its listeners', async () => {
  const namespace = openNamespace();
  const used = (() => {
    const emitter = new EventEmitter();
    namespace.bindEmitter(emitter);
    return [new WeakRef(emitter), new WeakRef(namespace.run(() => emitter.on('event', () => undefined)))];
  })();
  await new Promise((resolve) => timers.setImmediate(resolve));
  (globalThis as { gc?: () => void }).gc?.();
  expect(used.map((reference) => reference.deref())).toEqual([undefined, undefined]);
});
