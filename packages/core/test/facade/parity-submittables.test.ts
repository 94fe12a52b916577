import { once } from 'node:events';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { from, to } from 'pg-copy-streams';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import { alike, openFacade, withClient } from './peers.ts';
import { plain, plainError, told } from './told.ts';

const SERIES = 'select generate_series(1, $1::int) as x';

describe('pg.Query on a client', () => {
  test('calls back with its result, and is what query() returns', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, (client) =>
        told((callback) => client.query(new pg.Query({ text: SERIES, values: [2] }, callback))),
      ),
    );
    expect(seen).toMatchObject({ returned: 'Query', calledBack: 1, answer: { rows: [{ x: 1 }, { x: 2 }] } });
  });

  test('takes the callback beside it, where it has none', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        const ask = client.query.bind(client) as unknown as (...args: unknown[]) => unknown;
        return [
          await told((callback) => ask(new pg.Query('select 1 as one'), callback)),
          await told((callback) => ask(new pg.Query('select 2 as two'), undefined, callback)),
        ];
      }),
    );
    expect(seen.map(({ calledBack }) => calledBack)).toEqual([1, 1]);
  });

  test('emits its rows one by one, and then its end', async ({ database }) => {
    const log = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        const heard: unknown[] = [];
        const query = client.query(new pg.Query(SERIES, [3]));
        query.on('row', (row, result) => heard.push([row, result?.fields[0]?.name]));
        const [result] = await once(query, 'end');
        return [heard, plain(result)];
      }),
    );
    expect(log[0]).toEqual([1, 2, 3].map((x) => [{ x }, 'x']));
  });

  test('emits its error, or calls back with it', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        const failing = client.query(new pg.Query('select 1/$1::int', [0]));
        const [error] = await once(failing, 'error').catch((thrown: unknown) => [thrown]);
        const called = await told((callback) => client.query(new pg.Query('select 1/0', callback)));
        return [plainError(error), called, (await client.query('select 1 as n')).rows];
      }),
    );
    expect(seen[0]).toMatchObject({ code: '22012' });
  });

  test('has names, several statements and rows as arrays', async ({ database }) => {
    const ask = (client: pg.PoolClient, config: object | string): Promise<unknown> =>
      told((callback) => client.query(new pg.Query(config as pg.QueryConfig, callback)));
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => [
        await ask(client, { name: 'q', text: 'select 1 as n' }),
        await ask(client, { name: 'q', text: 'select 1 as n' }),
        await ask(client, 'select 1 as a; select 2 as b'),
        await ask(client, { text: 'select 1 as a, 2 as a', rowMode: 'array' }),
        await ask(client, ''),
      ]),
    );
    expect(seen).toHaveLength(5);
  });

  test('parses with the parsers that its client was given', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        client.setTypeParser(23, (value) => `<${value}>`);
        return told((callback) => client.query(new pg.Query('select 1 as n', callback)));
      }),
    );
    expect(seen).toMatchObject({ answer: { rows: [{ n: '<1>' }] } });
  });
});

describe('a cursor on a client', () => {
  test('is read piece by piece, to its end and beyond', async ({ database }) => {
    const counts = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        const cursor = client.query(new Cursor(SERIES, [5]));
        const read = [await cursor.read(2), await cursor.read(2), await cursor.read(2), await cursor.read(2)];
        await cursor.close();
        return [read, (await client.query('select 1 as n')).rows];
      }),
    );
    expect(counts[0]?.map((rows) => rows.length)).toEqual([2, 2, 1, 0]);
  });

  test('is closed early, and the statements behind it go on', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        const cursor = client.query(new Cursor(SERIES, [1_000]));
        const behind = client.query('select 7 as n');
        const first = await cursor.read(1);
        await cursor.close();
        return [first, (await behind).rows];
      }),
    );
    expect(seen).toEqual([[{ x: 1 }], [{ n: 7 }]]);
  });

  test('tells its error to whoever reads, and the client goes on', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        const cursor = client.query(new Cursor('select 1/(3 - x) from generate_series(1, 5) x'));
        return [await told(() => cursor.read(9)), (await client.query('select 7 as n')).rows];
      }),
    );
    expect(seen[1]).toEqual([{ n: 7 }]);
  });

  test('reads rows as arrays, with parsers, and with callbacks', async ({ database }) => {
    const types = { getTypeParser: () => (value: string) => `<${value}>` };
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        const config = { rowMode: 'array' as const, types: types as unknown as pg.CustomTypesConfig };
        const cursor = client.query(new Cursor(SERIES, [2], config));
        const { promise, resolve } = Promise.withResolvers<unknown>();
        cursor.read(9, (error, rows, result) => resolve([error, rows, plain(result)]));
        const read = await promise;
        await cursor.close();
        return read;
      }),
    );
    expect(seen).toMatchObject([null, [['<1>'], ['<2>']], { command: 'SELECT' }]);
  });
});

describe('a stream on a client', () => {
  test('gives all its rows, and the client back', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        const rows: unknown[] = [];
        for await (const row of client.query(new QueryStream(SERIES, [250], { batchSize: 40 }))) rows.push(row);
        return [rows.length, rows.at(-1), (await client.query('select 7 as n')).rows];
      }),
    );
    expect(seen).toEqual([250, { x: 250 }, [{ n: 7 }]]);
  });

  test('may be left in the middle', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        for await (const row of client.query(new QueryStream(SERIES, [100_000]))) if (row.x === 10) break;
        return (await client.query('select 7 as n')).rows;
      }),
    );
    expect(seen).toEqual([{ n: 7 }]);
  });

  test('fails where its statement fails', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        const stream = client.query(new QueryStream('select 1/(3 - x) from generate_series(1, 5) x'));
        return [await told(() => stream.toArray()), (await client.query('select 7 as n')).rows];
      }),
    );
    expect(seen).toMatchObject([{ answer: { code: '22012' } }, [{ n: 7 }]]);
  });
});

describe('COPY on a client', () => {
  test('brings rows in and out', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        await client.query('create temp table copied (x int)');
        const lines = Readable.from(['1\n', '2\n3\n']);
        const target = client.query(from('copy copied from stdin'));
        await pipeline(lines, target);
        const out = await text(client.query(to('copy copied to stdout')));
        return [target.rowCount, out, (await client.query('select count(*)::int as n from copied')).rows];
      }),
    );
    expect(seen).toEqual([3, '1\n2\n3\n', [{ n: 3 }]]);
  });

  test('fails where a line cannot be read, and the client goes on', async ({ database }) => {
    const seen = await alike(database, (pgPool) =>
      withClient(pgPool, async (client) => {
        await client.query('create temp table uncopied (x int)');
        const target = client.query(from('copy uncopied from stdin'));
        const failed = await told(() => pipeline(Readable.from(['one\n']), target));
        return [failed, (await client.query('select count(*)::int as n from uncopied')).rows];
      }),
    );
    expect(seen).toMatchObject([{ answer: { code: '22P02' } }, [{ n: 0 }]]);
  });
});

/** pg's own pool answers with a promise that never settles, and keeps the connection. */
describe('what answers to itself, given to the façade itself', () => {
  test('a cursor comes at once, and the connection goes back when it is closed', async ({ database }) => {
    const { pool, pgPool } = openFacade(database.connection, { max: 1 });
    const cursor = pgPool.query(new Cursor(SERIES, [5]));
    expect(await cursor.read(2)).toEqual([{ x: 1 }, { x: 2 }]);
    const waiting = pgPool.query('select 7 as n');
    await cursor.close();
    expect((await waiting).rows).toEqual([{ n: 7 }]);
    expect(pool.snapshot().leased).toBe(0);
  });

  test('a stream and a query with a callback give it back as well', async ({ database }) => {
    const { pool, pgPool } = openFacade(database.connection, { max: 1 });
    expect(await pgPool.query(new QueryStream(SERIES, [3])).toArray()).toHaveLength(3);
    const seen = await told((callback) => pgPool.query(new pg.Query('select 1 as n', callback)));
    expect(seen).toMatchObject({ returned: 'Query', calledBack: 1, answer: { rows: [{ n: 1 }] } });
    expect((await pgPool.query('select 7 as n')).rows).toEqual([{ n: 7 }]);
    expect(pool.snapshot().leased).toBe(0);
  });

  test('one that fails gives it back, and tells', async ({ database }) => {
    const { pool, pgPool } = openFacade(database.connection, { max: 1 });
    const seen = await told((callback) => pgPool.query(new pg.Query('select 1/0', callback)));
    expect(seen).toMatchObject({ calledBack: 1, answer: { code: '22012' } });
    expect(await told(() => pgPool.query(new Cursor('selekt')).read(1))).toMatchObject({ answer: { code: '42601' } });
    expect((await pgPool.query('select 7 as n')).rows).toEqual([{ n: 7 }]);
    expect(pool.snapshot().leased).toBe(0);
  });
});
