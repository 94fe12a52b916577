import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type pg from 'pg';
import Cursor from 'pg-cursor';
import { errorOf } from '../server/rig.ts';
import { Grace } from './inside-grace.ts';
import { prepared, put } from './inside-rig.ts';

const REFUSED = { code: 'ERR_LIFEGUARD_INTERLEAVED', consequence: 'nothing-sent' };

/** A client of a library whose transaction has said this. */
async function begun(orm: pg.Pool, ...texts: readonly string[]): Promise<pg.PoolClient> {
  const client = await orm.connect();
  for (const text of texts) await client.query(text);
  return client;
}

async function ended(client: pg.PoolClient, word: 'COMMIT' | 'ROLLBACK' = 'COMMIT'): Promise<string> {
  const { command } = await client.query(word);
  client.release();
  return command;
}

/** The library stays quiet for a while, and nobody could be let in. */
async function passing(grace: Grace, looks = 5): Promise<void> {
  for (let look = 0; look < looks; look += 1) await grace.passes();
}

/** What a library has said of its own transaction, so that others must not work in it. */
const CHANGES: readonly (readonly [how: string, texts: readonly string[]])[] = [
  ['set_config()', ['BEGIN', "select set_config('app.tenant', 'evil', true)"]],
  ['SET LOCAL', ['BEGIN', "set local app.tenant = 'evil'"]],
  ['a script', ["BEGIN; set local app.tenant = 'evil'; select 1"]],
  ['a role', ['BEGIN', 'set local role pg_monitor']],
  ['a search path', ['BEGIN', 'set local search_path = pg_temp']],
];

describe.for(CHANGES)('a library whose transaction is changed by %s', ([, texts]) => {
  test('has no guests, who wait for its end and keep what is theirs', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(
      async () => {
        const log: string[] = [];
        const client = await begun(orm, ...texts);
        const text = "insert into item select length(current_setting('app.tenant')) where current_user <> 'pg_monitor'";
        const sibling = orm.query(text).then(() => log.push('sibling'));
        await passing(grace);
        log.push('end');
        await ended(client);
        await sibling;
        expect(log).toEqual(['end', 'sibling']);
      },
      { settings: { 'app.tenant': 'goodness' } },
    );
    expect(await stored()).toEqual([8]);
  });

  test('refuses who came while it is quiet, and may be waited for', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async (tx) => {
      const client = await begun(orm, ...texts);
      expect(await grace.passesFor(errorOf(put(orm, 2)))).toMatchObject(REFUSED);
      expect(await grace.passesFor(errorOf(put(tx, 2)))).toMatchObject(REFUSED);
      expect(await grace.passesFor(errorOf(tx.transaction((nested) => put(nested, 2))))).toMatchObject(REFUSED);
      await ended(client);
      await put(orm, 3);
    });
    expect(await stored()).toEqual([3]);
  });
});

test('who comes when a library is quiet for long already has a second of his own', async ({ database }) => {
  const grace = Grace.held();
  const { pool, orm, stored } = await prepared(database);
  await pool.transaction(async () => {
    const client = await begun(orm, 'BEGIN', "set local app.tenant = 'evil'");
    expect(await grace.passesFor(errorOf(put(orm, 1)))).toMatchObject(REFUSED);
    const late = put(orm, 2);
    await passing(grace, 9);
    await ended(client);
    await late;
  });
  expect(await stored()).toEqual([2]);
});

describe('a library whose transaction is read-only', () => {
  test.for([
    ['by its BEGIN', ['BEGIN READ ONLY']],
    ['by SET TRANSACTION', ['BEGIN', 'SET TRANSACTION READ ONLY']],
  ] as const)('%s lets in who reads, and who writes waits', async ([, texts], { database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const log: string[] = [];
      const client = await begun(orm, ...texts);
      const sibling = put(orm, 1).then(() => log.push('writer'));
      const reader = orm.query('select count(*) from item').then(() => log.push('reader'));
      await grace.passesFor(reader);
      log.push(await ended(client));
      await sibling;
      expect(log).toEqual(['reader', 'COMMIT', 'writer']);
    });
    expect(await stored()).toEqual([1]);
  });

  test('takes what comes in one breath for what it has become', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async (tx) => {
      const client = await begun(orm, 'BEGIN READ ONLY');
      const both = Promise.all([tx.query('select 1'), put(tx, 2)]);
      await passing(grace);
      await ended(client);
      await both;
    });
    expect(await stored()).toEqual([2]);
  });
});

describe('a library whose transaction has failed', () => {
  test('has no guests until it has rolled back', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const client = await begun(orm, 'BEGIN');
      await errorOf(client.query('select 1/0'));
      const sibling = put(orm, 1);
      await passing(grace);
      await ended(client, 'ROLLBACK');
      await sibling;
    });
    expect(await stored()).toEqual([1]);
  });

  test('may have them again behind a return to a savepoint of its own', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const client = await begun(orm, 'BEGIN', 'savepoint own');
      await errorOf(client.query('select 1/0'));
      await client.query('rollback to own');
      await grace.passesFor(put(orm, 1));
      expect(await ended(client)).toBe('COMMIT');
    });
    expect(await stored()).toEqual([1]);
  });
});

describe('a cursor behind a library that is quiet', () => {
  const TEXT = 'select i from generate_series(1, 100) i';

  test('of a handle is refused, so that it is not closed under its reader', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async (tx) => {
      const client = await begun(orm, 'BEGIN', 'insert into item values (1)');
      expect(await grace.passesFor(errorOf(tx.query(new Cursor(TEXT))))).toMatchObject(REFUSED);
      await ended(client);
    });
    expect(await stored()).toEqual([1]);
  });

  test('of a handle that waits for its end is read to its own', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm } = await prepared(database);
    await pool.transaction(async (tx) => {
      const client = await begun(orm, 'BEGIN', 'insert into item values (1)');
      const opening = tx.query(new Cursor(TEXT));
      await passing(grace);
      await ended(client);
      const cursor = await opening;
      expect([(await cursor.read(10)).length, (await cursor.read(1000)).length]).toEqual([10, 90]);
    });
  });

  test('of another library is read beyond the COMMIT of the one it was let into', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm } = await prepared(database);
    await pool.transaction(async () => {
      const client = await begun(orm, 'BEGIN', 'insert into item values (1)');
      const reader = await orm.connect();
      const cursor = reader.query(new Cursor(TEXT));
      expect(await grace.passesFor(cursor.read(10))).toHaveLength(10);
      await ended(client);
      expect(await cursor.read(1000)).toHaveLength(90);
      reader.release();
    });
  });
});
