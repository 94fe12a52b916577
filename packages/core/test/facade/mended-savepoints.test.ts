import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type pg from 'pg';
import { errorOf, outcomesOf } from '../server/rig.ts';
import { Grace } from './inside-grace.ts';
import { promised } from './inside-library.ts';
import { prepared, put } from './inside-rig.ts';

const INTERLEAVED = { code: 'ERR_LIFEGUARD_ROLLED_BACK', cause: { code: 'ERR_LIFEGUARD_INTERLEAVED' } };

/** A client of a library that has begun its transaction and written. */
async function begun(orm: pg.Pool): Promise<pg.PoolClient> {
  const client = await orm.connect();
  await client.query('BEGIN');
  await put(client, 1);
  return client;
}

/** What a guest does that was told that all is well. */
const GUESTS: readonly (readonly [what: string, work: (orm: pg.Pool) => Promise<unknown>])[] = [
  ['a statement', (orm) => put(orm, 10)],
  ['a transaction of a library', (orm) => promised(orm, (client) => put(client, 10))],
];

describe.for(GUESTS)('%s that is let in while a library has a savepoint of its own', ([, work]) => {
  test('is not undone in silence by a return to that savepoint', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    const whole = pool.transaction(async () => {
      const client = await begun(orm);
      await client.query('savepoint own');
      await grace.passesFor(work(orm));
      await client.query('rollback to own');
      await client.query('COMMIT');
      client.release();
    });
    expect(await errorOf(whole)).toMatchObject(INTERLEAVED);
    expect(await stored()).toEqual([]);
  });

  test('stays where it was let in before that savepoint was set', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const client = await begun(orm);
      await grace.passesFor(work(orm));
      await client.query('savepoint own');
      await put(client, 2);
      await client.query('rollback to own');
      await client.query('COMMIT');
      client.release();
    });
    expect(await stored()).toEqual([1, 10]);
  });

  test('stays where that savepoint is let go', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const client = await begun(orm);
      await client.query('savepoint own');
      await grace.passesFor(work(orm));
      await client.query('release own');
      await client.query('COMMIT');
      client.release();
    });
    expect(await stored()).toEqual([1, 10]);
  });
});

describe('a savepoint word of a library that has begun nothing', () => {
  test.for(['savepoint s', 'ROLLBACK TO s', 'release savepoint s', '/* a */ rollback work to savepoint s'])(
    '%j is refused, so nobody goes back beyond what others were told',
    async (word, { database }) => {
      const { pool, orm, stored } = await prepared(database);
      await pool.transaction(async () => {
        const client = await orm.connect();
        await promised(orm, (other) => put(other, 1));
        expect(await outcomesOf([client.query(word), orm.query(word), client.query(`${word}; select 1`)])).toEqual([
          'ERR_LIFEGUARD_TRANSACTION_CONTROL',
          'ERR_LIFEGUARD_TRANSACTION_CONTROL',
          'ERR_LIFEGUARD_TRANSACTION_CONTROL',
        ]);
        client.release();
      });
      expect(await stored()).toEqual([1]);
    },
  );
});

describe('a savepoint word behind a library that is quiet', () => {
  test.for(['savepoint other', 'rollback to s', 'release s'])(
    '%j is not let in, and is refused after a while',
    async (word, { database }) => {
      const grace = Grace.held();
      const { pool, orm, stored } = await prepared(database);
      await pool.transaction(async (tx) => {
        await tx.query('savepoint s');
        const client = await begun(orm);
        const refused = await grace.passesFor(errorOf(tx.query(word)));
        expect(refused).toMatchObject({ code: 'ERR_LIFEGUARD_INTERLEAVED', consequence: 'nothing-sent' });
        await client.query('COMMIT');
        client.release();
      });
      expect(await stored()).toEqual([1]);
    },
  );

  test('waits for its end where it came while the library worked', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async (tx) => {
      const client = await orm.connect();
      await client.query('BEGIN');
      const work = put(client, 1);
      const savepoint = tx.query('savepoint s');
      await work;
      for (let looks = 0; looks < 12; looks += 1) await grace.passes();
      await client.query('COMMIT');
      client.release();
      await savepoint;
      await put(tx, 2);
      await tx.query('rollback to s');
    });
    expect(await stored()).toEqual([1]);
  });
});

describe('a script that ends with a ROLLBACK', () => {
  test.for([
    'insert into item values (5); rollback',
    'insert into item values (5); begin; insert into item values (6); rollback',
    'begin; commit; insert into item values (5); abort',
  ])('%j without a BEGIN is refused before any of it runs', async (text, { database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      expect(await outcomesOf([orm.query(text)])).toEqual(['ERR_LIFEGUARD_TRANSACTION_CONTROL']);
      await put(orm, 1);
    });
    expect(await stored()).toEqual([1]);
  });

  test('undoes what stands behind a BEGIN of the client', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const client = await begun(orm);
      await client.query('insert into item values (5); rollback');
      await put(client, 2);
      client.release();
    });
    expect(await stored()).toEqual([2]);
  });
});
