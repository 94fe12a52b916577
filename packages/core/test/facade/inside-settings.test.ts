import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type pg from 'pg';
import { answerOf, errorOf } from '../server/rig.ts';
import { promised } from './inside-library.ts';
import { type Asker, prepared, put, undone, wholly } from './inside-rig.ts';

/** What is in force, for whoever asks. */
async function inForce(asker: Asker): Promise<Record<string, string>> {
  const { rows } =
    await asker.query(`select current_user::text as who, coalesce(current_setting('app.name', true), '') as app,
    current_setting('work_mem') as mem, current_setting('search_path') as path, current_setting('timezone') as zone`);
  return rows[0] as Record<string, string>;
}

/** Ways in which libraries set something for the rest of their transaction. */
const WAYS: readonly (readonly [what: string, set: (client: pg.PoolClient) => Promise<unknown>])[] = [
  ['SET LOCAL of a setting', (client) => client.query("SET LOCAL app.name = 'ada'")],
  ['SET LOCAL ROLE', (client) => client.query('set local role pg_monitor')],
  ['SET LOCAL of a path', (client) => client.query('set local search_path to pg_catalog, public')],
  ['SET LOCAL TIME ZONE', (client) => client.query("set local time zone 'Asia/Tokyo'")],
  ['SET without LOCAL', (client) => client.query("set work_mem = '7MB'")],
  ['set_config', (client) => client.query("select set_config('app.name', 'ada', true)")],
  ['set_config with values', (client) => client.query('select set_config($1, $2, true)', ['app.name', 'ada'])],
  [
    'set_config of several, as Supabase and Hasura do it',
    (client) => client.query("select set_config('app.name', 'ada', true), set_config('work_mem', '8MB', true)"),
  ],
  [
    'set_config over JSON, as PostGraphile does it',
    (client) =>
      client.query({
        text: 'select set_config(el->>0, el->>1, true) from json_array_elements($1::json) el',
        values: [
          JSON.stringify([
            ['role', 'pg_monitor'],
            ['app.name', 'ada'],
            ['work_mem', '9MB'],
          ]),
        ],
      }),
  ],
  ['a script', (client) => client.query("set local work_mem = '5MB'; set local app.name = 'ada'; select 1")],
];

describe.for(WAYS)('what a library sets by %s', ([, set]) => {
  test('is in force until its transaction commits', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const before = await inForce(orm);
      const [during, again] = await promised(orm, async (client) => {
        await set(client);
        const first = await inForce(client);
        await set(client);
        return [first, await inForce(client)];
      });
      expect(during).not.toEqual(before);
      expect(again).toEqual(during);
      expect(await inForce(orm)).toEqual(before);
      await put(orm, 1);
    });
    expect(await stored()).toEqual([1]);
  });

  test('is in force until its transaction rolls back', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    await pool.transaction(async () => {
      const before = await inForce(orm);
      await undone((fail) => promised(orm, (client) => set(client).then(fail)));
      expect(await inForce(orm)).toEqual(before);
    });
  });

  test('gives way to what was in force around it', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    const settings = { 'app.name': 'eve', work_mem: '6MB' };
    await pool.transaction(
      async (tx) => {
        const before = await inForce(orm);
        await tx.transaction(() => promised(orm, set));
        expect(await inForce(orm)).toEqual(before);
        await tx.transaction(() => promised(orm, set), { settings: { work_mem: '4MB' } });
        expect(await inForce(orm)).toEqual(before);
      },
      { settings },
    );
  });

  test('does not stay on the connection', async ({ database }) => {
    const { pool, orm } = await prepared(database, { pool: { max: 1 } });
    const before = await inForce(orm);
    await pool.transaction(() => promised(orm, set));
    await undone((fail) => pool.transaction(() => promised(orm, set).then(fail)));
    expect(await inForce(orm)).toEqual(before);
  });
});

describe('settings of a library', () => {
  test('of an inner transaction leave those of the outer one in force', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    const userOf = (asker: Asker): Promise<string> => answerOf(asker, "select current_setting('app.name', true)");
    const seen = await pool.transaction(() =>
      wholly(pool, () =>
        promised(orm, async (client) => {
          await client.query("set local app.name = 'outer'");
          const inner = await promised(orm, async (nested) => {
            await nested.query("set local app.name = 'inner'");
            return userOf(nested);
          });
          return [inner, await userOf(client)];
        }),
      ),
    );
    expect(seen).toEqual(['inner', 'outer']);
  });

  test('that the server refuses fail its transaction, and nothing stays', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const before = await inForce(orm);
      const refused = promised(orm, async (client) => {
        await client.query("set local app.name = 'ada'");
        await client.query('set local nonsense_that_is_none = 1');
      });
      expect(await errorOf(refused)).toMatchObject({ code: '42704' });
      expect(await inForce(orm)).toEqual(before);
      await put(orm, 1);
    });
    expect(await stored()).toEqual([1]);
  });

  test('behind a savepoint of its own that it goes back to end with its transaction', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    await pool.transaction(async () => {
      const before = await inForce(orm);
      await promised(orm, async (client) => {
        await client.query('savepoint one');
        await client.query("set local work_mem = '7MB'");
        await client.query('rollback to one');
        await client.query("set local app.name = 'ada'");
        await client.query('release one');
      });
      expect(await inForce(orm)).toEqual(before);
    });
  });

  test('may take away the right to go back, and it goes back all the same', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      await promised(orm, async (client) => {
        await client.query('set local role pg_monitor');
        await client.query("set local work_mem = '7MB'");
        expect(await errorOf(put(client, 1))).toMatchObject({ code: '42501' });
      }).catch(() => undefined);
      await put(orm, 2);
    });
    expect(await stored()).toEqual([2]);
  });

  test('for a limit of statements count in its transaction, and not after it', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const slow = promised(orm, async (client) => {
        await client.query("set local statement_timeout = '50ms'");
        await client.query('select pg_sleep(60)');
      });
      expect(await errorOf(slow)).toMatchObject({ code: '57014' });
      await promised(orm, async (client) => {
        await client.query("set local statement_timeout = '50ms'");
        await put(client, 1);
      });
      await orm.query('select pg_sleep(0.1)');
    });
    expect(await stored()).toEqual([1]);
  });

  test('for a limit of statements give way to the deadline of the transaction around it', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    const limitOf = (asker: Asker): Promise<string> => answerOf(asker, "select current_setting('statement_timeout')");
    const [before, after] = await pool.transaction(
      async () => {
        const first = await limitOf(orm);
        await promised(orm, (client) => client.query("set local statement_timeout = '50ms'"));
        return [first, await limitOf(orm)];
      },
      { timeoutMillis: 20_000 },
    );
    expect(after).toBe(before);
  });

  test('by a statement without a BEGIN last as long as the transaction around it', async ({ database }) => {
    const { pool, orm } = await prepared(database, { pool: { max: 1 } });
    await pool.transaction(async () => {
      await orm.query("set local app.name = 'ada'");
      expect(await inForce(orm)).toMatchObject({ app: 'ada' });
      expect(await errorOf(orm.query('select 1/0'))).toMatchObject({ code: '22012' });
      expect(await inForce(orm)).toMatchObject({ app: 'ada' });
    });
    expect((await inForce(orm))['app']).not.toBe('ada');
  });
});
