import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type pg from 'pg';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import type { LifeguardPool } from '../../src/index.ts';
import { answerOf, errorOf } from '../server/rig.ts';
import { promised } from './inside-library.ts';
import { Mine, prepared, put, undone, wholly } from './inside-rig.ts';

const SETTINGS = { 'app.tenant': 'good' };
const SCOPES = [
  ['settings', { settings: SETTINGS }],
  ['a role', { role: 'postgres' }],
  ['one connection', { mode: 'pinned' }],
] as const;

describe.for(SCOPES)('in a scope with %s', ([, options]) => {
  test('what is asked for in a marked call belongs to the transaction of the library', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.scope(options, async () => {
      await wholly(pool, () =>
        promised(orm, async (client) => {
          await put(client, 1);
          expect(await answerOf(orm, 'select count(*)::int from item')).toBe(1);
          await promised(orm, (inner) => put(inner, 2));
        }),
      );
    });
    expect(await stored()).toEqual([1, 2]);
  });

  test('it is gone with a marked call that rolls back', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.scope(options, async () => {
      await undone((fail) =>
        wholly(pool, () => promised(orm, (client) => put(client, 1).then(() => put(orm, 2).then(fail)))),
      );
      await put(orm, 3);
    });
    expect(await stored()).toEqual([3]);
  });

  test('it stands for itself when the marked call is over', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.scope(options, async () => {
      await wholly(pool, async () => {
        await undone((fail) => promised(orm, (client) => put(client, 1).then(fail)));
        await put(orm, 2);
        await promised(orm, (client) => put(client, 3));
      });
    });
    expect(await stored()).toEqual([2, 3]);
  });
});

describe.for([...SCOPES, ['reads only', { readOnly: true }]] as const)('a cursor in a scope with %s', ([, options]) => {
  const TEXT = 'select i from generate_series(1, 20) i';

  test('of a client is read to its end', async ({ database }) => {
    const { pool, orm } = await prepared(database, { pool: { max: 1 } });
    await pool.scope(options, async () => {
      const client = await orm.connect();
      const cursor = client.query(new Cursor(TEXT));
      expect([(await cursor.read(5)).length, (await cursor.read(50)).length]).toEqual([5, 15]);
      await cursor.close();
      client.release();
      expect(await answerOf(orm, 'select 1')).toBe(1);
    });
  });

  test('inside a stream of the pool is read to its end, or left in the middle', async ({ database }) => {
    const { pool, orm } = await prepared(database, { pool: { max: 1 } });
    const rows: unknown[] = [];
    await pool.scope(options, async () => {
      for await (const row of orm.query(new QueryStream(TEXT, [], { batchSize: 3 }))) rows.push(row);
      for await (const _ of orm.query(new QueryStream(TEXT, [], { batchSize: 3 }))) break;
      expect(await answerOf(orm, 'select 1')).toBe(1);
    });
    expect(rows).toHaveLength(20);
  });
});

describe('a cursor in a scope with settings', () => {
  test('sees them, and is told what the server refuses', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    await pool.scope({ settings: SETTINGS }, async () => {
      const client = await orm.connect();
      const cursor = client.query(new Cursor("select current_setting('app.tenant') as tenant"));
      expect(await cursor.read(1)).toEqual([{ tenant: 'good' }]);
      await cursor.close();
      const broken = client.query(new Cursor('select 1/0'));
      expect(await errorOf(broken.read(1))).toMatchObject({ code: '22012' });
      client.release();
    });
  });
});

/** Where a library works late, in a unit of work that was bound to something. */
const BOUND: readonly (readonly [what: string, run: (pool: LifeguardPool, fn: () => void) => Promise<unknown>])[] = [
  ['a transaction with settings', (pool, fn) => pool.transaction(fn, { settings: SETTINGS })],
  ['a transaction with a role', (pool, fn) => pool.transaction(fn, { role: 'pg_monitor' })],
  ['a read-only transaction', (pool, fn) => pool.transaction(fn, { readOnly: true })],
  ['a transaction of a bound scope', (pool, fn) => pool.scope({ settings: SETTINGS }, () => pool.transaction(fn))],
  [
    'a nested transaction with settings',
    (pool, fn) => pool.transaction(() => pool.transaction(fn, { settings: SETTINGS, propagation: 'nested' })),
  ],
  [
    'a transaction nested in one with settings',
    (pool, fn) => pool.transaction(() => pool.transaction(fn, { propagation: 'nested' }), { settings: SETTINGS }),
  ],
  [
    'a plain scope inside a bound one',
    (pool, fn) => pool.scope({ settings: SETTINGS }, () => pool.scope({ name: 'part' }, async () => fn())),
  ],
];

describe.for(BOUND)('work that comes late for %s', ([, run]) => {
  test('is refused, also where the user sends late work to the pool', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database, { facade: { late: 'pool' } });
    const over = Promise.withResolvers<void>();
    let works: Promise<Error>[] = [];
    const late = (work: () => Promise<unknown>): Promise<Error> => errorOf(over.promise.then(work));
    await run(pool, () => {
      works = [late(() => put(orm, 1)), late(() => promised(orm, (client) => put(client, 2)))];
    });
    over.resolve();
    const codes = (await Promise.all(works)).map(({ code }: Error & { code?: unknown }) => code);
    expect(codes).toEqual(works.map(() => expect.stringMatching(/^ERR_LIFEGUARD_(SCOPE|TRANSACTION)_ENDED$/)));
    expect(await stored()).toEqual([]);
  });
});

describe('a BEGIN that was refused', () => {
  const said = (client: pg.PoolClient, texts: readonly string[]): Promise<unknown[]> =>
    Promise.all(
      texts.map((text) =>
        client.query(text).then(
          ({ command }) => command,
          ({ code }) => code,
        ),
      ),
    );

  test('by SET TRANSACTION behind it is not committed by a COMMIT', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.scope({ settings: SETTINGS, readOnly: true }, async () => {
      const client = await orm.connect();
      const texts = ['BEGIN', 'SET TRANSACTION READ WRITE', 'insert into item values (1)', 'COMMIT'];
      const refused = expect.stringMatching(/^ERR_LIFEGUARD_/);
      expect(await said(client, texts)).toEqual(['BEGIN', refused, refused, 'ROLLBACK']);
      client.release();
    });
    expect(await stored()).toEqual([]);
  });

  test('at once is not committed by a COMMIT', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const client = await orm.connect();
      const texts = ['BEGIN ISOLATION LEVEL SERIALIZABLE', 'insert into item values (1)', 'COMMIT'];
      const refused = expect.stringMatching(/^ERR_LIFEGUARD_/);
      expect(await said(client, texts)).toEqual([refused, refused, 'ROLLBACK']);
      expect(await said(client, ['insert into item values (2)', 'COMMIT'])).toEqual(['INSERT', 'COMMIT']);
      client.release();
    });
    expect(await stored()).toEqual([2]);
  });
});

describe('a transaction that conflicted in a part that was made good', () => {
  const CONFLICT = "do $$ begin raise exception 'x' using errcode = '40001'; end $$";

  test('of a library is not run again for an error of its own', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    let runs = 0;
    const whole = pool.transaction(async () => {
      runs += 1;
      await errorOf(orm.query(CONFLICT));
      await put(orm, 1);
      throw new Mine();
    });
    await expect(whole).rejects.toBeInstanceOf(Mine);
    expect(runs).toBe(1);
  });

  test('of ours is not run again, whoever else has a library', async ({ database }) => {
    const { pool } = await prepared(database);
    let runs = 0;
    const whole = pool.transaction(async (tx) => {
      runs += 1;
      await errorOf(tx.transaction((nested) => nested.query(CONFLICT)));
      throw new Mine();
    });
    await expect(whole).rejects.toBeInstanceOf(Mine);
    expect(runs).toBe(1);
  });
});
