import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type pg from 'pg';
import { answerOf, errorOf } from '../server/rig.ts';
import { promised } from './inside-library.ts';
import { type Asker, prepared, put, undone } from './inside-rig.ts';

/** What came of a text of several statements, as pg answers it. */
async function commandsOf(asker: Asker, text: string): Promise<string[]> {
  const answer = (await asker.query(text)) as unknown as pg.QueryResult[];
  return answer.map(({ command }) => command);
}

const countOf = (asker: Asker): Promise<number> => answerOf(asker, 'select count(*)::int from item');

describe('a script', () => {
  test('of a whole transaction is a savepoint, with an answer for each statement', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const script = `BEGIN; SET LOCAL lock_timeout = '3s'; insert into item values (1); insert into item values (2); COMMIT;`;
    const work = (): Promise<string[]> => commandsOf(orm, script);
    await undone((fail) => pool.transaction(() => work().then(fail)));
    expect(await stored()).toEqual([]);
    expect(await pool.transaction(work)).toEqual(['BEGIN', 'SET', 'INSERT', 'INSERT', 'COMMIT']);
    expect(await stored()).toEqual([1, 2]);
  });

  test('answers with its rows, as the server would', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    const text = `begin; insert into item values (1) returning id; select 'a;b' as "x;y"; commit`;
    const outside = (await orm.query(text)) as unknown as pg.QueryResult[];
    await database.query('truncate item');
    const inside = (await pool.transaction(() => orm.query(text))) as unknown as pg.QueryResult[];
    const rowsOf = (results: pg.QueryResult[]): unknown[] => results.map(({ command, rows }) => [command, rows]);
    expect(rowsOf(inside)).toEqual(rowsOf(outside));
  });

  test('that fails in the middle undoes its transaction, and leaves the one around it whole', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      await put(orm, 1);
      const script = 'BEGIN; insert into item values (2); insert into item values (1); COMMIT';
      expect(await errorOf(orm.query(script))).toMatchObject({ code: '23505' });
      await put(orm, 3);
    });
    expect(await stored()).toEqual([1, 3]);
  });

  test('that fails on a client leaves its transaction failed until that is rolled back', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const client = await orm.connect();
      await put(client, 1);
      expect(await errorOf(client.query('BEGIN; insert into item values (1); COMMIT'))).toMatchObject({
        code: '23505',
      });
      expect(await client.query('ROLLBACK')).toMatchObject({ command: 'ROLLBACK' });
      await put(client, 2);
      client.release();
    });
    expect(await stored()).toEqual([1, 2]);
  });

  test('keeps what it committed before it failed', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const script =
        'BEGIN; insert into item values (1); COMMIT; BEGIN; insert into item values (2); select 1/0; COMMIT';
      expect(await errorOf(orm.query(script))).toMatchObject({ code: '22012' });
    });
    expect(await stored()).toEqual([1]);
  });

  test('that ends the transaction of its library in the middle goes on behind it', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const client = await orm.connect();
      await client.query('BEGIN');
      const script =
        'insert into item values (1); COMMIT; insert into item values (2); BEGIN; insert into item values (3)';
      expect(await commandsOf(client, script)).toEqual(['INSERT', 'COMMIT', 'INSERT', 'BEGIN', 'INSERT']);
      expect(await client.query('ROLLBACK')).toMatchObject({ command: 'ROLLBACK' });
      client.release();
    });
    expect(await stored()).toEqual([1, 2]);
  });

  test('without words for a transaction is all or nothing', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      await put(orm, 1);
      const failing = orm.query(
        'insert into item values (2); insert into item values (1); insert into item values (3)',
      );
      expect(await errorOf(failing)).toMatchObject({ code: '23505' });
      expect(await countOf(orm)).toBe(1);
      expect(await commandsOf(orm, 'insert into item values (4); select 1')).toEqual(['INSERT', 'SELECT']);
    });
    expect(await stored()).toEqual([1, 4]);
  });

  test('with a COMMIT at its end does not end the transaction around it', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await undone((fail) =>
      pool.transaction(async () => {
        expect(await commandsOf(orm, 'insert into item values (1); COMMIT; select 1')).toEqual([
          'INSERT',
          'COMMIT',
          'SELECT',
        ]);
        fail();
      }),
    );
    expect(await stored()).toEqual([]);
  });

  test('with values is refused as the server refuses it, and nothing of it runs', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const error = await errorOf(orm.query('BEGIN; insert into item values ($1); COMMIT', [1]));
      expect(error).toMatchObject({ code: expect.stringMatching(/42601|ERR_LIFEGUARD_ARGUMENT/) });
      await put(orm, 2);
    });
    expect(await stored()).toEqual([2]);
  });

  test('of nothing but comments and semicolons is answered', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    await pool.transaction(async () => {
      await orm.query('');
      await orm.query(';;');
      await orm.query('-- nothing');
      expect(await countOf(orm)).toBe(0);
    });
  });

  test('runs in order with what its client was asked before and after', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    const counts = await pool.transaction(() =>
      promised(orm, async (client) => {
        const asked = [
          client.query('select count(*)::int from item'),
          client.query('BEGIN; insert into item values (1)'),
        ];
        asked.push(client.query('select count(*)::int from item'));
        const [before, , after] = (await Promise.all(asked)) as pg.QueryResult<{ count: number }>[];
        return [before?.rows[0]?.count, after?.rows[0]?.count];
      }),
    );
    expect(counts).toEqual([0, 1]);
  });
});
