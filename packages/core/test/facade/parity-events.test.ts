import { waitUntil } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type pg from 'pg';
import { pidOf } from '../server/rig.ts';
import { alike, happened, onBoth, openFacade, withClient } from './peers.ts';
import { told } from './told.ts';

const EVENTS = ['connect', 'acquire', 'release', 'remove', 'error'] as const;

/** What a pool tells, in the order in which it tells it. */
function tellings(pgPool: pg.Pool): string[] {
  const heard: string[] = [];
  for (const event of EVENTS) pgPool.on(event as 'error', () => heard.push(event));
  return heard;
}

describe('what a pool tells', () => {
  test('of a client that is lent and comes back', async ({ database }) => {
    const seen = await alike(database, async (pgPool) => {
      const heard = tellings(pgPool);
      await withClient(pgPool, () => Promise.resolve(heard.push('work')));
      await withClient(pgPool, () => Promise.resolve(heard.push('more work')));
      return heard;
    });
    expect(seen).toEqual(['connect', 'acquire', 'work', 'release', 'acquire', 'more work', 'release']);
  });

  test('of a statement that needs no client to itself: in pg that it has one, and nothing here', async ({
    database,
  }) => {
    const { theirs, ours } = await onBoth(database, async (pgPool) => {
      const heard = tellings(pgPool);
      await pgPool.query('select 1');
      await pgPool.query('select 2');
      return heard;
    });
    expect(theirs).toEqual(['connect', 'acquire', 'release', 'acquire', 'release']);
    expect(ours).toEqual(['connect']);
  });

  test('of a client that comes back with an error, and of its end', async ({ database }) => {
    const seen = await alike(database, async (pgPool) => {
      const heard = tellings(pgPool);
      const client = await pgPool.connect();
      const removed = happened(pgPool, 'remove');
      client.release(new Error('unfit'));
      await removed;
      return heard;
    });
    expect(seen).toEqual(['connect', 'acquire', 'release', 'remove']);
  });

  test('and to whom: the client that is lent is the one that comes back, with its error', async ({ database }) => {
    const seen = await alike(database, async (pgPool) => {
      const heard: unknown[] = [];
      pgPool.on('acquire', (client) => heard.push(client));
      pgPool.on('release', (error, client) => heard.push(error, client));
      const client = await pgPool.connect();
      const unfit = new Error('unfit');
      client.release(unfit);
      return [heard[0] === client, heard[1] === unfit, heard[2] === client];
    });
    expect(seen).toEqual([true, true, true]);
  });

  test('once of a client that is given back more than once', async ({ database }) => {
    const { pgPool } = openFacade(database.connection, { max: 1 });
    const heard = tellings(pgPool);
    const client = await pgPool.connect();
    client.release();
    client.release();
    await client.end();
    expect(heard).toEqual(['connect', 'acquire', 'release']);
  });

  test('of an idle connection that the server ends: the error, and that it is removed', async ({ database }) => {
    const seen = await alike(database, async (pgPool) => {
      const pid = await withClient(pgPool, pidOf);
      const told: unknown[] = [];
      pgPool.on('error', (error, client) => told.push('error', (error as { code?: string }).code, typeof client.query));
      const removed = happened(pgPool, 'remove');
      await database.query('select pg_terminate_backend($1)', [pid]);
      await removed;
      await waitUntil(() => pgPool.totalCount === 0, { what: 'its place' });
      return [told, (await pgPool.query('select 7 as n')).rows];
    });
    expect(seen).toEqual([['error', '57P01', 'function'], [{ n: 7 }]]);
  });

  test('listeners come and go as with any emitter', async ({ database }) => {
    const seen = await alike(database, async (pgPool) => {
      const heard: string[] = [];
      const listener = (): number => heard.push('acquire');
      pgPool.on('acquire', listener);
      await withClient(pgPool, pidOf);
      pgPool.removeListener('acquire', listener);
      pgPool.once('acquire', () => heard.push('once'));
      await withClient(pgPool, pidOf);
      await withClient(pgPool, pidOf);
      return [heard, pgPool.listeners('acquire').length];
    });
    expect(seen).toEqual([['acquire', 'once'], 0]);
  });

  test('nobody needs to listen to an error of the façade', async ({ database }) => {
    const { pool, pgPool } = openFacade(database.connection, { max: 1 });
    pgPool.removeAllListeners('error');
    const pid = await pidOf(pgPool);
    await database.query('select pg_terminate_backend($1)', [pid]);
    await waitUntil(() => pool.snapshot().closed.lost === 1, { what: 'the loss' });
    expect(await pidOf(pgPool)).not.toBe(pid);
  });
});

describe('what a client tells', () => {
  test('notices of the server', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        const heard: unknown[] = [];
        client.on('notice', ({ message, code }) => heard.push([message, code]));
        await client.query(
          "do $$ begin raise notice 'hear'; raise warning using message = 'me', errcode = '01234'; end $$",
        );
        return heard;
      }),
    );
    expect(seen).toEqual([
      ['hear', '00000'],
      ['me', '01234'],
    ]);
  });

  test('notifications on what it listens to, of its own and of others', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        const heard: unknown[] = [];
        client.on('notification', ({ channel, payload }) => heard.push([channel, payload]));
        await client.query('listen tidings');
        await client.query("notify tidings, 'own'");
        await pgPool.query("select pg_notify('tidings', 'of another')");
        await waitUntil(() => heard.length === 2, { what: 'both' });
        await client.query('unlisten tidings');
        return heard;
      }),
    );
    expect(seen).toEqual([
      ['tidings', 'own'],
      ['tidings', 'of another'],
    ]);
  });

  test('a listener that was there before the first statement, and one that came later', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        const heard: string[] = [];
        client.once('notice', () => heard.push('first'));
        await client.query("do $$ begin raise notice 'a'; end $$");
        const asked = client.query("do $$ begin raise notice 'b'; end $$");
        client.addListener('notice', () => heard.push('second'));
        await asked;
        client.removeAllListeners('notice');
        await client.query("do $$ begin raise notice 'c'; end $$");
        return heard;
      }),
    );
    expect(seen).toEqual(['first', 'second']);
  });

  test('nothing any more when it was given back', async ({ database }) => {
    const { pgPool } = openFacade(database.connection, { max: 1 });
    const heard: unknown[] = [];
    await withClient(pgPool, async (client) => {
      client.on('notice', (notice) => heard.push(notice));
      client.on('notification', (notice) => heard.push(notice));
      await client.query('listen tidings');
    });
    await withClient(pgPool, (client) => client.query("do $$ begin raise notice 'for another'; end $$"));
    await pgPool.query("select pg_notify('tidings', 'for another')");
    expect((await pgPool.query('select pg_listening_channels() as channel')).rows).toEqual([]);
    expect(heard).toEqual([]);
  });

  test('many clients with listeners leave none behind on their connection', async ({ database }) => {
    const warnings: unknown[] = [];
    const listener = (warning: Error): unknown => warnings.push(warning.name);
    process.on('warning', listener);
    const { pgPool } = openFacade(database.connection, { max: 1 });
    for (let round = 0; round < 30; round += 1) {
      await withClient(pgPool, async (client) => {
        for (const event of ['notice', 'error', 'end', 'notification']) client.on(event as 'end', () => undefined);
        await client.query('select 1');
      });
    }
    process.off('warning', listener);
    expect(warnings).toEqual([]);
  });

  test('that the server ended it, while it was lent', async ({ database }) => {
    const seen = await alike(database, async (pgPool) => {
      const client = await pgPool.connect();
      const heard: unknown[] = [];
      client.on('error', (error) => heard.push((error as { code?: string }).code));
      const ended = happened(client, 'end');
      await database.query('select pg_terminate_backend($1)', [await pidOf(client)]);
      await ended;
      const after = await told(() => client.query('select 1'));
      client.release(true);
      return [heard[0], after.returned, (await pgPool.query('select 7 as n')).rows];
    });
    expect(seen).toEqual(['57P01', 'a promise', [{ n: 7 }]]);
  });
});
