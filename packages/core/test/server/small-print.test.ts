import { getEventListeners } from 'node:events';
import { waitUntil } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { errorOf, openPool } from './rig.ts';

describe('the tokens of transactions', () => {
  test('are removed some at a time while the pool runs', async ({ database }) => {
    const pool = openPool(database.connection);
    await pool.createCommitTokens();
    for (let round = 0; round < 100; round += 1) {
      await pool.transaction((tx) => tx.query('select 1'), { commitOutcome: 'token' });
    }
    await waitUntil(async () => (await database.query('select from lifeguard_commit_tokens')).length === 0, {
      what: 'the tokens to be removed',
    });
  });

  test('are written before the role is set, which may have no right to do it', async ({ database }) => {
    await database.query('do $$ begin create role no_rights; exception when duplicate_object then null; end $$');
    const pool = openPool(database.connection);
    await pool.createCommitTokens();
    const options = { commitOutcome: 'token', role: 'no_rights' } as const;
    expect((await pool.transaction((tx) => tx.query('select current_user as role'), options)).rows).toEqual([
      { role: 'no_rights' },
    ]);
  });
});

describe('a transaction whose scope ends while it waits for a connection', () => {
  test('does not begin when the connection comes', async ({ database }) => {
    await database.query('create table late_row (id int)');
    const pool = openPool(database.connection, { max: 1 });
    const lease = await pool.lease();
    let late: Promise<unknown> = Promise.resolve();
    await pool.scope(async (db) => {
      late = errorOf(db.transaction((tx) => tx.query('insert into late_row values (1)')));
      await waitUntil(() => pool.snapshot().waiting === 1, { what: 'the transaction to wait' });
    });
    expect(await late).toMatchObject({ code: 'ERR_LIFEGUARD_SCOPE_ENDED' });
    await lease.release();
    await waitUntil(() => pool.snapshot().leased === 0 && pool.snapshot().waiting === 0, { what: 'the pool to rest' });
    expect(await database.query('select from late_row')).toHaveLength(0);
  });
});

describe('a named statement that was skipped', () => {
  test('because one before it failed is prepared when it is used again', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const named = { name: 'skipped', text: 'select 2 as x' };
    expect(await errorOf(pool.batch(['select 1/0', named]))).toMatchObject({ code: 'ERR_LIFEGUARD_BATCH', index: 0 });
    expect((await pool.query(named)).rows).toEqual([{ x: 2 }]);
    expect(pool.snapshot()).toMatchObject({ retries: 0, closed: {} });
  });
});

describe('a read-only scope', () => {
  test('lets nothing inside it write, also not in a scope inside a transaction', async ({ database }) => {
    const pool = openPool(database.connection, { max: 3 });
    const write = 'create table never (x int)';
    const inner = pool.scope({ readOnly: true }, (db) =>
      db.transaction(() => pool.scope({ name: 'inner' }, (own) => own.query(write))),
    );
    expect(await errorOf(inner)).toMatchObject({ code: '25006' });
    const asking = pool.scope({ readOnly: true }, () => pool.scope({ readOnly: false }, (own) => own.query(write)));
    expect(await errorOf(asking)).toMatchObject({ code: 'ERR_LIFEGUARD_PROPAGATION' });
  });
});

describe('a transaction that does not get its turn in a pinned scope', () => {
  test('leaves no listener behind on the signal of its caller', async ({ database }) => {
    const pool = openPool(database.connection);
    const { signal } = new AbortController();
    await pool.scope({ mode: 'pinned', signal }, async (db) => {
      const busy = db.query('select pg_sleep(0.2)');
      const late = db.transaction((tx) => tx.query('select 1'), { timeoutMillis: 20 });
      expect(await errorOf(late)).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE' });
      await busy;
    });
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  test('leaves none either when only the wait for the turn has ended', async ({ database }) => {
    const pool = openPool(database.connection, { acquireTimeoutMillis: 30 });
    const { signal } = new AbortController();
    await pool.scope({ mode: 'pinned' }, async (db) => {
      const busy = db.query('select pg_sleep(0.2)');
      expect(await errorOf(db.transaction(() => 'ran', { signal }))).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE' });
      await busy;
    });
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});
