import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { answerOf, errorOf, outcomesOf } from '../server/rig.ts';
import { Grace } from './inside-grace.ts';
import { promised, STYLES } from './inside-library.ts';
import { prepared, put, undone } from './inside-rig.ts';

describe.for(STYLES)('parallel transactions of a library %s', ([, transact]) => {
  test('take turns, and each keeps or loses its own part', async ({ database }) => {
    Grace.held();
    const { pool, orm, stored } = await prepared(database);
    const outcomes = await pool.transaction(() =>
      outcomesOf(
        Array.from({ length: 30 }, (_, id) =>
          transact(orm, async (client) => {
            await put(client, id);
            await client.query('select 1');
            if (id % 3 === 0) await client.query('select 1/0');
            await client.query('select 2');
          }),
        ),
      ),
    );
    expect(outcomes).toEqual(outcomes.map((_, id) => (id % 3 === 0 ? '22012' : 'ok')));
    expect(await stored()).toEqual(outcomes.flatMap((outcome, id) => (outcome === 'ok' ? [id] : [])));
  });

  test('go all together when the transaction around them rolls back', async ({ database }) => {
    Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await undone((fail) =>
      pool.transaction(async () => {
        await Promise.all([1, 2, 3].map((id) => transact(orm, (client) => put(client, id))));
        expect(await answerOf(orm, 'select count(*)::int from item')).toBe(3);
        fail();
      }),
    );
    expect(await stored()).toEqual([]);
  });

  test('do not mix with statements of the pool and of the handle', async ({ database }) => {
    Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async (tx) => {
      const failing = undone((fail) =>
        transact(orm, async (client) => {
          await put(client, 1);
          await client.query('select 1');
          fail();
        }),
      );
      await Promise.all([failing, put(orm, 2), put(tx, 3), tx.transaction((nested) => put(nested, 4))]);
    });
    expect(await stored()).toEqual([2, 3, 4]);
  });
});

describe('parallel transactions of libraries', () => {
  test('enter one after the other, each until its end', async ({ database }) => {
    Grace.held();
    const { pool, orm } = await prepared(database);
    const log: string[] = [];
    await pool.transaction(() =>
      Promise.all(
        [0, 1, 2].map((id) =>
          promised(orm, async (client) => {
            log.push(`${id}: enter`);
            await put(client, id);
            await client.query('select 1');
            log.push(`${id}: exit`);
          }),
        ),
      ),
    );
    expect(log).toEqual([0, 1, 2].flatMap((id) => [`${id}: enter`, `${id}: exit`]));
  });

  test('of two libraries take turns with each other', async ({ database }) => {
    Grace.held();
    const { pool, orm, stored } = await prepared(database);
    const other = pool.asPgPool({ pg, isolateStatements: false });
    await pool.transaction(() =>
      Promise.all([
        undone((fail) => promised(orm, (client) => put(client, 1).then(fail))),
        promised(other, (client) => put(client, 2)),
        undone((fail) => promised(other, (client) => put(client, 3).then(fail))),
        promised(orm, (client) => put(client, 4)),
      ]),
    );
    expect(await stored()).toEqual([2, 4]);
  });

  test('take turns inside a nested transaction as well', async ({ database }) => {
    Grace.held();
    const { pool, orm, stored } = await prepared(database);
    const pair = (id: number): Promise<unknown> =>
      Promise.all([
        promised(orm, (client) => put(client, id)),
        undone((fail) => promised(orm, (client) => put(client, id + 1).then(fail))),
      ]);
    await pool.transaction(async (tx) => {
      await Promise.all([tx.transaction(() => pair(1)), tx.transaction(() => pair(3))]);
      await undone((fail) => tx.transaction(() => pair(5).then(fail)));
    });
    expect(await stored()).toEqual([1, 3]);
  });

  test('wait for each other in the context of whoever asked', async ({ database }) => {
    Grace.held();
    const { pool, orm } = await prepared(database);
    const levels = await pool.transaction((tx) =>
      Promise.all([
        promised(orm, async (client) => put(client, 1).then(() => pool.current() === tx)),
        promised(orm, async (client) => put(client, 2).then(() => pool.current() === tx)),
      ]),
    );
    expect(levels).toEqual([true, true]);
  });

  test('that cannot begin let the next one in', async ({ database }) => {
    Grace.held();
    const { pool, orm, stored } = await prepared(database);
    const outcomes = await pool.transaction(() =>
      outcomesOf([
        promised(orm, (client) => put(client, 1)),
        promised(orm, (client) => put(client, 2), 'BEGIN ISOLATION LEVEL SERIALIZABLE'),
        promised(orm, (client) => put(client, 3), 'BEGIN TRANSACTION NONSENSE'),
        promised(orm, (client) => put(client, 4)),
      ]),
    );
    expect(outcomes).toEqual(['ok', 'ERR_LIFEGUARD_PROPAGATION', '42601', 'ok']);
    expect(await stored()).toEqual([1, 4]);
  });

  test('are refused once the transaction around them has ended', async ({ database }) => {
    Grace.held();
    const { pool, orm, stored } = await prepared(database);
    const late: Promise<Error>[] = [];
    await undone((fail) =>
      pool.transaction(async () => {
        const parts = [1, 2, 3].map((id) => promised(orm, (client) => put(client, id).then(() => put(client, -id))));
        late.push(...parts.map(errorOf));
        await put(orm, 4);
        fail();
      }),
    );
    const codes = (await Promise.all(late)).map((error) => (error as { code?: string }).code);
    expect(codes).toEqual(Array(3).fill('ERR_LIFEGUARD_TRANSACTION_ENDED'));
    expect(await stored()).toEqual([]);
  });
});
