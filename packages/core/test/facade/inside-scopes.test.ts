import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { ScopeOptions } from '../../src/index.ts';
import { answerOf, errorOf, pidOf } from '../server/rig.ts';
import { promised, STYLES } from './inside-library.ts';
import { type Asker, prepared, put, undone } from './inside-rig.ts';

const SCOPES: readonly (readonly [what: string, options: ScopeOptions])[] = [
  ['without anything', { name: 'request' }],
  ['with settings', { settings: { 'app.tenant': 'ada' } }],
  ['with a role', { role: 'pg_write_all_data' }],
  ['with a deadline', { timeoutMillis: 60_000 }],
  ['with one connection', { mode: 'pinned' }],
];

const tenantOf = (asker: Asker): Promise<string> => answerOf(asker, "select current_setting('app.tenant', true)");

describe.for(SCOPES)('in a scope %s', ([, options]) => {
  test.for(STYLES)('the transaction of a library %s is one of the scope', async ([, transact], { database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.scope(options, async () => {
      await transact(orm, (client) => put(client, 1));
      expect(await stored()).toEqual([1]);
      await undone((fail) => transact(orm, (client) => put(client, 2).then(fail)));
      await put(orm, 3);
    });
    expect(await stored()).toEqual([1, 3]);
  });

  test('a statement stands for itself', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await undone((fail) =>
      pool.scope(options, async () => {
        await put(orm, 1);
        expect(await errorOf(put(orm, 1))).toMatchObject({ code: '23505' });
        await put(orm, 2);
        fail();
      }),
    );
    expect(await stored()).toEqual([1, 2]);
  });

  test('a transaction of ours takes libraries in', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await undone((fail) =>
      pool.scope(options, (db) =>
        db.transaction(async () => {
          await put(orm, 1);
          await promised(orm, (client) => put(client, 2));
          fail();
        }),
      ),
    );
    expect(await stored()).toEqual([]);
  });

  test('parallel transactions of libraries do not touch each other', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.scope(options, () =>
      Promise.all([
        ...[1, 2, 3].map((id) => promised(orm, (client) => put(client, id))),
        ...[4, 5, 6].map((id) => undone((fail) => promised(orm, (client) => put(client, id).then(fail)))),
      ]),
    );
    expect(await stored()).toEqual([1, 2, 3]);
  });
});

describe('what a scope says', () => {
  test('holds for statements and transactions of libraries', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    const seen = await pool.scope({ settings: { 'app.tenant': 'ada' } }, async () => {
      const client = await orm.connect();
      const tenants = [await tenantOf(orm), await tenantOf(client), await promised(orm, tenantOf)];
      client.release();
      return tenants;
    });
    expect(seen).toEqual(['ada', 'ada', 'ada']);
    expect(await tenantOf(orm)).not.toBe('ada');
  });

  test('of its role holds for them too', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    const whoIs = (asker: Asker): Promise<string> => answerOf(asker, 'select current_user::text');
    const seen = await pool.scope({ role: 'pg_monitor' }, async () => [await whoIs(orm), await promised(orm, whoIs)]);
    expect(seen).toEqual(['pg_monitor', 'pg_monitor']);
  });

  test('makes the server refuse writes of libraries where it only reads', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.scope({ readOnly: true }, async () => {
      expect(await errorOf(put(orm, 1))).toMatchObject({ code: '25006' });
      expect(await errorOf(promised(orm, (client) => put(client, 2)))).toMatchObject({ code: '25006' });
      const writing = promised(orm, (client) => put(client, 3), 'BEGIN READ WRITE');
      expect(await errorOf(writing)).toMatchObject({ code: 'ERR_LIFEGUARD_PROPAGATION' });
      expect(await answerOf(orm, 'select count(*)::int from item')).toBe(0);
    });
    expect(await stored()).toEqual([]);
  });

  test('gives libraries its one connection where it is pinned', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    await pool.scope({ mode: 'pinned' }, async (db) => {
      const client = await orm.connect();
      const pids = [await pidOf(db), await pidOf(orm), await pidOf(client), await promised(orm, (one) => pidOf(one))];
      client.release();
      expect(new Set(pids).size).toBe(1);
    });
  });

  test('is known where a library begins a transaction with modes', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    const levelOf = (asker: Asker): Promise<string> =>
      answerOf(asker, "select current_setting('transaction_isolation')");
    await pool.scope({ settings: { 'app.tenant': 'ada' } }, async () => {
      expect(await promised(orm, levelOf, 'BEGIN ISOLATION LEVEL SERIALIZABLE')).toBe('serializable');
      expect(await promised(orm, tenantOf, 'START TRANSACTION READ ONLY')).toBe('ada');
      const separate = promised(orm, async (client) => {
        await client.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
        return levelOf(client);
      });
      expect(await separate).toBe('repeatable read');
    });
  });
});
