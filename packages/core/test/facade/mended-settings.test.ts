import { describe, expect, test } from '@lifeguard/testkit/vitest';
import Cursor from 'pg-cursor';
import { answerOf, errorOf } from '../server/rig.ts';
import { promised } from './inside-library.ts';
import { prepared, put } from './inside-rig.ts';

const TENANT = "select current_setting('app.tenant')";

/** Ways in which a library sets something so that no reader of texts sees it. */
const UNSEEN = [
  "do $$ begin perform set_config('app.tenant', 'evil', true); end $$",
  "do $$ begin set local app.tenant = 'evil'; end $$",
  "update pg_settings set setting = 'evil' where name = 'app.tenant'",
  `select U&"\\0073et_config"('app.tenant', 'evil', true)`,
  "select set_config(chr(97) || 'pp.tenant', 'evil', true)",
];

describe('a setting that a transaction was given', () => {
  test.for(UNSEEN)('is in force again when a library has committed that said %s', async (text, { database }) => {
    const { pool, orm } = await prepared(database);
    await pool.transaction(
      async (tx) => {
        await promised(orm, (client) => client.query(text));
        expect([await answerOf(tx, TENANT), await answerOf(orm, TENANT)]).toEqual(['good', 'good']);
      },
      { settings: { 'app.tenant': 'good' } },
    );
  });

  test('by a nested one is in force there again, and the outer one outside', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    await pool.transaction(
      async (tx) => {
        await tx.transaction(
          async (nested) => {
            await promised(orm, (client) => client.query(UNSEEN[0] as string));
            expect(await answerOf(nested, TENANT)).toBe('inner');
          },
          { settings: { 'app.tenant': 'inner' } },
        );
        expect(await answerOf(tx, TENANT)).toBe('good');
      },
      { settings: { 'app.tenant': 'good' } },
    );
  });

  test('by a scope is in force in the transaction of a library that nests', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    await pool.scope({ settings: { 'app.tenant': 'good' } }, () =>
      pool.transaction(async () => {
        await promised(orm, (client) => client.query(UNSEEN[0] as string));
        expect(await answerOf(orm, TENANT)).toBe('good');
      }),
    );
  });
});

describe('the role that a transaction was given', () => {
  test('is in force again when a library has committed that set another one unseen', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    await pool.transaction(
      async (tx) => {
        await promised(orm, (client) => client.query('do $$ begin set local role pg_read_all_settings; end $$'));
        expect(await answerOf(tx, 'select current_user::text')).toBe('pg_monitor');
      },
      { role: 'pg_monitor' },
    );
  });

  test('is given back before what it may not set', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    await pool.transaction(async (tx) => {
      await promised(orm, async (client) => {
        await client.query('set local session_replication_role = replica');
        await client.query('set local role pg_monitor');
      });
      expect(await answerOf(tx, 'show session_replication_role')).toBe('origin');
      expect(await answerOf(tx, 'select session_user = current_user')).toBe(true);
    });
  });
});

describe('a library that sets what its caller has chosen', () => {
  const TEXT = 'select set_config(el->>0, el->>1, true) from json_array_elements($1::json) el';

  test.for(['data_directory', 'hba_file', 'primary_conninfo', 'no such setting'])(
    'goes on where a value is %j, also for a role that may not read that',
    async (value, { database }) => {
      const { pool, orm } = await prepared(database);
      await pool.transaction(
        async (tx) => {
          const name = await promised(orm, async (client) => {
            await client.query(TEXT, [JSON.stringify([['jwt.name', value]])]);
            return answerOf(client, "select current_setting('jwt.name')");
          });
          expect(name).toBe(value);
          expect(await answerOf(tx, "select coalesce(current_setting('jwt.name', true), '')")).toBe('');
        },
        { role: 'pg_signal_backend' },
      );
    },
  );
});

describe('savepoints of statements', () => {
  test('are not used up by a cursor that is read bit by bit', async ({ database }) => {
    const { pool, orm, notes, stored } = await prepared(database);
    await pool.transaction(async () => {
      const client = await orm.connect();
      const cursor = client.query(new Cursor('select i from generate_series(1, 80) i'));
      while ((await cursor.read(1)).length > 0);
      await cursor.close();
      client.release();
      await put(orm, 1);
      expect(await errorOf(put(orm, 1))).toMatchObject({ code: '23505' });
      await put(orm, 2);
    });
    expect(notes.codes).toEqual([]);
    expect(await stored()).toEqual([1, 2]);
  });

  test('are gone for reads as well, once there were too many', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const whole = pool.transaction(async () => {
      for (let id = 0; id < 65; id += 1) await put(orm, id);
      expect(await errorOf(orm.query('select 1/0'))).toMatchObject({ code: '22012' });
      expect(await errorOf(put(orm, 66))).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_FAILED' });
    });
    expect(await errorOf(whole)).toMatchObject({ code: 'ERR_LIFEGUARD_ROLLED_BACK' });
    expect(await stored()).toEqual([]);
  });
});
