import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { answerOf, errorOf } from '../server/rig.ts';
import { Grace, Moment } from './inside-grace.ts';
import { STYLES, type Style } from './inside-library.ts';
import { type House, Mine, prepared, put, undone, wholly } from './inside-rig.ts';

/** A library whose transactions are marked as one whole each. */
function marked({ pool }: House, transact: Style): Style {
  return (orm, body, begin) => wholly(pool, () => transact(orm, body, begin));
}

const countOf = (asker: { query(text: string): Promise<unknown> }): Promise<number> =>
  answerOf(asker, 'select count(*)::int from item');

/** One that runs its function before BEGIN was answered cannot be told from its siblings. */
const AWAITING = STYLES.filter(([name]) => !name.includes('last word'));

describe.for(AWAITING)('a marked transaction of a library %s', ([, style]) => {
  test('has what is asked for inside as its own, without any grace', async ({ database }) => {
    const grace = Grace.held();
    const house = await prepared(database);
    const { pool, orm, stored } = house;
    const transact = marked(house, style);
    await pool.transaction(() =>
      transact(orm, async (client) => {
        await put(client, 1);
        await put(orm, 2);
        await transact(orm, async (inner) => {
          await put(inner, 3);
          await put(orm, 4);
          expect(await countOf(orm)).toBe(4);
        });
        await put(client, 5);
      }),
    );
    expect(grace.isRunning).toBe(false);
    expect(await stored()).toEqual([1, 2, 3, 4, 5]);
  });

  test('takes all that with it when it rolls back, and nothing else', async ({ database }) => {
    Grace.held();
    const house = await prepared(database);
    const { pool, orm, stored } = house;
    const transact = marked(house, style);
    await pool.transaction(async () => {
      await put(orm, 1);
      await undone((fail) =>
        transact(orm, async (client) => {
          await put(client, 2);
          await put(orm, 3);
          await transact(orm, (inner) => put(inner, 4));
          fail();
        }),
      );
      await put(orm, 5);
    });
    expect(await stored()).toEqual([1, 5]);
  });

  test('keeps its own part when one inside it rolls back', async ({ database }) => {
    Grace.held();
    const house = await prepared(database);
    const { pool, orm, stored } = house;
    const transact = marked(house, style);
    await pool.transaction(() =>
      transact(orm, async (client) => {
        await put(client, 1);
        await undone((fail) => transact(orm, (inner) => put(inner, 2).then(fail)));
        expect(await errorOf(put(orm, 1))).toMatchObject({ code: '23505' });
        await put(client, 3);
      }),
    );
    expect(await stored()).toEqual([1, 3]);
  });

  test('takes turns with its siblings, also inside a marked one', async ({ database }) => {
    Grace.held();
    const house = await prepared(database);
    const { pool, orm, stored } = house;
    const transact = marked(house, style);
    const part = (id: number): Promise<unknown> =>
      transact(orm, async (client) => {
        await put(client, id);
        await put(orm, id + 100);
        await client.query(id % 2 === 0 ? 'select 1' : 'select 1/0');
      }).catch(() => undefined);
    await pool.transaction(() => Promise.all([part(1), part(2), transact(orm, () => Promise.all([part(3), part(4)]))]));
    expect(await stored()).toEqual([2, 4, 102, 104]);
  });
});

describe('a mark', () => {
  const style = STYLES[0]?.[1] as Style;

  test('counts for all façades of its pool', async ({ database }) => {
    Grace.held();
    const house = await prepared(database);
    const { pool, orm, stored } = house;
    const other = pool.asPgPool({ pg });
    const transact = marked(house, style);
    await pool.transaction(() =>
      undone((fail) =>
        transact(orm, async () => {
          await put(other, 1);
          await transact(other, (client) => put(client, 2));
          fail();
        }),
      ),
    );
    expect(await stored()).toEqual([]);
  });

  test('around nothing that begins a transaction changes nothing', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    expect(await wholly(pool, () => 7)).toBe(7);
    await wholly(pool, () => put(orm, 1));
    await pool.transaction(() => wholly(pool, () => put(orm, 2)));
    await pool.scope({ settings: { 'app.tenant': 'ada' } }, () => wholly(pool, () => put(orm, 3)));
    expect(await stored()).toEqual([1, 2, 3]);
  });

  test('around several transactions, one after the other, belongs to each in its time', async ({ database }) => {
    Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(() =>
      wholly(pool, async () => {
        await undone((fail) => style(orm, () => put(orm, 1).then(fail)));
        await put(orm, 2);
        await style(orm, () => put(orm, 3));
        await undone((fail) => style(orm, () => put(orm, 4).then(fail)));
      }),
    );
    expect(await stored()).toEqual([2, 3]);
  });

  test('does not reach out of a transaction of ours that is inside it', async ({ database }) => {
    Grace.held();
    const house = await prepared(database);
    const { pool, orm, stored } = house;
    const transact = marked(house, style);
    const apart = (): Promise<unknown> => pool.transaction(() => put(orm, 2), { propagation: 'requires-new' });
    await pool.transaction(() =>
      undone((fail) =>
        transact(orm, async (client) => {
          await put(client, 1);
          await apart();
          await pool.outside(() => put(orm, 3));
          fail();
        }),
      ),
    );
    expect(await stored()).toEqual([2, 3]);
  });

  test('that is over says nothing about what comes late', async ({ database }) => {
    Grace.held();
    const { pool, orm, stored } = await prepared(database);
    const go = Promise.withResolvers<void>();
    await pool.transaction(async () => {
      let late: Promise<unknown> = Promise.resolve();
      await wholly(pool, () =>
        style(orm, async (client) => {
          late = go.promise.then(() => put(orm, 2));
          await put(client, 1);
        }),
      );
      go.resolve();
      await late;
    });
    expect(await stored()).toEqual([1, 2]);
  });

  test('whose transaction was put out by the one that it was a guest of lets nothing escape', async ({ database }) => {
    const grace = Grace.held();
    const house = await prepared(database);
    const { pool, orm, stored } = house;
    const [quiet, end] = [new Moment(), new Moment()];
    const whole = pool.transaction(async () => {
      const host = await orm.connect();
      await host.query('BEGIN');
      const guest = marked(house, style)(orm, async (client) => {
        await put(client, 1);
        quiet.come();
        await end.comes();
        await put(orm, 2);
      });
      await quiet.comes();
      await host.query('COMMIT');
      host.release();
      end.come();
      expect(await errorOf(guest)).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_ENDED' });
    });
    await grace.passesFor(whole);
    expect(await stored()).toEqual([]);
  });

  test('that rolls back over its own parts, one of which was a guest of another, deceives nobody', async ({
    database,
  }) => {
    const grace = Grace.held();
    const house = await prepared(database);
    const { pool, orm, stored } = house;
    const transact = marked(house, style);
    const [quiet, end] = [new Moment(), new Moment()];
    await pool.transaction(async () => {
      const whole = undone((fail) =>
        transact(orm, async () => {
          const host = transact(orm, (inner) =>
            put(inner, 1)
              .then(quiet.come)
              .then(() => end.comes()),
          );
          await quiet.comes();
          await put(orm, 2);
          end.come();
          await host;
          fail();
        }),
      );
      await grace.passesFor(whole);
      await put(orm, 3);
    });
    expect(await stored()).toEqual([3]);
  });

  test('that rolls back over a guest of one inside it makes the whole fail', async ({ database }) => {
    const grace = Grace.held();
    const house = await prepared(database);
    const { pool, orm, stored } = house;
    const transact = marked(house, style);
    const whole = pool.transaction((tx) =>
      transact(orm, async (client) => {
        await put(client, 1);
        await transact(orm, (inner) => put(inner, 2).then(() => put(tx, 3)));
        throw new Mine();
      }).catch(() => undefined),
    );
    const interleaved = { code: 'ERR_LIFEGUARD_ROLLED_BACK', cause: { code: 'ERR_LIFEGUARD_INTERLEAVED' } };
    expect(await errorOf(grace.passesFor(whole))).toMatchObject(interleaved);
    expect(await stored()).toEqual([]);
  });

  test('lets libraries in a transaction of its function that needs the whole wait', async ({ database }) => {
    const grace = Grace.held();
    const house = await prepared(database);
    const { pool, orm, stored } = house;
    const transact = marked(house, style);
    await pool.transaction(async (tx) => {
      const work = transact(orm, async (client) => {
        await put(client, 1);
        await tx.transaction(() => put(orm, 2));
      });
      await grace.passesFor(work);
    });
    expect(await stored()).toEqual([1, 2]);
  });
});
