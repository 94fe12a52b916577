import diagnostics from 'node:diagnostics_channel';
import { once } from 'node:events';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import type pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { Transaction } from '../../src/index.ts';
import { errorOf } from '../server/rig.ts';
import { Grace, Moment } from './inside-grace.ts';
import { prepared, put } from './inside-rig.ts';

const INTERLEAVED = { code: 'ERR_LIFEGUARD_ROLLED_BACK', cause: { code: 'ERR_LIFEGUARD_INTERLEAVED' } };

/** A client of a library that has begun its transaction and written. */
async function begun(orm: pg.Pool, id = 1): Promise<pg.PoolClient> {
  const client = await orm.connect();
  await client.query('BEGIN');
  await put(client, id);
  return client;
}

async function ended(client: pg.PoolClient, word: 'COMMIT' | 'ROLLBACK' = 'COMMIT'): Promise<string> {
  const { command } = await client.query(word);
  client.release();
  return command;
}

async function passing(grace: Grace, looks: number): Promise<void> {
  for (let look = 0; look < looks; look += 1) await grace.passes();
}

/** Calls `fn` some turns of the queue after a statement was seen to fail: its way back to the fence is not through yet. */
function atFailure(fn: () => void): void {
  const heard = async ({ error }: { readonly error?: unknown }): Promise<void> => {
    if (error === undefined) return;
    stop();
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    fn();
  };
  const listener = (message: unknown): void => void heard(message as { readonly error?: unknown });
  const stop = (): void => void diagnostics.unsubscribe('lifeguard:statement:ended', listener);
  diagnostics.subscribe('lifeguard:statement:ended', listener);
  onTestFinished(stop);
}

describe('a guest that fails', () => {
  test('does not turn the COMMIT of its host into a ROLLBACK', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await database.query('insert into item values (9)');
    await pool.transaction(async () => {
      const client = await begun(orm);
      const tag = new Promise<string>((resolve) => atFailure(() => resolve(ended(client))));
      expect(await grace.passesFor(errorOf(put(orm, 9)))).toMatchObject({ code: '23505' });
      expect(await tag).toBe('COMMIT');
    });
    expect(await stored()).toEqual([1, 9]);
  });

  test('fails alone also behind more writes than have savepoints', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async (tx) => {
      for (let id = 100; id < 170; id += 1) await put(orm, id);
      const client = await begun(orm);
      expect(await grace.passesFor(errorOf(put(orm, 100)))).toMatchObject({ code: '23505' });
      expect(await grace.passesFor(errorOf(put(tx, 100)))).toMatchObject({ code: '23505' });
      const batch = errorOf(tx.batch(['select 1', 'select 1/0']));
      expect(await grace.passesFor(batch)).toMatchObject({ code: 'ERR_LIFEGUARD_BATCH' });
      expect(await ended(client)).toBe('COMMIT');
    });
    expect(await stored()).toHaveLength(71);
  });
});

describe('a host that says COMMIT behind a statement of its own that failed', () => {
  test('is answered ROLLBACK, as by the server', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const client = await begun(orm);
      await errorOf(put(client, 1));
      expect(await ended(client)).toBe('ROLLBACK');
      await put(orm, 2);
    });
    expect(await stored()).toEqual([2]);
  });
});

describe('what we do for a user as a guest', () => {
  test.for(['insert into item values (2)', 'COMMIT', 'ROLLBACK', 'savepoint s'])(
    'is told so where a transaction says %j by the client of its host',
    async (text, { database }) => {
      const grace = Grace.held();
      const { pool, orm, stored } = await prepared(database);
      await pool.transaction(async () => {
        const client = await begun(orm);
        const nested = pool.transaction(() => client.query(text), { propagation: 'nested' });
        expect(await grace.passesFor(errorOf(nested))).toMatchObject({ code: 'ERR_LIFEGUARD_PROPAGATION' });
        await ended(client);
      });
      expect(await stored()).toEqual([1]);
    },
  );

  test('is told so where a COPY by the client of its host would wait for it', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const client = await begun(orm);
      const copy = (): Promise<unknown> => once(client.query(copyFrom('copy item from stdin')), 'close');
      const nested = pool.transaction(copy, { propagation: 'nested' });
      expect(await grace.passesFor(errorOf(nested))).toMatchObject({ code: 'ERR_LIFEGUARD_PROPAGATION' });
      await ended(client);
    });
    expect(await stored()).toEqual([1]);
  });

  test.for([
    ['a transaction', (tx) => tx.transaction((nested) => nested.query('select 1'))],
    ['a batch', (tx) => tx.batch(['select 1', 'select 2'])],
  ] as readonly (readonly [what: string, read: (tx: Transaction) => Promise<unknown>])[])(
    'as %s that only reads harms nobody when its host rolls back',
    async ([, read], { database }) => {
      const grace = Grace.held();
      const { pool, orm, stored } = await prepared(database);
      await pool.transaction(async (tx) => {
        const client = await begun(orm);
        await grace.passesFor(read(tx));
        await ended(client, 'ROLLBACK');
        await put(orm, 2);
      });
      expect(await stored()).toEqual([2]);
    },
  );

  test('as a transaction that writes makes the whole fail when its host rolls back', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    const whole = pool.transaction(async (tx) => {
      const client = await begun(orm);
      await grace.passesFor(tx.transaction((nested) => put(nested, 2)));
      await ended(client, 'ROLLBACK');
    });
    expect(await errorOf(whole)).toMatchObject(INTERLEAVED);
    expect(await stored()).toEqual([]);
  });
});

describe('a guest that waits inside its host', () => {
  test('goes back to its own line when the host rolls back', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async (tx) => {
      const client = await begun(orm);
      const [inside, goOn] = [new Moment(), new Moment()];
      const first = tx.transaction(async (nested) => {
        await nested.query('select 1');
        inside.come();
        await goOn.comes();
      });
      await grace.passesFor(inside.comes());
      const [second, third] = [put(orm, 2), tx.transaction((nested) => put(nested, 3))];
      await grace.passes();
      await grace.passes();
      const back = ended(client, 'ROLLBACK');
      goOn.come();
      await Promise.all([first, second, third, back]);
    });
    expect(await stored()).toEqual([2, 3]);
  });
});

describe('two transactions of libraries in parallel, which both are quiet for a while,', () => {
  test.for([
    ['a statement', {}],
    ['a statement with a limit', { query_timeout: 60_000 }],
  ] as const)('are both kept where the host goes on first, with %s', async ([, limit], { database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const host = await begun(orm, 1);
      const guest = await grace.passesFor(begun(orm, 2));
      const more = host.query({ text: 'insert into item values (3)', ...limit });
      await passing(grace, 9);
      await put(guest, 4);
      await passing(grace, 9);
      await ended(guest, 'ROLLBACK');
      await more;
      await ended(host);
    });
    expect(await stored()).toEqual([1, 3]);
  });

  test('are both kept where the host commits first', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const host = await begun(orm, 1);
      const guest = await grace.passesFor(begun(orm, 2));
      const commit = ended(host);
      await passing(grace, 49);
      await put(guest, 3);
      await passing(grace, 49);
      expect([await ended(guest), await commit]).toEqual(['COMMIT', 'COMMIT']);
    });
    expect(await stored()).toEqual([1, 2, 3]);
  });

  test('let go of a guest that never ends, and say so', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    const whole = pool.transaction(async () => {
      const host = await begun(orm, 1);
      const guest = await grace.passesFor(begun(orm, 2));
      expect(await grace.passesFor(ended(host))).toBe('COMMIT');
      expect(await errorOf(put(guest, 3))).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_ENDED' });
    });
    await whole;
    expect(await stored()).toEqual([1]);
  });
});

describe('a COPY behind a library that is quiet', () => {
  test('waits for its end, and neither ends the other', async ({ database }) => {
    const grace = Grace.held();
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const host = await begun(orm);
      const client = await orm.connect();
      const copy = client.query(copyFrom('copy item from stdin'));
      const done = new Promise<void>((resolve, reject) => void copy.on('finish', resolve).on('error', reject));
      copy.write('10\n');
      await passing(grace, 5);
      await ended(host);
      copy.end('11\n');
      await done;
      client.release();
    });
    expect(await stored()).toEqual([1, 10, 11]);
  });
});
