import { spawnSync } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { passes, waitUntil } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { HookConnection, LifeguardPool } from '../../src/index.ts';
import { answerOf, errorOf, listen, openPool, outcomesOf, pidOf } from './rig.ts';

const nameOf = (pool: LifeguardPool): string | undefined => pool.current()?.name;

describe('the ambient context', () => {
  test('is the innermost scope or transaction of the pool', async ({ database }) => {
    const pool = openPool(database.connection);
    expect(pool.current()).toBeUndefined();
    await pool.scope({ name: 'outer' }, async (db) => {
      expect(pool.current()).toBe(db);
      await db.transaction(async (tx) => {
        expect(pool.current()).toBe(tx);
        await tx.transaction(async (nested) => expect(pool.current()).toBe(nested));
        await pool.scope({ name: 'inner' }, (inner) => expect(pool.current()).toBe(inner));
        expect(pool.current()).toBe(tx);
      });
      expect(pool.current()).toBe(db);
    });
    expect(pool.current()).toBeUndefined();
  });

  test('lets what is asked of the pool join the transaction around it', async ({ database }) => {
    await database.query('create table joined (id int)');
    const pool = openPool(database.connection, { max: 1 });
    const outcome = pool.transaction(async (tx) => {
      const pid = await pidOf(tx);
      await pool.query('insert into joined values (1)');
      await pool.batch(['insert into joined values (2)', 'insert into joined values (3)']);
      await pool.transaction((joined) => joined.query('insert into joined values (4)'));
      expect(await pidOf(pool)).toBe(pid);
      expect(await answerOf(pool, 'select count(*)::int from joined')).toBe(4);
      throw new Error('mine');
    });
    expect(await errorOf(outcome)).toMatchObject({ message: 'mine' });
    expect(await database.query('select from joined')).toEqual([]);
  });

  test('lets what is asked of the pool take the limits and the name of the scope around it', async ({ database }) => {
    const pool = openPool(database.connection);
    const started = listen('lifeguard:lease:started', pool);
    await pool.scope({ name: 'GET /', timeoutMillis: 5_000, settings: { 'app.tenant': 'a' } }, async () => {
      expect(await answerOf(pool, "select current_setting('app.tenant')")).toBe('a');
      const limit = "select setting::int from pg_settings where name = 'statement_timeout'";
      expect(await answerOf(pool, limit)).toBeLessThanOrEqual(5_000);
      expect(await outcomesOf([pool.query('select pg_sleep(30)', [], { timeoutMillis: 30 })])).toEqual([
        'ERR_LIFEGUARD_DEADLINE',
      ]);
    });
    expect(new Set(started.map(({ name }) => name))).toEqual(new Set(['GET /']));
  });

  test('ends a lease of the pool with the scope around it', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const lease = await pool.scope(() => pool.lease());
    expect(await outcomesOf([lease.query('select 1')])).toEqual(['ERR_LIFEGUARD_LEASE_ENDED']);
    expect(await answerOf(pool, 'select 1')).toBe(1);
  });

  test('of one pool is not that of another', async ({ database }) => {
    const [first, second] = [openPool(database.connection), openPool(database.connection)];
    await first.scope({ name: 'first' }, async () => {
      expect([nameOf(first), nameOf(second)]).toEqual(['first', undefined]);
      await second.transaction(
        async (tx) => {
          expect([nameOf(first), nameOf(second)]).toEqual(['first', 'second']);
          expect(await pidOf(second)).toBe(await pidOf(tx));
          expect(await pidOf(first)).not.toBe(await pidOf(tx));
          first.outside(() => expect([nameOf(first), nameOf(second)]).toEqual([undefined, 'second']));
        },
        { name: 'second' },
      );
    });
  });

  test('survives whatever a function may wait for', async ({ database }) => {
    const pool = openPool(database.connection);
    const inside = pool.scope({ name: 'kept' }, async () => {
      const seen = [nameOf(pool)];
      await Promise.resolve();
      seen.push(nameOf(pool));
      await new Promise<void>((done) => setImmediate(done));
      seen.push(nameOf(pool));
      await passes(1, 'a timer of the user');
      seen.push(nameOf(pool));
      await pool.query('select 1');
      seen.push(nameOf(pool));
      await new Promise<void>((done) => queueMicrotask(() => done(void seen.push(nameOf(pool)))));
      await new Promise<void>((done) => process.nextTick(() => done(void seen.push(nameOf(pool)))));
      return seen;
    });
    expect(await inside).toEqual(Array(7).fill('kept'));
  });

  test('is its own for each of many that wait in the line', async ({ database }) => {
    const pool = openPool(database.connection, { max: 2 });
    const names = Array.from({ length: 40 }, (_, index) => `request ${index}`);
    const seen = names.map((name) =>
      pool.scope({ name }, async (db) => {
        await pool.query('select pg_sleep(0.001)');
        const between = nameOf(pool);
        return [between, await db.transaction((tx) => tx.query('select 1').then(() => nameOf(pool)))];
      }),
    );
    expect(await Promise.all(seen)).toEqual(names.map((name) => [name, name]));
  });

  test('is not left on a caller when its scope is over or has thrown', async ({ database }) => {
    const pool = openPool(database.connection);
    await pool.scope({ name: 'over' }, (db) => db.query('select 1'));
    expect(pool.current()).toBeUndefined();
    await errorOf(pool.transaction((tx) => tx.query('select 1/0')));
    expect(pool.current()).toBeUndefined();
  });
});

describe('bind and outside', () => {
  test('carry the context to a listener that is called from elsewhere', async ({ database }) => {
    const pool = openPool(database.connection);
    const bell = new EventEmitter<{ ring: [string] }>();
    const seen: unknown[] = [];
    await pool.scope({ name: 'kept' }, (db) => {
      bell.on('ring', (who) => void seen.push([who, nameOf(pool)]));
      bell.on(
        'ring',
        pool.bind((who: string) => void seen.push([who, nameOf(pool)])),
      );
      return db.query('select 1');
    });
    const rung = once(bell, 'ring');
    bell.emit('ring', 'ann');
    await rung;
    expect(seen).toEqual([
      ['ann', undefined],
      ['ann', 'kept'],
    ]);
    expect(pool.bind((a: number, b: number) => a + b)(1, 2)).toBe(3);
  });

  test('take what goes on by itself out of the transaction around it', async ({ database }) => {
    await database.query('create table audit (id int)');
    const pool = openPool(database.connection, { max: 2 });
    const outcome = pool.transaction(async (tx) => {
      await tx.query('insert into audit values (1)');
      await pool.outside(() => pool.query('insert into audit values (2)'));
      expect(pool.outside(() => pool.current())).toBeUndefined();
      throw new Error('mine');
    });
    expect(await errorOf(outcome)).toMatchObject({ message: 'mine' });
    expect(await database.query('select id from audit')).toEqual([{ id: 2 }]);
  });
});

describe('a pool in explicit mode', () => {
  test('knows nothing but handles', async ({ database }) => {
    await database.query('create table handled (id int)');
    const pool = openPool(database.connection, { mode: 'explicit', max: 3 });
    const outcome = pool.scope({ settings: { 'app.tenant': 'a' } }, (db) =>
      db.transaction(async (tx) => {
        expect(pool.current()).toBeUndefined();
        await tx.query('insert into handled values (1)');
        await tx.transaction((nested) => nested.query('insert into handled values (2)'));
        await pool.query('insert into handled values (3)');
        expect(await answerOf(pool, "select coalesce(nullif(current_setting('app.tenant', true), ''), 'none')")).toBe(
          'none',
        );
        expect(await answerOf(db, "select current_setting('app.tenant')")).toBe('a');
        throw new Error('mine');
      }),
    );
    expect(await errorOf(outcome)).toMatchObject({ message: 'mine' });
    expect(await database.query('select id from handled')).toEqual([{ id: 3 }]);
  });

  test('leaves the context of a pool in ambient mode alone', async ({ database }) => {
    const explicit = openPool(database.connection, { mode: 'explicit' });
    const ambient = openPool(database.connection);
    await ambient.scope({ name: 'ambient' }, () =>
      explicit.transaction(async (tx) => {
        await tx.query('select 1');
        expect([nameOf(ambient), nameOf(explicit)]).toEqual(['ambient', undefined]);
      }),
    );
  });
});

describe('a connection that was opened in a scope', () => {
  test('calls its hook outside of it', async ({ database }) => {
    const seen: unknown[] = [];
    const onConnect = async (connection: HookConnection): Promise<void> => {
      await connection.query('select 1');
      seen.push(pool.current());
    };
    const pool: LifeguardPool = openPool(database.connection, { onConnect });
    await pool.scope((db) => db.transaction((tx) => tx.query('select 1')));
    expect(seen).toEqual([undefined]);
  });

  test('does not keep the scope alive', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const scope = await pool.scope({ timeoutMillis: 60_000 }, async (db) => {
      await db.transaction((tx) => tx.query('select 1'), { timeoutMillis: 50_000 });
      await db.query('select 1');
      return new WeakRef(db);
    });
    const isGone = (): boolean => {
      globalThis.gc?.();
      return scope.deref() === undefined;
    };
    await waitUntil(isGone, { what: 'the scope to be collected' });
    expect(await answerOf(pool, 'select 1')).toBe(1);
  });
});

test('no hook of async_hooks is ever made by the pool', ({ database }) => {
  const core = new URL('../../src/index.ts', import.meta.url).href;
  const source = `import async_hooks from 'node:async_hooks';
    import { syncBuiltinESMExports } from 'node:module';
    const seen = [];
    const createHook = async_hooks.createHook;
    async_hooks.createHook = (...args) => (seen.push('createHook'), createHook(...args));
    syncBuiltinESMExports();
    const { createPool } = await import(${JSON.stringify(core)});
    const pool = createPool({ connectionString: ${JSON.stringify(database.url)} });
    await pool.scope({ timeoutMillis: 5000, settings: { 'app.a': 'b' } }, async (db) => {
      await db.query('select 1');
      await db.transaction((tx) => tx.transaction((nested) => nested.query('select 1')));
    });
    await pool.close();
    async_hooks.createHook({});
    process.stdout.write(seen.join());`;
  const args = ['--conditions=@lifeguard/source', '--input-type=module', '--eval', source];
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  // The program's own, which shows that it would be seen.
  expect(spawnSync(process.execPath, args, { cwd, encoding: 'utf8', timeout: 10_000 }).stdout).toBe('createHook');
});
