import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { createPool } from '../../src/index.ts';
import { answerOf } from '../server/rig.ts';
import { openFacade } from './peers.ts';

/** What is no way to ask for a façade, and what is said of it. */
const WRONG: Readonly<Record<string, readonly [unknown, RegExp]>> = {
  'no options': [undefined, /pg|options/],
  'null for options': [null, /options|object/],
  'no pg': [{}, /import pg/],
  'the Pool in the place of the package': [{ pg: pg.Pool }, /import pg/],
  'a package with no class': [{ pg: { Pool: 'Pool' } }, /import pg/],
  'a class of something else': [{ pg: { Pool: Map } }, /pg\.Pool/],
  'an option that does not exist': [{ pg, isolateStatement: true }, /isolateStatement/],
  'types that cannot parse': [{ pg, types: {} }, /types/],
  'types that are null': [{ pg, types: null }, /types/],
  'another word for late work': [{ pg, late: 'ignore' }, /late/],
  'no truth for isolateStatements': [{ pg, isolateStatements: 'no' }, /isolateStatements/],
};

describe('asPgPool()', () => {
  for (const [what, [options, said]] of Object.entries(WRONG)) {
    test(`refuses ${what}, and says why`, ({ database }) => {
      const { pool } = openFacade(database.connection);
      const make = (): unknown => pool.asPgPool(options as { pg: typeof pg });
      expect(make).toThrow(said);
      expect(make).toThrow(expect.objectContaining({ code: 'ERR_LIFEGUARD_OPTION' }));
    });
  }

  test('takes undefined for what is left out, and a polluted prototype for nothing', async ({ database }) => {
    const { pool } = openFacade(database.connection);
    const polluted = Object.prototype as { late?: string };
    polluted.late = 'nonsense';
    try {
      expect(await answerOf(pool.asPgPool({ pg, types: undefined }), 'select 7')).toBe(7);
    } finally {
      delete polluted.late;
    }
  });

  test('changes nothing of what the pool was given', async ({ database }) => {
    const ssl = Object.freeze({ rejectUnauthorized: false, key: 'k', cert: 'c' });
    const { pool } = openFacade({ ...database.connection, ssl });
    const given = Object.freeze({ pg });
    expect(pool.asPgPool(given)).toBeInstanceOf(pg.Pool);
    expect(Object.keys(ssl)).toEqual(['rejectUnauthorized', 'key', 'cert']);
  });

  test('opens no connection and takes none', ({ database }) => {
    const { pool, pgPool } = openFacade(database.connection);
    expect(pool.snapshot()).toMatchObject({ size: 0, leased: 0 });
    expect(pgPool.totalCount).toBe(0);
  });

  test('parses with the types that it was given, where a statement brings none', async ({ database }) => {
    const { pool } = openFacade(database.connection);
    const types = { getTypeParser: (oid: number) => (value: string) => `${oid}: ${value}` };
    const pgPool = pool.asPgPool({ pg, types });
    expect(await answerOf(pgPool, 'select 1')).toBe('23: 1');
    const client = await pgPool.connect();
    expect(await answerOf(client, 'select 1')).toBe('23: 1');
    client.setTypeParser(23, () => 'own');
    const { rows } = await client.query("select 1 as n, 'a'::text as t");
    expect(rows).toEqual([{ n: 'own', t: '25: a' }]);
    client.release();
    expect(await answerOf(pool, 'select 1')).toBe(1);
  });

  test('parses with those of the copy of pg that it was given', async ({ database }) => {
    const { pool } = openFacade(database.connection);
    const types = { getTypeParser: () => (value: string) => `copy: ${value}` };
    const copy = { Pool: class Pool extends pg.Pool {}, types };
    expect(await answerOf(pool.asPgPool({ pg: copy }), 'select 1')).toBe('copy: 1');
  });

  test('follows what an application sets in pg.types', async ({ database }) => {
    const { pgPool } = openFacade(database.connection);
    const before = pg.types.getTypeParser(20);
    pg.types.setTypeParser(20, (value) => BigInt(value));
    try {
      expect(await answerOf(pgPool, 'select 1::bigint')).toBe(1n);
    } finally {
      pg.types.setTypeParser(20, before);
    }
    expect(await answerOf(pgPool, 'select 1::bigint')).toBe('1');
  });

  test('works with a pool that knows no ambient context, as a plain pool', async ({ database }) => {
    const pool = createPool({ ...database.connection, mode: 'explicit' });
    const pgPool = pool.asPgPool({ pg });
    await pool.transaction(async (tx) => {
      await tx.query('create temp table only_here (x int)');
      expect(await answerOf(pgPool, "select to_regclass('only_here')")).toBeNull();
    });
    await pool.close();
  });

  test('pg-native is refused before there is a pool to make a façade of', () => {
    process.env['NODE_PG_FORCE_NATIVE'] = '1';
    try {
      expect(() => createPool()).toThrow(/pg-native is refused/);
    } finally {
      delete process.env['NODE_PG_FORCE_NATIVE'];
    }
  });
});
