import { waitUntil } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import QueryStream from 'pg-query-stream';
import { LifeguardError } from '../../src/index.ts';
import { slonikOptions } from '../../src/orms/index.ts';
import { SLONIK_ERRORS, slonikError } from '../../src/orms/slonik-errors.ts';
import { answerOf, errorOf, openPool } from '../server/rig.ts';
import { openSlonikClient, slonikLike } from './slonik-like.ts';

const slonik = slonikLike();

describe('what slonikOptions() answers with', () => {
  test('leaves the number of clients and the retries to us', ({ database }) => {
    const pool = openPool(database.connection);
    const { driverFactory, ...options } = slonikOptions(pool, { pg, slonik });
    expect(options).toEqual({ maxPoolSize: Number.MAX_SAFE_INTEGER, queryRetryLimit: 0, transactionRetryLimit: 0 });
    expect(driverFactory).toBeTypeOf('function');
    expect(pool.snapshot().size).toBe(0);
  });

  test('resets no connection, and ends none that rests', async ({ database }) => {
    const given: object[] = [];
    const createDriverFactory = () => async (asked: { driverConfiguration: object }) => {
      given.push(asked.driverConfiguration);
    };
    const likeness = { ...slonik, createDriverFactory };
    const { driverFactory } = slonikOptions(openPool(database.connection), { pg, slonik: likeness });
    await driverFactory({ driverConfiguration: { resetConnection: () => undefined, idleTimeout: 1, other: 2 } });
    expect(given).toEqual([{ resetConnection: undefined, idleTimeout: 'DISABLE_TIMEOUT', other: 2 }]);
  });
});

describe('a client that slonik has from us', () => {
  test('takes a connection with its first statement, and gives it back at the release', async ({ database }) => {
    const pool = openPool(database.connection);
    const { client, events } = await openSlonikClient(slonikOptions(pool, { pg, slonik }));
    await client.connect();
    events.emit('acquire');
    expect(pool.snapshot().leased).toBe(0);
    const answer = await client.query('select $1::int as n', [7]);
    expect(answer).toEqual({
      command: 'SELECT',
      rowCount: 1,
      rows: [{ n: 7 }],
      fields: [{ dataTypeId: 23, name: 'n' }],
    });
    expect(pool.snapshot().leased).toBe(1);
    events.emit('release');
    await waitUntil(() => pool.snapshot().leased === 0, { what: 'the connection to be back' });
  });

  test('works in the transaction of whoever asks, and not of whoever took it', async ({ database }) => {
    const pool = openPool(database.connection);
    const { client, events } = await openSlonikClient(slonikOptions(pool, { pg, slonik }));
    events.emit('acquire');
    await database.query('create table if not exists slonik_t (x int)');
    const undone = pool.transaction(async (tx) => {
      await client.query('insert into slonik_t values (1)');
      events.emit('release');
      expect((await tx.query('select x from slonik_t')).rows).toEqual([{ x: 1 }]);
      throw new Error('mine');
    });
    await expect(undone).rejects.toThrow('mine');
    expect(await database.query('select x from slonik_t')).toEqual([]);
  });

  test('gives back what comes when slonik has given it up', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const { client, events } = await openSlonikClient(slonikOptions(pool, { pg, slonik }));
    const lease = await pool.lease();
    const late = client.query('select 1').catch(() => undefined);
    events.emit('release');
    await lease.release();
    await late;
    await waitUntil(() => pool.snapshot().leased === 0, { what: 'the connection to be back' });
    expect((await client.query('select 7 as n')).rows).toEqual([{ n: 7 }]);
    events.emit('destroy');
  });

  test('has one connection for what is asked at once, and may ask again after a failure', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1, acquireTimeoutMillis: 100 });
    const { client, events } = await openSlonikClient(slonikOptions(pool, { pg, slonik }));
    const lease = await pool.lease();
    expect(await errorOf(client.query('select 1'))).toMatchObject({ code: 'ERR_LIFEGUARD_ACQUIRE_TIMEOUT' });
    await lease.release();
    const answers = await Promise.all([1, 2, 3].map((n) => client.query('select $1::int as n', [n])));
    expect(answers.map(({ rows }) => rows[0])).toEqual([{ n: 1 }, { n: 2 }, { n: 3 }]);
    events.emit('release');
  });

  test('hears of notices, and of the loss of its connection', async ({ database }) => {
    const pool = openPool(database.connection);
    const { client, events } = await openSlonikClient(slonikOptions(pool, { pg, slonik }));
    const heard: unknown[] = [];
    events.on('notice', (notice) => heard.push(notice));
    events.on('error', () => heard.push('error'));
    await client.query("do $$ begin raise notice 'careful'; end $$");
    expect(heard).toEqual([{ message: 'careful' }]);
    const { rows } = await client.query('select pg_backend_pid() as pid');
    await database.query('select pg_terminate_backend($1)', [rows[0]?.['pid']]);
    await waitUntil(() => heard.includes('error'), { what: 'the loss to be heard of' });
    await client.end();
  });
});

describe('the types of slonik', () => {
  const int8 = { name: 'int8', parse: (text: string) => BigInt(text) };

  test('are found by their names, and read arrays as well', async ({ database }) => {
    const options = slonikOptions(openPool(database.connection), { pg, slonik });
    const { client, events } = await openSlonikClient(options, [int8]);
    const { rows } = await client.query("select 7::int8 as one, '{1,null,3}'::int8[] as many, 1 as small");
    expect(rows).toEqual([{ one: 7n, many: [1n, null, 3n], small: 1 }]);
    events.emit('release');
  });

  test('are refused where the database has none of the name', async ({ database }) => {
    const options = slonikOptions(openPool(database.connection), { pg, slonik });
    const opening = openSlonikClient(options, [{ ...int8, name: 'nope' }]);
    expect(await errorOf(opening)).toMatchObject({
      code: 'ERR_LIFEGUARD_OPTION',
      message: expect.stringContaining('"nope", and the database has no such type'),
    });
  });
});

describe('an error', () => {
  const classes = slonik as never;
  const query = { sql: 'select', values: [] };

  test.for([
    ['23502', 'NotNullIntegrityConstraintViolationError'],
    ['23503', 'ForeignKeyIntegrityConstraintViolationError'],
    ['23505', 'UniqueIntegrityConstraintViolationError'],
    ['23514', 'CheckIntegrityConstraintViolationError'],
    ['23P01', 'CheckExclusionConstraintViolationError'],
    ['22P02', 'InvalidInputError'],
    ['25P03', 'IdleTransactionTimeoutError'],
    ['42601', 'InputSyntaxError'],
    ['57014', 'StatementTimeoutError'],
    ['57P01', 'BackendTerminatedError'],
    ['22012', 'Error'],
  ] as const)('of the state %s is a slonik %s', ([code, name]) => {
    const error = Object.assign(new Error('said the server'), { code });
    expect(slonikError(error, classes, query)).toMatchObject({ name });
  });

  test.for([
    ['Connection terminated unexpectedly', 'BackendTerminatedUnexpectedlyError'],
    ['Connection terminated', 'BackendTerminatedError'],
    ['canceling statement due to user request', 'StatementCancelledError'],
  ] as const)('that says "%s" is a slonik %s', ([message, name]) => {
    expect(slonikError(Object.assign(new Error(message), { code: '57014' }), classes, query)).toMatchObject({ name });
  });

  test('of ours is not taken for one of the driver by what it says', () => {
    const error = new LifeguardError('ERR_LIFEGUARD_CONNECTION_LOST', 'Connection terminated unexpectedly');
    expect(slonikError(error, classes, query)).toBe(error);
  });

  test('of ours stays as it is', async ({ database }) => {
    const pool = openPool(database.connection);
    const { client } = await openSlonikClient(slonikOptions(pool, { pg, slonik }));
    const late = await pool.transaction(async () => pool.bind(() => client.query('select 1')));
    expect(await errorOf(late())).toMatchObject({ name: 'LifeguardError', code: 'ERR_LIFEGUARD_TRANSACTION_ENDED' });
  });

  test('has a class for each that slonik makes itself, and the statement where that is at fault', async ({
    database,
  }) => {
    const { client, events } = await openSlonikClient(slonikOptions(openPool(database.connection), { pg, slonik }));
    expect(new Set(SLONIK_ERRORS).size).toBe(12);
    const error = await errorOf(client.query('selec 1', [1]));
    expect(error['made']).toEqual([expect.objectContaining({ code: '42601' }), { sql: 'selec 1', values: [1] }]);
    events.emit('release');
  });
});

describe('a stream of slonik', () => {
  const numbers = 'select g from generate_series(1, 500) as g';

  test.for(['inside a transaction', 'outside'] as const)(
    'has its rows with their fields %s',
    async (where, { database }) => {
      const pool = openPool(database.connection);
      const { client, events } = await openSlonikClient(slonikOptions(pool, { pg, slonik, QueryStream }));
      const read = async (): Promise<unknown[]> => {
        const rows: unknown[] = [];
        for await (const row of client.stream(numbers)) rows.push(row);
        events.emit('release');
        return rows;
      };
      const rows = await (where === 'outside' ? read() : pool.transaction(read));
      expect(rows).toHaveLength(500);
      expect(rows[0]).toEqual({ row: { g: 1 }, fields: [{ dataTypeId: 23, name: 'g' }] });
    },
  );

  test('lets other statements of its transaction run, and ends where nobody reads on', async ({ database }) => {
    const pool = openPool(database.connection);
    const { client, events } = await openSlonikClient(slonikOptions(pool, { pg, slonik, QueryStream }));
    await pool.transaction(async (tx) => {
      for await (const { row } of client.stream(numbers)) {
        expect((await tx.query('select 7 as n')).rows).toEqual([{ n: 7 }]);
        if ((row as { g: number }).g === 3) break;
      }
      events.emit('release');
      const left = async (): Promise<number> => answerOf(tx, "select count(*)::int from pg_cursors where name <> ''");
      await waitUntil(async () => (await left()) === 0, { what: 'the cursor to be closed' });
    });
  });

  test('fails with the error of slonik, and with none of its own where it is refused', async ({ database }) => {
    const pool = openPool(database.connection);
    const { client, events } = await openSlonikClient(slonikOptions(pool, { pg, slonik, QueryStream }));
    const read = async (text: string): Promise<void> => {
      for await (const _row of client.stream(text));
    };
    expect(await errorOf(read("select 'x'::text::int"))).toMatchObject({ name: 'InvalidInputError' });
    events.emit('release');
    const late = await pool.transaction(async () => pool.bind(() => read(numbers)));
    expect(await errorOf(late())).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_ENDED' });
  });

  test('is refused without the class for it', async ({ database }) => {
    const { client } = await openSlonikClient(slonikOptions(openPool(database.connection), { pg, slonik }));
    expect(() => client.stream(numbers)).toThrow(/was given no QueryStream/);
  });
});
