import { inspect } from 'node:util';
import { waitUntil } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { answerOf, errorOf, openPool } from './rig.ts';

describe('a name of a prepared statement that is given to two texts', () => {
  test('in one batch is refused before anything is sent', async ({ database }) => {
    const pool = openPool(database.connection);
    const two = ["select 'first' as x", "select 'second' as x"].map((text) => ({ name: 'a', text }));
    expect((await errorOf(pool.batch(two))).message).toMatch(/must be unique/);
    expect((await errorOf(pool.transaction((tx) => tx.batch(two)))).message).toMatch(/must be unique/);
  });
});

describe('a pinned scope', () => {
  test('that ends while it waits for its connection gives that back when it comes', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const lease = await pool.lease();
    const late: Promise<unknown>[] = [];
    await pool.scope({ mode: 'pinned' }, async (db) => {
      late.push(errorOf(db.query('select 1')));
      await waitUntil(() => pool.snapshot().waiting === 1, { what: 'the statement to wait' });
    });
    await lease.release();
    expect(await Promise.all(late)).toMatchObject([{ code: 'ERR_LIFEGUARD_LEASE_ENDED' }]);
    expect(pool.snapshot().leased).toBe(0);
  });
});

describe('the handle of the transaction around a nested one', () => {
  test.for(['rollback', 'last'] as const)('is refused inside it, also after its %s', async (how, { database }) => {
    const pool = openPool(database.connection);
    const work = pool.transaction((tx) =>
      tx.transaction(async (nested) => {
        await (how === 'rollback' ? nested.rollback() : nested.last('select 1'));
        await tx.query('select 2');
      }),
    );
    expect(await errorOf(work)).toMatchObject({ code: 'ERR_LIFEGUARD_PROPAGATION' });
  });

  test('that has ended takes no joining part any more', async ({ database }) => {
    const pool = openPool(database.connection);
    const work = pool.transaction(async (tx) => {
      await tx.rollback();
      return pool.transaction(() => 'ran');
    });
    expect(await errorOf(work)).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_ENDED' });
  });
});

describe('the settings of a nested transaction', () => {
  const tenantOf = "select current_setting('app.tenant', true)";

  test('are not those that deferred triggers see at COMMIT', async ({ database }) => {
    await database.query(`create table item (id int); create table seen (tenant text);
      create function note() returns trigger language plpgsql as
        $$ begin insert into seen values (current_setting('app.tenant', true)); return null; end $$;
      create constraint trigger note after insert on item deferrable initially deferred
        for each row execute function note()`);
    const pool = openPool(database.connection);
    await pool.transaction(
      async (tx) => {
        await tx.query('insert into item values (1)');
        await tx.transaction((nested) => nested.query('select 1'), { settings: { 'app.tenant': 'inner' } });
      },
      { settings: { 'app.tenant': 'outer' } },
    );
    expect(await database.query('select tenant from seen')).toEqual([{ tenant: 'outer' }]);
  });

  test('are set again when a text of its own goes back to a savepoint from before', async ({ database }) => {
    const pool = openPool(database.connection);
    const work = pool.transaction(async (tx) => {
      await tx.query('savepoint a');
      return tx.transaction(
        async (nested) => {
          await nested.query('select 1');
          await nested.query('rollback to a');
          return answerOf<string>(nested, tenantOf);
        },
        { settings: { 'app.tenant': 'inner' } },
      );
    });
    // Its own savepoint is gone too, so it cannot end well; but nothing of it ran under another tenant.
    expect(await errorOf(work)).toMatchObject({ code: '3B001' });
  });

  test('win over those around it in whatever case they are written, also for requires-new', async ({ database }) => {
    const pool = openPool(database.connection, { max: 2 });
    const inner = pool.transaction(
      (tx) =>
        tx.transaction(() => pool.transaction((own) => answerOf(own, tenantOf), { propagation: 'requires-new' }), {
          settings: { 'APP.Tenant': 'inner' },
        }),
      { settings: { 'app.tenant': 'outer' } },
    );
    expect(await inner).toBe('inner');
  });
});

describe('what a hook throws', () => {
  test('changes nothing though it cannot even be read', async ({ database }) => {
    const pool = openPool(database.connection, { logger: { warn: () => undefined } });
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const heard: string[] = [];
    const work = pool.transaction(async (tx) => {
      tx.afterCommit(() => Promise.reject(proxy));
      tx.afterCommit(() => heard.push('second'));
      return 'done';
    });
    expect(await work).toBe('done');
    expect(heard).toEqual(['second']);
  });
});

describe('a deadline', () => {
  test('bounds a transaction that has not sent anything yet', async ({ database }) => {
    const pool = openPool(database.connection);
    const work = pool.transaction(() => new Promise(() => undefined), { timeoutMillis: 20 });
    expect(await errorOf(work)).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE' });
  });

  test('further away than the server can count is none', async ({ database }) => {
    const pool = openPool(database.connection, { statementTimeoutMillis: 0 });
    const far = { timeoutMillis: 30 * 86_400_000, lockTimeoutMillis: 3e9 };
    expect(await pool.transaction((tx) => answerOf<number>(tx, 'select 1'), far)).toBe(1);
  });
});

describe('options of a scope', () => {
  test('are refused behind the function, where nobody would look at them', async ({ database }) => {
    const pool = openPool(database.connection) as unknown as { scope(...args: unknown[]): Promise<unknown> };
    const work = pool.scope(() => 'ran', { settings: { 'app.tenant': '7' } });
    expect(await errorOf(work)).toMatchObject({ code: 'ERR_LIFEGUARD_ARGUMENT' });
  });
});

describe('what goes without a transaction', () => {
  const look = "select current_setting('app.tenant', true) as tenant, current_user as role";

  test('has the settings, the role and the limits that were asked for it', async ({ database }) => {
    await database.query('do $$ begin create role plain_one; exception when duplicate_object then null; end $$');
    const pool = openPool(database.connection);
    const wish = { propagation: 'supports', settings: { 'app.tenant': '7' }, role: 'plain_one' } as const;
    const rows = await pool.transaction(async (tx) => [await tx.query(look), await pool.query(look)], wish);
    for (const { rows: found } of rows) expect(found).toEqual([{ tenant: '7', role: 'plain_one' }]);
    const late = pool.transaction(() => pool.query('select pg_sleep(5)'), { propagation: 'never', timeoutMillis: 30 });
    expect(await errorOf(late)).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE' });
    const write = pool.transaction((tx) => tx.query('create table no (x int)'), {
      propagation: 'supports',
      readOnly: true,
    });
    expect(await errorOf(write)).toMatchObject({ code: '25006' });
  });

  test('cannot be given an isolation level', async ({ database }) => {
    const pool = openPool(database.connection);
    const work = pool.transaction(() => 'ran', { propagation: 'never', isolation: 'serializable' });
    expect(await errorOf(work)).toMatchObject({ code: 'ERR_LIFEGUARD_PROPAGATION' });
  });
});

describe('a part that joined with less time', () => {
  test('bounds what is nested in it, and what is begun beside it', async ({ database }) => {
    const pool = openPool(database.connection, { max: 3 });
    const sleep = 'select pg_sleep(5)';
    for (const propagation of ['nested', 'requires-new'] as const) {
      const work = pool.transaction((tx) =>
        tx.transaction((part) => part.transaction((inner) => inner.query(sleep), { propagation }), {
          propagation: 'required',
          timeoutMillis: 30,
        }),
      );
      expect(await errorOf(work)).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE' });
    }
  });
});

describe('a BEGIN that the server refuses', () => {
  test('leaves the error of the server to the statement that it travelled with', async ({ database }) => {
    const pool = openPool(database.connection, { options: '-c default_transaction_isolation=serializable' });
    const refused = pool.transaction((tx) => tx.query('select 1'), { role: 'nobody_of_that_name' });
    expect(await errorOf(refused)).toMatchObject({ code: 'ERR_LIFEGUARD_SETTING', cause: { code: '22023' } });
  });
});

describe('an error of somebody else', () => {
  test('is no reason to try a transaction again, whatever its code', async ({ database }) => {
    const pool = openPool(database.connection);
    let calls = 0;
    const work = pool.transaction(async (tx) => {
      calls += 1;
      await tx.query('select 1');
      throw Object.assign(new Error('of another database'), { code: '40001', severity: 'ERROR' });
    });
    expect(await errorOf(work)).toMatchObject({ message: 'of another database' });
    expect(calls).toBe(1);
  });
});

describe('what is printed of a unit of work', () => {
  test('shows none of its settings', async ({ database }) => {
    const pool = openPool(database.connection);
    const settings = { 'app.tenant': 'secret-tenant' };
    const printed = await pool.scope({ settings }, (db) => db.transaction((tx) => inspect({ db, tx }, { depth: 9 })));
    expect(printed).not.toContain('secret-tenant');
  });
});
