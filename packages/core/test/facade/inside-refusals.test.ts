import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { answerOf, errorOf } from '../server/rig.ts';
import { promised } from './inside-library.ts';
import { prepared, put } from './inside-rig.ts';

/** What would reach beyond the transaction around it, and by which words it is named. */
const REFUSED: readonly (readonly [text: string, named: string])[] = [
  ['LISTEN jobs', 'LISTEN'],
  ['unlisten *;', 'UNLISTEN'],
  ['DISCARD ALL', 'DISCARD ALL'],
  ['discard temp', 'DISCARD TEMP'],
  ["PREPARE TRANSACTION 'x'", 'PREPARE TRANSACTION'],
  ["COMMIT PREPARED 'x'", 'COMMIT PREPARED'],
  ["ROLLBACK PREPARED 'x'", 'ROLLBACK PREPARED'],
  ['COMMIT AND CHAIN', 'COMMIT AND CHAIN'],
  ['rollback work and chain', 'ROLLBACK AND CHAIN'],
  ['RESET ALL', 'RESET ALL'],
  ['SET SESSION AUTHORIZATION DEFAULT', 'SET SESSION AUTHORIZATION'],
  ['RESET SESSION AUTHORIZATION', 'RESET SESSION AUTHORIZATION'],
  ['SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY', 'SET SESSION CHARACTERISTICS'],
  ["SET TRANSACTION SNAPSHOT '1'", 'SET TRANSACTION SNAPSHOT'],
  ['VACUUM item', 'VACUUM'],
  ['CREATE INDEX CONCURRENTLY x ON item (id)', 'CREATE INDEX CONCURRENTLY'],
  ['CREATE DATABASE other', 'CREATE DATABASE'],
  ['select 1; LISTEN jobs; select 2', 'LISTEN'],
  ['BEGIN; insert into item values (7); COMMIT; DISCARD ALL', 'DISCARD ALL'],
];

describe('what would reach beyond a transaction', () => {
  test.for(REFUSED)('is refused by name, unsent: %s', async ([text, named], { database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(async () => {
      await put(orm, 1);
      const error = await errorOf(orm.query(text));
      expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_CONTROL', consequence: 'nothing-sent' });
      expect(error.message).toContain(named);
      expect(error.message).toContain('pool.outside');
      await put(orm, 2);
    });
    expect(await stored()).toEqual([1, 2]);
  });

  test('does not fail the transaction of the library that asked for it', async ({ database }) => {
    const { pool, orm, stored } = await prepared(database);
    await pool.transaction(() =>
      promised(orm, async (client) => {
        await put(client, 1);
        expect(await errorOf(client.query('LISTEN x'))).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_CONTROL' });
        await put(client, 2);
      }),
    );
    expect(await stored()).toEqual([1, 2]);
  });

  test('is refused in a scope whose settings must hold, and done where it is outside', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    await pool.scope({ settings: { 'app.tenant': 'ada' } }, async () => {
      expect(await errorOf(orm.query('LISTEN jobs'))).toMatchObject({ code: 'ERR_LIFEGUARD_TRANSACTION_CONTROL' });
      expect(await pool.outside(() => orm.query('VACUUM item'))).toMatchObject({ command: 'VACUUM' });
    });
  });

  test('is done in a scope that says nothing about the session', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    await pool.scope({ name: 'job' }, async () => {
      expect(await orm.query('VACUUM item')).toMatchObject({ command: 'VACUUM' });
    });
  });
});

/** Their COMMIT stands in a body, where nobody looks for it; the server refuses it in a block. */
const BODIES = ['do $$ begin commit; end $$', 'call committing()', 'do $$ begin rollback; end $$'];

describe('a body that ends transactions itself', () => {
  test.for(BODIES)('is refused by the server, for itself alone: %s', async (text, { database }) => {
    const { pool, orm, stored } = await prepared(database);
    await database.query(
      'create or replace procedure committing() language plpgsql as $$ begin insert into item values (9); commit; end $$',
    );
    await pool.transaction(async () => {
      await put(orm, 1);
      expect(await errorOf(orm.query(text))).toMatchObject({ code: '2D000' });
      await put(orm, 2);
      expect(await errorOf(promised(orm, (client) => client.query(text)))).toMatchObject({ code: '2D000' });
      await put(orm, 3);
      expect(await stored()).toEqual([]);
    });
    expect(await stored()).toEqual([1, 2, 3]);
  });

  test('that ends none is a statement like any other', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    await pool.transaction(async () => {
      await orm.query('do $$ begin insert into item values (1); end $$');
      expect(await answerOf(orm, 'select count(*)::int from item')).toBe(1);
    });
  });
});

describe('the status of the connection', () => {
  test('is asked of the server, and says that a transaction is open', async ({ database }) => {
    const { pool, orm } = await prepared(database);
    const statuses = await pool.transaction(async () => {
      const client = (await orm.connect()) as unknown as {
        query(text: string): Promise<unknown>;
        getTransactionStatus(): string | null;
        release(): void;
      };
      const seen = [client.getTransactionStatus()];
      await client.query('BEGIN');
      await client.query('select 1');
      seen.push(client.getTransactionStatus());
      await errorOf(client.query('select 1/0'));
      seen.push(client.getTransactionStatus());
      await client.query('ROLLBACK');
      seen.push(client.getTransactionStatus());
      client.release();
      return [...seen, client.getTransactionStatus()];
    });
    expect(statuses).toEqual([null, 'T', 'E', 'T', null]);
  });
});
