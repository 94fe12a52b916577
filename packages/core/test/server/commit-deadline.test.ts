import { type Database, type Message, startProxy, waitUntil } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import { errorOf, openPool, pidOf } from './rig.ts';

const INSERT = 'insert into parcel values (1)';

/** A table whose rows make their COMMIT take its time. */
async function slowToCommit(database: Database, seconds: number): Promise<void> {
  await database.query(`drop table if exists parcel; create table parcel (id int);
    create or replace function dawdle() returns trigger language plpgsql as
      'begin perform pg_sleep(${seconds}); return null; end';
    create constraint trigger dawdle after insert on parcel deferrable initially deferred
      for each row execute function dawdle()`);
}

/** What it all came from. */
function rootOf(error: unknown): unknown {
  return error instanceof Error && error.cause !== undefined ? rootOf(error.cause) : error;
}

describe('a COMMIT that is still under way at the deadline', () => {
  test.for([['by itself'], ['with the last statement']] as const)(
    'is cancelled when it was sent %s, and nothing remains',
    async ([how], { database }) => {
      await slowToCommit(database, 30);
      const pool = openPool(database.connection, { max: 1 });
      const error = await errorOf(
        pool.transaction((tx) => (how === 'by itself' ? tx.query(INSERT) : tx.last(INSERT)), { timeoutMillis: 150 }),
      );
      expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE' });
      expect(rootOf(error)).toMatchObject({ code: '57014' });
      expect(await database.query('select from parcel')).toEqual([]);
      expect(pool.snapshot().commits).toMatchObject({ committed: 0, unknown: 0 });
      expect(await pidOf(pool)).toBeGreaterThan(0);
    },
  );

  test('is not interrupted by its caller, who hears how it ended', async ({ database }) => {
    await slowToCommit(database, 0.2);
    const pool = openPool(database.connection, { max: 1 });
    const caller = new AbortController();
    const outcome = pool.transaction((tx) => tx.query(INSERT), { signal: caller.signal });
    await database.waitFor('the COMMIT', (all) => all.some(({ query }) => query === 'COMMIT'));
    caller.abort();
    expect(await outcome).toMatchObject({ rowCount: 1 });
    expect(await database.query('select from parcel')).toHaveLength(1);
  });

  test('is unknown when nothing is ever heard of it', async ({ database }) => {
    await slowToCommit(database, 0);
    const isCommit = ({ from, body }: Message): boolean => from === 'client' && `${body}`.includes('COMMIT');
    const proxy = await startProxy(database.connection, {
      onMessage: (message, link) => void (isCommit(message) && link.hold('toClient')),
    });
    onTestFinished(() => proxy.close());
    const pool = openPool(proxy.connection(), { max: 1, closeTimeoutMillis: 100 });
    const error = await errorOf(pool.transaction((tx) => tx.query(INSERT), { timeoutMillis: 300 }));
    expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_COMMIT_UNKNOWN', retryable: false, statusCode: 500 });
    expect(pool.snapshot().commits).toEqual({ committed: 0, notCommitted: 0, unknown: 1 });
    await waitUntil(() => pool.snapshot().leased === 0, { what: 'the lease to end' });
    expect(await database.query('select from parcel')).toHaveLength(1);
  });
});
