import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { nestable } from '../../src/orms/index.ts';
import { Grace } from '../facade/inside-grace.ts';
import { type Body, promised } from '../facade/inside-library.ts';
import { type House, prepared, put, undone } from '../facade/inside-rig.ts';
import { isMarked, silentPool } from './doctored.ts';

/** A library with a pool of its own. */
class Library {
  readonly orm: pg.Pool;

  constructor(orm: pg.Pool) {
    this.orm = orm;
  }

  transaction<T>(body: Body<T>, ..._options: unknown[]): Promise<T> {
    return promised(this.orm, body);
  }

  /** Works when it is told so, as builders do. */
  begun(): { readonly library: Library; execute<T>(body: Body<T>): Promise<T> } {
    return { library: this, execute: (body) => this.transaction(body) };
  }
}

const libraryOf = ({ pool, orm }: House): Library => nestable(pool, new Library(orm), 'transaction');

describe('a library with a method that was made nestable', () => {
  test('has its own transactions within each other, without any grace', async ({ database }) => {
    const grace = Grace.held();
    const house = await prepared(database);
    const library = libraryOf(house);
    await house.pool.transaction(() =>
      library.transaction(async (outer) => {
        await put(outer, 1);
        await library.transaction(async (inner) => {
          await put(inner, 2);
          await library.begun().execute((innermost) => put(innermost, 3));
        });
        await undone((fail) => library.transaction((inner) => put(inner, 4).then(fail)));
        await put(outer, 5);
      }),
    );
    expect(grace.isRunning).toBe(false);
    expect(await house.stored()).toEqual([1, 2, 3, 5]);
  });

  test('takes those of another one with it when it rolls back', async ({ database }) => {
    Grace.held();
    const house = await prepared(database);
    const [library, other] = [libraryOf(house), libraryOf({ ...house, orm: house.pool.asPgPool({ pg }) })];
    await house.pool.transaction(async () => {
      await undone((fail) =>
        library.transaction(async (outer) => {
          await put(outer, 1);
          await other.transaction((inner) => put(inner, 2));
          await put(other.orm, 3);
          fail();
        }),
      );
      await other.transaction((after) => put(after, 4));
    });
    expect(await house.stored()).toEqual([4]);
  });

  test('has those beside each other take turns', async ({ database }) => {
    Grace.held();
    const house = await prepared(database);
    const library = libraryOf(house);
    const part = (id: number): Promise<unknown> =>
      library.transaction(async (client) => {
        await put(client, id);
        await put(library.orm, id + 10);
        if (id === 2) throw new Error('mine');
      });
    const outcomes = await house.pool.transaction(() => Promise.allSettled([1, 2, 3].map(part)));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(await house.stored()).toEqual([1, 3, 11, 13]);
  });

  test('works outside of all transactions as it did', async ({ database }) => {
    const house = await prepared(database);
    const library = libraryOf(house);
    expect(await library.transaction((client) => put(client, 1).then(() => 'done'))).toBe('done');
    await undone((fail) => library.transaction((client) => put(client, 2).then(fail)));
    expect(await house.stored()).toEqual([1]);
  });
});

describe('a method that was made nestable', () => {
  test('keeps its object, its arguments, its answer, its name and its length', async () => {
    const pool = silentPool();
    const library = {
      async work(this: unknown, ...given: unknown[]) {
        return [this, ...given];
      },
      async other(_one: number, _two: number) {
        throw new Error('mine');
      },
    };
    const { work, other } = library;
    expect(nestable(pool, library, 'work', 'other')).toBe(library);
    expect(await library.work(1, 2)).toEqual([library, 1, 2]);
    await expect(library.other(1, 2)).rejects.toThrow('mine');
    expect(library.work).not.toBe(work);
    expect([library.work.name, library.other.name]).toEqual([work.name, other.name]);
    expect([library.work.length, library.other.length]).toEqual([0, 2]);
    expect(Object.keys(library)).toEqual(['work', 'other']);
  });

  test('is wrapped once for each pool, also where it was inherited', () => {
    const [pool, other] = [silentPool(), silentPool('reports')];
    class Parent {
      async work(): Promise<number> {
        return 1;
      }
    }
    nestable(pool, Parent.prototype, 'work');
    const { work } = Parent.prototype;
    const child = nestable(pool, new (class extends Parent {})(), 'work');
    expect(child.work).toBe(work);
    nestable(other, child, 'work');
    const { work: ofBoth } = child;
    expect(ofBoth).not.toBe(work);
    expect(nestable(pool, nestable(other, child, 'work'), 'work').work).toBe(ofBoth);
    expect(Object.keys(Parent.prototype)).toEqual([]);
    expect(Parent.prototype.work).toBe(work);
  });

  test('is found on a function, behind a getter, and behind a proxy', async () => {
    const pool = silentPool();
    const work = async (): Promise<boolean> => isMarked(pool);
    const callable = Object.assign(() => undefined, { work });
    const getter = {
      get work() {
        return work;
      },
    };
    const proxy = new Proxy({} as { work: typeof work }, { get: (target, name) => Reflect.get(target, name) ?? work });
    for (const library of [callable, getter, proxy]) {
      expect(await nestable(pool, library, 'work').work()).toBe(true);
    }
  });

  test('runs inside what answers only when it is awaited', async () => {
    const pool = silentPool();
    const then: PromiseLike<boolean>['then'] = (...callbacks) => Promise.resolve(isMarked(pool)).then(...callbacks);
    const builder = { build: (): PromiseLike<boolean> => ({ then }) };
    expect(await nestable(pool, builder, 'build').build()).toBe(true);
  });

  test('rejects where it throws', async () => {
    const library = nestable(
      silentPool(),
      {
        work(): Promise<void> {
          throw new Error('mine');
        },
      },
      'work',
    );
    await expect(library.work()).rejects.toThrow('mine');
  });
});
