import { once } from 'node:events';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type pg from 'pg';
import { answerOf, errorOf, pidOf } from '../server/rig.ts';
import { alike, onBoth, openFacade, withClient } from './peers.ts';
import { told } from './told.ts';

describe('a client of the pool', () => {
  test('answers in the order in which it was asked, awaited or not', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        const order: unknown[] = [];
        const { promise, resolve } = Promise.withResolvers<void>();
        void client.query('create temp table turns (n serial, x int)');
        void client.query('insert into turns (x) values (1)').then(() => order.push(1));
        void client.query('insert into turns (x) values ($1)', [2], () => order.push(2));
        void client.query('select 1/0', () => order.push('failed'));
        void client.query('insert into turns (x) values (3)', () => resolve());
        await promise;
        return [order, (await client.query('select x from turns order by n')).rows];
      }),
    );
    expect(seen).toEqual([
      [1, 2, 'failed'],
      [{ x: 1 }, { x: 2 }, { x: 3 }],
    ]);
  });

  test('does what it was asked for before it was given back', async ({ database }) => {
    const seen = await alike(
      database,
      async (pgPool) => {
        await pgPool.query('drop table if exists hurried; create table hurried (x int)');
        const client = await pgPool.connect();
        const asked = [client.query('insert into hurried values (1)'), client.query('insert into hurried values (2)')];
        client.release();
        const seen = [(await pgPool.query('select x from hurried order by x')).rows];
        return [seen, (await Promise.allSettled(asked)).map(({ status }) => status)];
      },
      { max: 1 },
    );
    expect(seen).toEqual([[[{ x: 1 }, { x: 2 }]], ['fulfilled', 'fulfilled']]);
  });

  test('comes by callback as well, with what gives it back', async ({ database }) => {
    const seen = await alike(
      database,
      async (pgPool) => {
        const { promise, resolve } = Promise.withResolvers<unknown[]>();
        const returned: unknown = pgPool.connect((error, client, release) => {
          void client?.query('select 7 as n', (_error, { rows }) => {
            release();
            resolve([error, rows]);
          });
        });
        return [returned, await promise, (await pgPool.query('select 8 as n')).rows];
      },
      { max: 1 },
    );
    expect(seen).toEqual([undefined, [undefined, [{ n: 7 }]], [{ n: 8 }]]);
  });

  test('takes marks that libraries leave on it', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        const marked = client as unknown as Record<PropertyKey, unknown>;
        marked['__knexUid'] = 'a';
        const own = Object.hasOwn(marked, '__knexUid');
        delete marked['__knexUid'];
        return [own, '__knexUid' in marked, marked['_connected'], marked['_ending']];
      }),
    );
    expect(seen).toEqual([true, false, true, false]);
  });

  test('says which backend it is and what its transaction is', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        const states = [client.getTransactionStatus()];
        for (const text of ['begin', 'select 1', 'rollback']) {
          await told(() => client.query(text));
          states.push(client.getTransactionStatus());
        }
        return [states, (client as unknown as { processID: number }).processID === (await pidOf(client))];
      }),
    );
    expect(seen).toEqual([['I', 'T', 'T', 'I'], true]);
  });

  test('knows that its transaction has failed when the error is caught', async ({ database }) => {
    const { pgPool } = openFacade(database.connection);
    await withClient(pgPool, async (client) => {
      await client.query('begin');
      await told(() => client.query('select 1/0'));
      expect(client.getTransactionStatus()).toBe('E');
      await client.query('rollback');
    });
  });

  test('has the connection of the driver, with its statements and its socket', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        await client.query({ name: 'mine', text: 'select 1' });
        const { connection } = client as unknown as { connection: Wire };
        const described = once(connection as never, 'rowDescription');
        await client.query('select 1 as one');
        await described;
        return [connection.parsedStatements['mine'], typeof connection.stream.destroy, typeof connection.on];
      }),
    );
    expect(seen).toEqual(['select 1', 'function', 'function']);
  });
});

interface Wire {
  readonly parsedStatements: Record<string, string>;
  readonly stream: { readonly destroy: unknown };
  readonly on: unknown;
}

describe('type parsers of a client', () => {
  test('are asked for and set by kind and format', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        const before = (client.getTypeParser(23, 'text') as (value: string) => unknown)('5');
        client.setTypeParser(23, (value) => `<${value}>`);
        client.setTypeParser(25, 'text', (value) => value.toUpperCase());
        const after = (client.getTypeParser(23) as unknown as (value: string) => unknown)('5');
        const unknown = (client.getTypeParser(999_999 as 23) as unknown as (value: string) => unknown)('x');
        return [before, after, unknown, (await client.query("select 1 as n, 'a'::text as t, true as b")).rows];
      }),
    );
    expect(seen).toEqual([5, '<5>', 'x', [{ n: '<1>', t: 'A', b: true }]]);
  });

  test('give way to those of a statement', async ({ database }) => {
    const types = { getTypeParser: () => (value: string) => `own ${value}` } as unknown as pg.CustomTypesConfig;
    const rows = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        client.setTypeParser(23, (value) => `<${value}>`);
        return (await client.query({ text: 'select 1 as n', types })).rows;
      }),
    );
    expect(rows).toEqual([{ n: 'own 1' }]);
  });

  test('end with the loan, where those of pg go on to the next borrower', async ({ database }) => {
    const parsed = async (pgPool: pg.Pool): Promise<unknown> => {
      await withClient(pgPool, async (client) => client.setTypeParser(23, () => 'changed'));
      return withClient(pgPool, (client) => answerOf(client, 'select 1 as n'));
    };
    expect(await onBoth(database, parsed, { max: 1 })).toEqual({ theirs: 'changed', ours: 1 });
  });
});

describe('escaping', () => {
  const UNUSUAL = [
    'plain',
    '',
    "it's",
    'a"b',
    'back\\slash',
    '\\\'"',
    'é\u{1F600}',
    'two\nlines',
    "'; drop table x; --",
  ];

  test('of names and texts is that of pg', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) =>
        UNUSUAL.map((text) => [client.escapeIdentifier(text), client.escapeLiteral(text)]),
      ),
    );
    expect(seen[2]).toEqual(['"it\'s"', "'it''s'"]);
  });

  test('brings every text through the server as it was', async ({ database }) => {
    const { pgPool } = openFacade(database.connection);
    await withClient(pgPool, async (client) => {
      for (const text of UNUSUAL) {
        expect(await answerOf(client, `select ${client.escapeLiteral(text)} as t`)).toBe(text);
        if (text === '') continue;
        const { fields } = await client.query(`select 1 as ${client.escapeIdentifier(text)}`);
        expect(fields[0]?.name).toBe(text);
      }
    });
  });
});

describe('giving a client back', () => {
  test('needs no client, and is harmless when it is done twice', async ({ database }) => {
    const twice = async (pgPool: pg.Pool): Promise<string> => {
      const { release } = await pgPool.connect();
      release();
      try {
        release();
      } catch {
        return 'threw';
      }
      const [one, other] = await Promise.all([pgPool.connect(), pgPool.connect()]);
      const pids = [await pidOf(one), await pidOf(other)];
      one.release();
      other.release();
      return pids[0] === pids[1] ? 'lent twice' : 'harmless';
    };
    expect(await onBoth(database, twice)).toEqual({ theirs: 'threw', ours: 'harmless' });
  });

  test('does not take it from whoever has the connection next', async ({ database }) => {
    const { pgPool } = openFacade(database.connection, { max: 1 });
    const before = await pgPool.connect();
    before.release();
    const after = await pgPool.connect();
    before.release();
    expect(await answerOf(after, 'select 7')).toBe(7);
    expect(await errorOf(before.query('select 1'))).toMatchObject({ code: 'ERR_LIFEGUARD_LEASE_ENDED' });
    expect(before.getTransactionStatus()).toBeNull();
    after.release();
  });

  test('with an error, or with true, replaces the connection', async ({ database }) => {
    const seen = await alike(
      database,
      async (pgPool) => {
        const replaced: boolean[] = [];
        for (const verdict of [undefined, false, new Error('unfit'), true]) {
          const client = await pgPool.connect();
          const before = await pidOf(client);
          client.release(verdict);
          replaced.push((await pidOf(pgPool)) !== before);
        }
        return replaced;
      },
      { max: 1 },
    );
    expect(seen).toEqual([false, false, true, true]);
  });

  test('is what end() of a client does, whose connection is not its own', async ({ database }) => {
    const { pool, pgPool } = openFacade(database.connection, { max: 1 });
    const one = await pgPool.connect();
    await one.end();
    expect(pool.snapshot().leased).toBe(0);
    const other = await pgPool.connect();
    await new Promise<void>((resolve) => void other.end(() => resolve()));
    expect((await pgPool.query('select 7 as n')).rows).toEqual([{ n: 7 }]);
    expect(pool.snapshot().opened).toBe(1);
  });

  test('a failing statement of a client costs no connection, of neither', async ({ database }) => {
    const same = await alike(
      database,
      async (pgPool) => {
        const pids = new Set<number>();
        for (let round = 0; round < 3; round += 1) {
          await withClient(pgPool, async (client) => {
            await told(() => client.query('select 1/0'));
            pids.add(await pidOf(client));
          });
        }
        return pids.size;
      },
      { max: 1 },
    );
    expect(same).toBe(1);
  });

  test('a failing statement of the pool costs a connection in pg, and none here', async ({ database }) => {
    const connections = async (pgPool: pg.Pool): Promise<number> => {
      const pids = new Set<number>();
      for (let round = 0; round < 3; round += 1) {
        await told(() => pgPool.query('select 1/0'));
        pids.add(await pidOf(pgPool));
      }
      return pids.size;
    };
    expect(await onBoth(database, connections, { max: 1 })).toEqual({ theirs: 3, ours: 1 });
  });
});
