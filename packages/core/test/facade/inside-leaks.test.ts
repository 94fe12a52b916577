import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type pg from 'pg';
import { accidents, errorOf, outcomesOf, pidOf } from '../server/rig.ts';
import { Moment } from './inside-grace.ts';
import { promised } from './inside-library.ts';
import { type House, leavesNothing, prepared, put, undone } from './inside-rig.ts';

/** What a library forgets, or does twice, in our transaction. */
const CARELESS: readonly (readonly [what: string, work: (orm: pg.Pool) => Promise<unknown>, kept: number[]])[] = [
  ['never gives its client back', async (orm) => put(await orm.connect(), 1), [1]],
  [
    'gives its client back twice',
    async (orm) => {
      const client = await orm.connect();
      await put(client, 1);
      client.release();
      client.release();
    },
    [1],
  ],
  [
    'gives its client back with an error',
    async (orm) => {
      const client = await orm.connect();
      await put(client, 1);
      client.release(new Error('broken'));
    },
    [1],
  ],
  [
    'gives its client back while a statement runs',
    async (orm) => {
      const client = await orm.connect();
      const running = put(client, 1);
      client.release();
      await running;
    },
    [1],
  ],
  [
    'ends its client as if it were its own',
    async (orm) => {
      const client = (await orm.connect()) as pg.PoolClient & { end(): Promise<void> };
      await put(client, 1);
      await client.end();
    },
    [1],
  ],
  [
    'takes many clients at once',
    async (orm) => {
      const clients = await Promise.all(Array.from({ length: 20 }, () => orm.connect()));
      await Promise.all(clients.map((client, id) => put(client, id)));
    },
    Array.from({ length: 20 }, (_, id) => id),
  ],
  [
    'could not begin, and forgets its client',
    async (orm) => {
      const client = await orm.connect();
      await errorOf(client.query('BEGIN ISOLATION LEVEL SERIALIZABLE'));
      await put(orm, 1);
    },
    [1],
  ],
];

describe.for(CARELESS)('a library that %s', ([, work, kept]) => {
  test('leaves nothing behind when the transaction commits', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database, { pool: { max: 1 } });
    const seen = accidents();
    await pool.transaction(() => work(orm));
    await leavesNothing(database, pool);
    expect(await stored()).toEqual(kept);
    await pool.query('select 1');
    expect(seen).toEqual([]);
  });

  test('leaves nothing behind when the transaction rolls back', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database, { pool: { max: 1 } });
    const seen = accidents();
    await undone((fail) => pool.transaction(() => work(orm).then(fail)));
    await leavesNothing(database, pool);
    expect(await stored()).toEqual([]);
    await pool.query('select 1');
    expect(seen).toEqual([]);
  });
});

/** Ways in which a transaction of a library is never ended. */
const UNENDED: readonly (readonly [how: string, leave: (client: pg.PoolClient) => unknown])[] = [
  ['and its client is given back', (client) => client.release()],
  ['and its client is given back with an error', (client) => client.release(true)],
  ['and its client is forgotten', () => undefined],
];

describe.for(UNENDED)('a transaction of a library that is never ended, %s,', ([, leave]) => {
  const begun = async ({ orm }: House, id: number): Promise<void> => {
    const client = await orm.connect();
    await client.query('BEGIN');
    await put(client, id);
    leave(client);
  };

  test('is rolled back when the function around it returns', async ({ database }) => {
    const house = await prepared(database, { pool: { max: 1 } });
    const { pool, stored, notes } = house;
    const seen = accidents();
    const outcome = await outcomesOf([pool.transaction(() => begun(house, 1))]);
    await leavesNothing(database, pool);
    expect(await stored()).toEqual([]);
    // Nobody may believe in silence that it was stored.
    expect([...notes.codes, ...outcome]).toEqual(
      expect.arrayContaining([expect.stringMatching(/LEFT_OPEN|_ENDED|ROLLED_BACK/)]),
    );
    expect(seen).toEqual([]);
  });

  test('is rolled back with the transaction around it', async ({ database }) => {
    const house = await prepared(database, { pool: { max: 1 } });
    const { pool, stored } = house;
    const seen = accidents();
    await undone((fail) => pool.transaction(() => begun(house, 1).then(fail)));
    await leavesNothing(database, pool);
    expect(await stored()).toEqual([]);
    expect(seen).toEqual([]);
  });

  test('is rolled back when the scope around it ends', async ({ database }) => {
    const house = await prepared(database, { pool: { max: 1 } });
    const { pool, stored } = house;
    const seen = accidents();
    await pool.scope({ settings: { 'app.name': 'ada' } }, () => begun(house, 1)).catch(() => undefined);
    await leavesNothing(database, pool);
    expect(await stored()).toEqual([]);
    expect(seen).toEqual([]);
  });

  test('is rolled back with the nested transaction that it was begun in', async ({ database }) => {
    const house = await prepared(database, { pool: { max: 1 } });
    const { pool, orm, stored } = house;
    await pool.transaction(async (tx) => {
      await tx.transaction(() => begun(house, 1)).catch(() => undefined);
      await put(orm, 2);
    });
    expect(await stored()).toEqual([2]);
  });
});

describe('a client that is given back inside its transaction', () => {
  test('lets the others go on, and is told of', async ({ database }) => {
    const { pool, orm, stored, notes } = await prepared(database);
    await pool.transaction(async () => {
      const client = await orm.connect();
      await client.query('BEGIN');
      await put(client, 1);
      client.release();
      await put(orm, 2);
      await promised(orm, (other) => put(other, 3));
    });
    expect(await stored()).toEqual([2, 3]);
    expect(notes.codes).toEqual(['LIFEGUARD_LEFT_OPEN']);
  });

  test('before its COMMIT was answered commits all the same', async ({ database }) => {
    const { pool, orm, stored, notes } = await prepared(database);
    await pool.transaction(async () => {
      const client = await orm.connect();
      const said = [client.query('BEGIN'), put(client, 1), client.query('COMMIT')];
      client.release();
      await Promise.all(said);
    });
    expect(await stored()).toEqual([1]);
    expect(notes.codes).toEqual([]);
  });

  test('is refused what it asks for afterwards, and so are its cursors', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      const client = await orm.connect();
      client.release();
      expect(await errorOf(put(client, 1))).toMatchObject({ code: 'ERR_LIFEGUARD_LEASE_ENDED' });
      expect(await errorOf(client.query('BEGIN'))).toMatchObject({ code: 'ERR_LIFEGUARD_LEASE_ENDED' });
    });
    expect(await stored()).toEqual([]);
  });
});

/** Moments at which the server may end the connection under a library. */
const MOMENTS: readonly (readonly [when: string, text: string[]])[] = [
  ['before its BEGIN', ['select 1']],
  ['behind its BEGIN', ['BEGIN']],
  ['inside its transaction', ['BEGIN', 'insert into item values (1)']],
  ['inside its failed transaction', ['BEGIN', 'insert into item values (1)', 'insert into item values (1)']],
  ['behind its COMMIT', ['BEGIN', 'insert into item values (1)', 'COMMIT']],
];

describe('a connection that the server ends', () => {
  test.for(MOMENTS)('%s fails the whole, and leaves nothing behind', async ([, texts], { database }) => {
    const { pool, orm, stored } = await prepared(database, { pool: { max: 1 } });
    const seen = accidents();
    const whole = pool.transaction(
      async (tx) => {
        const pid = await pidOf(tx);
        const client = await orm.connect();
        for (const text of texts) await client.query(text).catch(() => undefined);
        await database.query('select pg_terminate_backend($1)', [pid]);
        await outcomesOf([client.query('select 2'), client.query('COMMIT'), client.query('ROLLBACK'), put(orm, 3)]);
        client.release();
      },
      { retry: false },
    );
    expect(await errorOf(whole)).toHaveProperty('code');
    await leavesNothing(database, pool);
    expect(await stored()).toEqual([]);
    await put(orm, 4);
    expect(seen).toEqual([]);
  });

  test('while a library runs a statement tells its client', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database, { pool: { max: 1 } });
    const told: unknown[] = [];
    const whole = pool.transaction(
      async () => {
        const client = await orm.connect();
        client.on('error', (error) => told.push(error));
        const pid = await pidOf(client);
        const running = errorOf(client.query('select pg_sleep(60)'));
        await database.waitFor('a statement', (all) => all.some(({ query }) => query.includes('pg_sleep(60)')));
        await database.query('select pg_terminate_backend($1)', [pid]);
        expect(await running).toHaveProperty('code');
        client.release();
      },
      { retry: false },
    );
    expect(await errorOf(whole)).toHaveProperty('code');
    expect(told).toHaveLength(1);
    expect(await stored()).toEqual([]);
  });
});

describe('a function that returns before its libraries are through', () => {
  test('ends their transactions, which say so, and stores nothing of them', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    const seen = accidents();
    const [begun, goOn] = [new Moment(), new Moment()];
    const late: Promise<Error>[] = [];
    const outcome = await outcomesOf([
      pool.transaction(async () => {
        await put(orm, 1);
        const work = promised(orm, async (client) => {
          await put(client, 2);
          begun.come();
          await goOn.comes();
          await put(client, 3);
        });
        late.push(errorOf(work));
        await begun.comes();
      }),
    ]);
    goOn.come();
    expect(await late[0]).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_ENDED' });
    expect(await stored()).toEqual(outcome[0] === 'ok' ? [1] : []);
    await leavesNothing(database, pool);
    expect(seen).toEqual([]);
  });

  test('waits for statements that are on their way', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(() => {
      void put(orm, 1);
      void put(orm, 2);
    });
    expect(await stored()).toEqual([1, 2]);
  });
});
