import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { answerOf, errorOf, outcomesOf } from '../server/rig.ts';
import { promised } from './inside-library.ts';
import { type House, prepared, put, undone } from './inside-rig.ts';

/** A client inside a transaction that is rolled back in the end, because nothing else matters. */
async function inside(house: House, work: (client: pg.PoolClient) => Promise<unknown>): Promise<void> {
  const { pool, orm } = house;
  await undone((fail) =>
    pool.transaction(async () => {
      const client = await orm.connect();
      await work(client);
      client.release();
      fail();
    }),
  );
}

const idsOf = async (client: pg.PoolClient): Promise<number[]> =>
  (await client.query<{ id: number }>('select id from item order by id')).rows.map(({ id }) => id);

const BEGINS = [
  ...['BEGIN', 'begin;', 'Begin Work', 'BEGIN TRANSACTION', 'START TRANSACTION', '  start transaction ; '],
  ...['/* a */ BEGIN -- b', 'BEGIN ISOLATION LEVEL READ COMMITTED', 'begin isolation level read uncommitted;'],
  ...['BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;', 'START TRANSACTION READ WRITE'],
];
const COMMITS = [
  ...['COMMIT', 'commit;', 'Commit Work', 'COMMIT TRANSACTION', 'END', 'end;', 'COMMIT AND NO CHAIN'],
  ...['/* a */ commit /* b */ ;', '-- a\nCOMMIT'],
];
const ROLLBACKS = ['ROLLBACK', 'rollback;', 'ROLLBACK WORK', 'ROLLBACK TRANSACTION', 'ABORT', 'rollback and no chain'];

describe('the words of a library for its transaction', () => {
  test.for(BEGINS)('%j opens a savepoint, and answers BEGIN', async (begin, { database }) => {
    const house = await prepared(database);
    await inside(house, async (client) => {
      await put(client, 1);
      expect(await client.query(begin)).toMatchObject({ command: 'BEGIN', rows: [] });
      await put(client, 2);
      await client.query('ROLLBACK');
      expect(await idsOf(client)).toEqual([1]);
    });
  });

  test.for(COMMITS)('%j keeps what was done, and answers COMMIT', async (commit, { database }) => {
    const house = await prepared(database);
    await inside(house, async (client) => {
      await client.query('BEGIN');
      await put(client, 1);
      expect(await client.query(commit)).toMatchObject({ command: 'COMMIT', rows: [] });
      await client.query('ROLLBACK');
      expect(await idsOf(client)).toEqual([1]);
      expect(await house.stored()).toEqual([]);
    });
  });

  test.for(ROLLBACKS)('%j undoes its part, and answers ROLLBACK', async (rollback, { database }) => {
    const house = await prepared(database);
    await inside(house, async (client) => {
      await put(client, 1);
      await client.query('BEGIN');
      await put(client, 2);
      expect(await client.query(rollback)).toMatchObject({ command: 'ROLLBACK', rows: [] });
      expect(await idsOf(client)).toEqual([1]);
    });
  });

  test('are answered in every way of asking', async ({ database }) => {
    const house = await prepared(database);
    await inside(house, async (client) => {
      const called = (text: string): Promise<string> =>
        new Promise((resolve, reject) => {
          void client.query(text, (error, result) => (error ? reject(error) : resolve(result.command)));
        });
      expect([await called('BEGIN'), await called('ROLLBACK')]).toEqual(['BEGIN', 'ROLLBACK']);
      expect(await client.query({ text: 'BEGIN', values: [] })).toMatchObject({ command: 'BEGIN' });
      expect(await client.query({ text: 'COMMIT', name: 'x', rowMode: 'array' })).toMatchObject({ command: 'COMMIT' });
    });
  });

  test('are no words where they stand in a string, a comment or a body', async ({ database }) => {
    const house = await prepared(database);
    await inside(house, async (client) => {
      await client.query('BEGIN');
      await client.query("select 'COMMIT', $$; ROLLBACK;$$ /* COMMIT */ -- ROLLBACK");
      await client.query('do $$ begin perform 1; end $$');
      await put(client, 1);
      await client.query('ROLLBACK');
      expect(await idsOf(client)).toEqual([]);
    });
  });
});

describe('a word that comes at the wrong time', () => {
  test('BEGIN in a transaction of the library changes nothing', async ({ database }) => {
    const house = await prepared(database);
    await inside(house, async (client) => {
      await client.query('BEGIN');
      await put(client, 1);
      expect(await client.query('BEGIN')).toMatchObject({ command: 'BEGIN' });
      await put(client, 2);
      await client.query('ROLLBACK');
      expect(await idsOf(client)).toEqual([]);
      await put(client, 3);
      expect(await client.query('COMMIT')).toMatchObject({ command: 'COMMIT' });
      expect(await idsOf(client)).toEqual([3]);
    });
  });

  test.for(['COMMIT', 'ROLLBACK'])('%s without a BEGIN leaves what is around it alone', async (word, { database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      await put(orm, 1);
      expect(await orm.query(word)).toMatchObject({ command: word });
      const client = await orm.connect();
      expect(await client.query(word)).toMatchObject({ command: word });
      client.release();
      expect(await stored()).toEqual([]);
    });
    expect(await stored()).toEqual([1]);
  });

  test('BEGIN through the pool is rolled back, because nobody could end it', async ({ database }) => {
    const { pool, orm, stored, notes } = await prepared(database);
    await pool.transaction(async () => {
      await orm.query('BEGIN');
      await put(orm, 1);
      await orm.query('ROLLBACK');
    });
    expect(await stored()).toEqual([1]);
    expect(notes.codes).toEqual(['LIFEGUARD_LEFT_OPEN']);
  });
});

describe('a transaction of a library that has failed', () => {
  test('takes no statement but its end, as on a server', async ({ database }) => {
    const house = await prepared(database);
    await inside(house, async (client) => {
      await client.query('BEGIN');
      await put(client, 1);
      expect(await errorOf(put(client, 1))).toMatchObject({ code: '23505' });
      expect(await errorOf(client.query('select 1'))).toMatchObject({ code: expect.stringMatching(/25P02|_FAILED/) });
      expect(await client.query('ROLLBACK')).toMatchObject({ command: 'ROLLBACK' });
      expect(await idsOf(client)).toEqual([]);
    });
  });

  test('answers its COMMIT with ROLLBACK, and leaves what is around it whole', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      await put(orm, 1);
      const client = await orm.connect();
      await client.query('BEGIN');
      await put(client, 2);
      await errorOf(put(client, 1));
      expect(await client.query('COMMIT')).toMatchObject({ command: 'ROLLBACK' });
      await put(client, 3);
      client.release();
    });
    expect(await stored()).toEqual([1, 3]);
  });

  test('goes on behind a savepoint of its own', async ({ database }) => {
    const house = await prepared(database);
    await inside(house, async (client) => {
      await client.query('BEGIN');
      await put(client, 1);
      await client.query('SAVEPOINT sp1');
      await errorOf(put(client, 1));
      await client.query('ROLLBACK TO SAVEPOINT sp1');
      await put(client, 2);
      await client.query('RELEASE SAVEPOINT sp1');
      await client.query('SAVEPOINT sp1');
      await put(client, 3);
      await client.query('ROLLBACK TO sp1');
      await client.query('COMMIT');
      expect(await idsOf(client)).toEqual([1, 2]);
    });
  });

  test('that could not begin is none', async ({ database }) => {
    const house = await prepared(database);
    await inside(house, async (client) => {
      const wish = client.query('BEGIN ISOLATION LEVEL SERIALIZABLE');
      expect(await errorOf(wish)).toMatchObject({ code: 'ERR_LIFEGUARD_PROPAGATION' });
      expect(await client.query('ROLLBACK')).toMatchObject({ command: 'ROLLBACK' });
      await put(client, 1);
      expect(await idsOf(client)).toEqual([1]);
    });
  });
});

describe('what a library sends behind a BEGIN that was refused', () => {
  test('without awaiting it is refused as well, until its end', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const client = await orm.connect();
      const texts = ['BEGIN ISOLATION LEVEL SERIALIZABLE', 'insert into item values (1)', 'COMMIT'];
      const [begin, insert] = await outcomesOf(texts.map((text) => client.query(text)));
      expect(begin).toBe('ERR_LIFEGUARD_PROPAGATION');
      expect(insert).not.toBe('ok');
      await put(client, 2);
      client.release();
    });
    expect(await stored()).toEqual([2]);
  });
});

describe('a pg.Query that controls a transaction', () => {
  const submit = (client: pg.PoolClient, text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const answered = (error: Error | null, result: pg.QueryResult): void =>
        error ? reject(error) : resolve(result.command);
      client.query(new pg.Query({ text }, answered as never) as never);
    });

  test('is a savepoint like any other', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await undone((fail) =>
      pool.transaction(async () => {
        const client = await orm.connect();
        expect(await submit(client, 'BEGIN')).toBe('BEGIN');
        await submit(client, 'insert into item values (1)');
        expect(await submit(client, 'COMMIT')).toBe('COMMIT');
        expect(await submit(client, 'COMMIT')).toBe('COMMIT');
        expect(await answerOf(client as never, 'select count(*)::int from item')).toBe(1);
        client.release();
        fail();
      }),
    );
    expect(await stored()).toEqual([]);
  });

  test('is refused by its own callback where it reaches beyond', async ({ database }) => {
    const house = await prepared(database);
    await inside(house, async (client) => {
      expect(await errorOf(submit(client, 'LISTEN x'))).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_CONTROL' });
    });
  });
});

describe('a library that nests by savepoints', () => {
  test('undoes the inner part alone, with the names of any other', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async (tx) => {
      await tx.query('savepoint sp1');
      await promised(orm, async (client) => {
        await put(client, 1);
        await client.query('savepoint sp1');
        await put(client, 2);
        await client.query('rollback to savepoint sp1');
      });
      await put(orm, 3);
    });
    expect(await stored()).toEqual([1, 3]);
  });

  test('without a BEGIN is refused, as on a pool, and the transaction goes on', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const client = await orm.connect();
      const said = ['savepoint own', 'rollback to own', 'release own'].map((text) => client.query(text));
      expect(await outcomesOf(said)).toEqual(said.map(() => 'ERR_LIFEGUARD_TRANSACTION_CONTROL'));
      await put(client, 2);
      client.release();
    });
    expect(await stored()).toEqual([2]);
  });
});
