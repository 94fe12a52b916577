import { EventEmitter, once } from 'node:events';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool } from '../../src/index.ts';
import { outsideSandboxes, type Sandbox, sandbox } from '../../src/testing/index.ts';
import { errorOf, openPool } from '../server/rig.ts';
import { add, names, shop, stored } from './rig.ts';

type Job = { readonly pool: LifeguardPool; readonly name: string; readonly done: (outcome: Promise<unknown>) => void };

/** Code that was started before any sandbox was there, and does as it is told. */
class Worker {
  #next = Promise.withResolvers<Job>();

  async work(): Promise<never> {
    for (;;) {
      const { pool, name, done } = await this.#next.promise;
      this.#next = Promise.withResolvers();
      const outcome = add(pool, name);
      done(outcome);
      await outcome.catch(() => undefined);
    }
  }

  do(pool: LifeguardPool, name: string): Promise<unknown> {
    return new Promise((done) => this.#next.resolve({ pool, name, done }));
  }
}

const old = new Worker();
void old.work();

describe('who belongs to a sandbox', () => {
  test('is whoever runs inside, and nobody else', async ({ database }) => {
    const pool = await shop(database);
    await Promise.all(
      ['a', 'b', 'c'].map((name) =>
        sandbox(pool, async () => {
          await add(pool, name);
          expect(await names(pool)).toEqual([name]);
        }),
      ),
    );
    await add(pool, 'outside');
    expect(await names(pool)).toEqual(['outside']);
  });

  test('is each of many parallel functions that entered one', async ({ database }) => {
    const pool = await shop(database, { max: 8 });
    const entered = async (name: string): Promise<string[]> => {
      await using _ = await sandbox(pool, { name });
      await add(pool, name);
      await Promise.all([pool.query('select pg_sleep(0.01)'), pool.transaction((tx) => tx.query('select 1'))]);
      return await names(pool);
    };
    const all = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
    expect(await Promise.all(all.map((name) => entered(name)))).toEqual(all.map((name) => [name]));
    expect(await stored(database)).toBe(0);
  });

  test('is the next sandbox where one has ended, and not the one before', async ({ database }) => {
    const pool = await shop(database);
    for (const name of ['a', 'b', 'c']) {
      await using _ = await sandbox(pool);
      await add(pool, name);
      expect(await names(pool)).toEqual([name]);
    }
    expect(await errorOf(pool.query('select 1'))).toMatchObject({ code: 'ERR_LIFEGUARD_SANDBOX' });
    expect(await outsideSandboxes(pool, () => names(pool))).toEqual([]);
  });

  test('is what was allowed, by function, by run() and by enter()', async ({ database }) => {
    const pool = await shop(database);
    const opened = Promise.withResolvers<Sandbox>();
    const elsewhere = opened.promise.then(async (db) => {
      await db.allow((name: string) => add(pool, name))('allowed');
      await db.run(() => add(pool, 'run'));
      expect(await stored(database)).toBe(0);
      db.enter();
      await add(pool, 'entered');
      return names(pool);
    });
    await sandbox(pool, async (db) => {
      opened.resolve(db);
      expect(await elsewhere).toEqual(['allowed', 'entered', 'run']);
      expect((await db.query('select from customers')).rowCount).toBe(3);
    });
    expect(await stored(database)).toBe(0);
  });

  test('is also a worker that was started long before, where the sandbox is shared', async ({ database }) => {
    const pool = await shop(database);
    const db = await sandbox(pool, { shared: true });
    await old.do(pool, 'ada');
    expect(await names(pool)).toEqual(['ada']);
    expect((await errorOf(sandbox(pool, { shared: true })))['code']).toBe('ERR_LIFEGUARD_ARGUMENT');
    await db.end();
    expect(await stored(database)).toBe(0);
    await old.do(pool, 'grace');
    expect(await stored(database)).toBe(1);
  });

  test('is everything on the way through timers, emitters and queues', async ({ database }) => {
    const pool = await shop(database);
    await using _ = await sandbox(pool);
    const emitter = new EventEmitter();
    setImmediate(() => void add(pool, 'ada').then(() => emitter.emit('done')));
    await once(emitter, 'done');
    await new Promise<unknown>((resolve) => queueMicrotask(() => resolve(add(pool, 'grace'))));
    expect(await names(pool)).toEqual(['ada', 'grace']);
  });

  test('is one sandbox of each pool', async ({ database }) => {
    const pool = await shop(database);
    const other = openPool(database.connection);
    await using _ = await sandbox(pool);
    await add(pool, 'ada');
    expect(await names(other)).toEqual([]);
    await using __ = await sandbox(other);
    await add(other, 'grace');
    expect([await names(pool), await names(other)]).toEqual([['ada'], ['grace']]);
  });

  test('is not in the transaction or the sandbox around it', async ({ database }) => {
    const pool = await shop(database);
    const [one, other] = await Promise.all([
      sandbox(pool, { name: 'one' }),
      outsideSandboxes(pool, () => sandbox(pool)),
    ]);
    await outsideSandboxes(pool, () =>
      pool.transaction(async (tx) => {
        await add(tx, 'real');
        await one.run(() => add(pool, 'one'));
        await one.run(() => pool.transaction(() => other.run(() => add(pool, 'other'))));
        expect([await names(one), await names(other)]).toEqual([['one'], ['other']]);
      }),
    );
    expect(await stored(database)).toBe(1);
    await Promise.all([one.end(), other.end()]);
  });

  test('needs no ambient transactions of the pool', async ({ database }) => {
    const pool = await shop(database, { mode: 'explicit' });
    await using _ = await sandbox(pool);
    await pool.transaction((tx) => add(tx, 'ada'));
    expect([await names(pool), await stored(database)]).toEqual([['ada'], 0]);
  });
});
