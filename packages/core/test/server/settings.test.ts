import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, Scope, Transaction } from '../../src/index.ts';
import { answerOf, errorOf, Notes, openPool, outcomesOf } from './rig.ts';

const TENANT = "select coalesce(nullif(current_setting('app.tenant', true), ''), 'none')";
const tenant = (asker: Pick<Scope, 'query'> | Transaction): Promise<string> => answerOf<string>(asker, TENANT);

/** What a borrower might find of those before it. */
const LEFTOVERS = `select concat_ws(' ', ${TENANT.slice(7)}, current_user, current_setting('statement_timeout'),
  current_setting('search_path'), current_setting('transaction_read_only'), current_setting('lock_timeout'))`;

describe('the settings of a scope', () => {
  test('hold for each of its statements, batches and transactions', async ({ database }) => {
    const pool = openPool(database.connection, { max: 2 });
    const seen = await pool.scope({ settings: { 'app.tenant': 'a' } }, async (db) => {
      const [batch] = await db.batch<[{ t: string }[]]>([{ text: `${TENANT} as t` }]);
      const rows = (batch as unknown as { rows: { t: string }[] }).rows;
      const all = [tenant(db), tenant(pool), db.transaction(tenant), pool.transaction(tenant), rows[0]?.t];
      return Promise.all(all);
    });
    expect(seen).toEqual(['a', 'a', 'a', 'a', 'a']);
  });

  test('may be strings, numbers and booleans, of ours and of the server', async ({ database }) => {
    const pool = openPool(database.connection);
    const settings = { 'app.number': 1.5, 'app.yes': true, work_mem: '5MB', search_path: 'pg_catalog' };
    const show = ['app.number', 'app.yes', 'work_mem', 'search_path'].map((name) => `current_setting('${name}')`);
    const seen = await pool.scope({ settings }, (db) => answerOf(db, `select concat_ws(' ', ${show.join(', ')})`));
    expect(seen).toBe('1.5 true 5MB pg_catalog');
  });

  test('are narrowed by those of a transaction, which win over them', async ({ database }) => {
    const pool = openPool(database.connection);
    const both = "select current_setting('app.tenant') || current_setting('app.user') || current_user";
    const seen = await pool.scope({ settings: { 'app.tenant': 'a', 'app.user': '1' }, role: 'pg_monitor' }, (db) =>
      db.transaction((tx) => answerOf(tx, both), { settings: { 'app.user': '2' }, role: 'pg_read_all_data' }),
    );
    expect(seen).toBe('a2pg_read_all_data');
  });

  test('hold for each statement of a text with several, which is one transaction', async ({ database }) => {
    const pool = openPool(database.connection);
    const results = await pool.scope({ settings: { 'app.tenant': 'a' } }, (db) =>
      db.query(`${TENANT} as t; ${TENANT} as t`),
    );
    expect((results as unknown as { rows: unknown[] }[]).map(({ rows }) => rows)).toEqual([[{ t: 'a' }], [{ t: 'a' }]]);
  });

  test.for([
    ['undefined', { 'app.tenant': undefined }],
    ['null', { 'app.tenant': null }],
    ['an object', { 'app.tenant': {} }],
    ['not a number', { 'app.tenant': Number.NaN }],
    ['a text with a NUL', { 'app.tenant': 'a\0' }],
    ['under a name with SQL in it', { "app.tenant' --": 'a' }],
    ['a time limit, which has an option', { statement_timeout: 5 }],
    ['a role, which has an option', { role: 'a' }],
    ['a role for the whole session', { session_authorization: 'a' }],
  ])('are refused when one is %s', async ([, settings], { database }) => {
    const pool = openPool(database.connection);
    const errors = [
      await errorOf(pool.scope({ settings: settings as never }, (db) => db.query('select 1'))),
      await errorOf(pool.transaction((tx) => tx.query('select 1'), { settings: settings as never })),
    ];
    for (const error of errors)
      expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_SETTING', consequence: 'nothing-sent' });
    expect(pool.snapshot().acquired).toBe(0);
  });

  test('that the server refuses let nothing run, and cost no connection', async ({ database }) => {
    await database.query('create table unset (id int)');
    const pool = openPool(database.connection, { max: 1 });
    const insert = 'insert into unset values (1)';
    const refused = { settings: { work_mem: 'plenty' } };
    const calls = [
      errorOf(pool.scope(refused, (db) => db.query(insert))),
      errorOf(pool.scope(refused, (db) => db.batch([insert, insert]))),
      errorOf(pool.transaction((tx) => tx.query(insert), refused)),
      errorOf(pool.scope({ role: 'nobody_of_that_name' }, (db) => db.query(insert))),
    ];
    for (const error of await Promise.all(calls)) {
      expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_SETTING', cause: { code: '22023' } });
    }
    expect(await database.query('select from unset')).toEqual([]);
    expect(pool.snapshot()).toMatchObject({ idle: 1, size: 1 });
  });

  test('hold in the scopes inside, which may narrow them', async ({ database }) => {
    const pool = openPool(database.connection);
    const both = "select current_setting('app.tenant', true) || current_user";
    const inside = (options: object): Promise<string> => pool.scope(options, (db) => answerOf<string>(db, both));
    const seen = await pool.scope({ settings: { 'app.tenant': 'a' }, role: 'pg_monitor' }, async (db) => [
      await inside({}),
      await db.transaction(() => inside({ settings: { 'app.tenant': 'b' } })),
      await pool.outside(() => inside({ settings: { 'app.tenant': 'c' } })),
    ]);
    expect(seen).toEqual(['apg_monitor', 'bpg_monitor', `c${database.connection.user}`]);
  });
});

describe('what the next borrower finds', () => {
  test.for([
    ['ended well', (db: Scope) => db.query('select 1')],
    ['failed', (db: Scope) => db.query('select 1/0')],
    ['took too long', (db: Scope) => db.query('select pg_sleep(30)', [], { timeoutMillis: 20 })],
    ['ran in a batch that failed', (db: Scope) => db.batch(['select 1', 'select 1/0'])],
    ['ran in a transaction', (db: Scope) => db.transaction((tx) => tx.query('select 1'))],
    ['had several statements', (db: Scope) => db.query('select 1; select 2')],
    ['rolled a transaction back', (db: Scope) => db.transaction((tx) => tx.query('select 1/0'))],
    ['threw in a transaction', (db: Scope) => db.transaction((tx) => tx.query('select 1').then(() => JSON.parse('{')))],
  ] as const)('is as it was where a statement with settings %s', async ([, run], { database }) => {
    const pool = openPool(database.connection, { max: 1, logger: new Notes() });
    const before = await answerOf(pool, LEFTOVERS);
    const settings = { 'app.tenant': 'a', search_path: 'nowhere' };
    await outcomesOf([
      pool.scope({ settings, role: 'pg_monitor', timeoutMillis: 3_000 }, async (db) => void (await run(db))),
    ]);
    expect(await answerOf(pool, LEFTOVERS)).toBe(before);
  });
});

describe('the settings of a nested transaction', () => {
  /** What a transaction of tenant a sees before, in and after a nested one. */
  function around(
    pool: LifeguardPool,
    inner: (nested: Transaction) => Promise<unknown>,
    options = {},
  ): Promise<string[]> {
    const fn = async (tx: Transaction): Promise<string[]> => {
      const seen = [await tenant(tx)];
      const nested = tx.transaction(
        async (own) => {
          seen.push(await tenant(own));
          await inner(own);
        },
        { settings: { 'app.tenant': 'b' }, ...options },
      );
      await nested.catch(() => undefined);
      return [...seen, await tenant(tx)];
    };
    return pool.transaction(fn, { settings: { 'app.tenant': 'a' } });
  }

  test('are put back when it is released', async ({ database }) => {
    expect(await around(openPool(database.connection), async () => undefined)).toEqual(['a', 'b', 'a']);
  });

  test('are put back when it is rolled back', async ({ database }) => {
    const pool = openPool(database.connection);
    expect(await around(pool, async () => JSON.parse('{'))).toEqual(['a', 'b', 'a']);
    expect(await around(pool, (tx) => tx.query('select 1/0'))).toEqual(['a', 'b', 'a']);
    expect(await around(pool, (tx) => tx.rollback())).toEqual(['a', 'b', 'a']);
  });

  test('are put back one by one where several are nested', async ({ database }) => {
    const pool = openPool(database.connection);
    const seen = await around(pool, async (tx) => {
      await tx.transaction(tenant, { settings: { 'app.tenant': 'c' } });
      expect(await tenant(tx)).toBe('b');
      await tx.transaction(async (deep) => expect(await tenant(deep)).toBe('b'));
    });
    expect(seen).toEqual(['a', 'b', 'a']);
  });

  test('are gone where the one around it had none', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const seen = await pool.transaction(async (tx) => [
      await tx.transaction(tenant, { settings: { 'app.tenant': 'b' } }),
      await tenant(tx),
    ]);
    expect([...seen, await tenant(pool)]).toEqual(['b', 'none', 'none']);
  });

  test('take a role with them, and give it back', async ({ database }) => {
    const pool = openPool(database.connection);
    const user = 'select current_user::text';
    const seen = await pool.transaction(async (tx) => [
      await tx.transaction((own) => answerOf(own, user), { role: 'pg_monitor' }),
      await answerOf(tx, user),
      await tx.transaction((own) => own.transaction((deep) => answerOf(deep, user), { role: 'pg_read_all_stats' }), {
        role: 'pg_monitor',
      }),
      await answerOf(tx, user),
    ]);
    const { user: login } = database.connection;
    expect(seen).toEqual(['pg_monitor', login, 'pg_read_all_stats', login]);
  });

  test('are undone by a return to a savepoint of the user', async ({ database }) => {
    const pool = openPool(database.connection);
    const seen = await pool.transaction(
      async (tx) => {
        await tx.query('savepoint mine');
        const inside = await tx.transaction(tenant, { settings: { 'app.tenant': 'b' } });
        await tx.query('rollback to savepoint mine');
        return [inside, await tenant(tx)];
      },
      { settings: { 'app.tenant': 'a' } },
    );
    expect(seen).toEqual(['b', 'a']);
  });
});

describe('what cannot run in a transaction', () => {
  const TEXTS = ['vacuum plain', 'create index concurrently plain_id on plain (id)', 'call busy()'];
  const PREPARE = `drop table if exists plain; create table plain (id int);
    create or replace procedure busy() language plpgsql as 'begin insert into plain values (1); commit; end'`;

  test.for([
    ['settings', { settings: { 'app.tenant': 'a' } }],
    ['a role', { role: 'pg_monitor' }],
    ['readOnly', { readOnly: true }],
  ] as const)('is refused in a scope with %s', async ([, options], { database }) => {
    await database.query(PREPARE);
    const pool = openPool(database.connection);
    await pool.scope(options, async (db) => {
      expect(await outcomesOf(TEXTS.map((text) => db.query(text)))).toEqual(TEXTS.map(() => 'ERR_LIFEGUARD_SETTING'));
    });
    expect(await database.query('select from plain')).toEqual([]);
  });

  test('runs bare in a scope that has a time limit only', async ({ database }) => {
    await database.query(PREPARE);
    const pool = openPool(database.connection);
    await pool.scope({ timeoutMillis: 10_000 }, async (db) => {
      for (const text of TEXTS) await db.query(text);
    });
    expect(await database.query("select to_regclass('plain_id')::text as index, count(*)::int from plain")).toEqual([
      { index: 'plain_id', count: 1 },
    ]);
  });
});

describe('a part without a transaction, of a scope with settings and a role', () => {
  const bound = { settings: { 'app.tenant': 'a' }, role: 'pg_monitor' };
  const bare = { propagation: 'not-supported' } as const;

  test('runs a text of several statements with them, or not at all', async ({ database }) => {
    const pool = openPool(database.connection);
    const text = 'select current_user::text as who; select 1 as who';
    const ask = (none: Transaction): Promise<unknown> => none.query(text).catch((error: unknown) => error);
    const answer = await pool.scope(bound, (db) => db.transaction(ask, bare));
    if (answer instanceof Error) expect(answer).toMatchObject({ code: 'ERR_LIFEGUARD_SETTING' });
    else expect(answer).toMatchObject([{ rows: [{ who: 'pg_monitor' }] }, { rows: [{ who: 1 }] }]);
  });

  test('refuses what cannot run in a transaction, as the scope does', async ({ database }) => {
    const pool = openPool(database.connection);
    const ask = (none: Transaction): Promise<string[]> => outcomesOf([none.query('vacuum pg_class')]);
    expect(await pool.scope(bound, (db) => db.transaction(ask, bare))).toEqual(['ERR_LIFEGUARD_SETTING']);
  });

  test('hands them on to a transaction of its own', async ({ database }) => {
    const pool = openPool(database.connection);
    const both = "select current_setting('app.tenant', true) || current_user";
    const seen = await pool.scope(bound, (db) =>
      db.transaction(
        async (none) => [
          await none.transaction((tx) => answerOf(tx, both)),
          await pool.transaction((tx) => answerOf(tx, both)),
          await answerOf(pool, both),
        ],
        bare,
      ),
    );
    expect(seen).toEqual(Array(3).fill('apg_monitor'));
  });
});
