import type { Database } from '@lifeguard/testkit';
import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import type { Lease, LifeguardPool, Queryable, Transaction } from '../../src/index.ts';
import { Scripts } from '../../src/pg/scripts.ts';
import { overhear, repeat } from './prepared-wire.ts';
import { answerOf, errorOf, openPool, outcomesOf } from './rig.ts';

const ALONE = { lane: false } as const;
const ONE = { name: 'one', text: 'select 1 as it' };
const OTHER = { name: 'one', text: 'select 2 as it' };

const itOf = async (asker: Pick<Queryable, 'query'>, statement: object): Promise<unknown> =>
  (await asker.query<{ it: unknown }>(statement as typeof ONE)).rows[0]?.it;

/** A statement that pg itself sends, on the connection of a transaction. */
function submitted(tx: Transaction, statement: object): Promise<unknown> {
  const answer = Promise.withResolvers<pg.QueryResult>();
  const query = new pg.Query({ ...statement } as never, (error: Error | undefined, result: pg.QueryResult) =>
    error ? answer.reject(error) : answer.resolve(result),
  );
  // It answers to itself.
  void tx.query(query as never);
  return answer.promise.then(({ rows }) => (rows[0] as { it?: unknown }).it);
}

const namesOn = (asker: Pick<Queryable, 'query'>): Promise<string[]> =>
  answerOf(asker, "select coalesce(json_agg(name order by name), '[]') from pg_prepared_statements");

describe("a user's own name", () => {
  test('is the name on the server, and prepared once', async ({ database }) => {
    const { pool, during } = await overhear(database.connection, { max: 1 });
    await pool.query('select 0');
    expect(await during(() => pool.query(ONE))).toBe('PDBES');
    expect(await during(() => pool.query(ONE))).toBe('BES');
    expect(await namesOn(pool)).toEqual(['one']);
  });

  test('is refused for another text on that connection, and stays what it was', async ({ database }) => {
    const { pool, during } = await overhear(database.connection, { max: 1 });
    await pool.query(ONE);
    const sent = await during(async () => {
      for (const ask of [() => pool.query(OTHER), () => pool.transaction((tx) => tx.query(OTHER))]) {
        expect((await errorOf(ask())).message).toMatch(/Prepared statements must be unique.*"one"/);
      }
      expect((await errorOf(pool.batch([ONE, OTHER]))).message).toMatch(/must be unique/);
    });
    expect(sent.replace(/[^P]/g, '')).toBe('');
    expect(await itOf(pool, ONE)).toBe(1);
  });

  test('that failed to be prepared is free for another text', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const ask = (text: string): Promise<unknown> => pool.query({ name: 'free', text }, undefined, ALONE);
    expect(await errorOf(ask('select nowhere'))).toMatchObject({ code: '42703' });
    expect(await errorOf(ask('selct'))).toMatchObject({ code: '42601' });
    await repeat(2, async () => expect(await ask('select 3 as it')).toMatchObject({ rows: [{ it: 3 }] }));
  });

  test('survives errors of its values and of its execution', async ({ database }) => {
    const { pool, during } = await overhear(database.connection, { max: 1 });
    const ask = (value: unknown): Promise<unknown> =>
      pool.query({ name: 'divides', text: 'select 4 / $1::int as it', values: [value] });
    expect(await errorOf(ask('x'))).toMatchObject({ code: '22P02' });
    expect(await errorOf(ask(0))).toMatchObject({ code: '22012' });
    expect(await during(() => ask(2))).toBe('BES');
  });

  test('is shared with what pg sends itself in a transaction', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const two = { name: 'two', text: 'select 2 as it' };
    const answers = await pool.transaction(async (tx) => {
      const ours = [await itOf(tx, ONE), await submitted(tx, ONE), await itOf(tx, ONE)];
      const theirs = [await submitted(tx, two), await itOf(tx, two), await submitted(tx, two), await itOf(tx, two)];
      return [ours, theirs, (await errorOf(tx.query({ ...two, text: 'select 3' }))).message];
    });
    expect(answers).toEqual([[1, 1, 1], [2, 2, 2, 2], expect.stringMatching(/must be unique/)]);
    expect(await namesOn(pool)).toEqual(['one', 'two']);
  });

  test('leaves a transaction open when pg refuses it there', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    await pool.transaction(async (tx) => {
      await tx.query(ONE);
      expect((await errorOf(submitted(tx, OTHER))).message).toMatch(/must be unique/);
      expect(await itOf(tx, ONE)).toBe(1);
    });
    expect(await itOf(pool, ONE)).toBe(1);
  });

  test('keeps its meaning through savepoints and rollbacks', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    const undone = pool.transaction(async (tx) => {
      await errorOf(
        tx.transaction(async (nested) => {
          expect(await itOf(nested, ONE)).toBe(1);
          throw new Error('back');
        }),
      );
      expect(await itOf(tx, ONE)).toBe(1);
      throw new Error('back');
    });
    await errorOf(undone);
    expect(await itOf(pool, ONE)).toBe(1);
    expect((await errorOf(pool.query(OTHER))).message).toMatch(/must be unique/);
  });

  test('may be any word, and of any pool or connection', async ({ database }) => {
    const pool = openPool(database.connection, { max: 2 });
    for (const name of ['ä€😀', ' ', "it's", 'lg_mine', 'SELECT']) {
      await repeat(2, async () => expect(await itOf(pool, { name, text: 'select 5 as it' })).toBe(5));
    }
    const [one, other] = [await pool.lease(), await pool.lease()];
    expect(await itOf(one, { name: 'there', text: 'select 6 as it' })).toBe(6);
    expect(await itOf(other, { name: 'there', text: 'select 7 as it' })).toBe(7);
    await Promise.all([one.release(), other.release()]);
  });

  test('whose plan is out of date is healed by another connection', async ({ database }) => {
    await database.query('create table aged (a int); insert into aged values (1)');
    const pool = openPool(database.connection, { max: 1 });
    const aged = { name: 'aged', text: 'select * from aged' };
    await pool.query(aged);
    await database.query('alter table aged add b int');
    expect((await pool.query(aged)).rows).toEqual([{ a: 1, b: null }]);
    await database.query('alter table aged drop b');
    expect(await pool.transaction(async (tx) => (await tx.query(aged)).rows)).toEqual([{ a: 1 }]);
  });
});

interface Aged {
  readonly pool: LifeguardPool;
  readonly lease: Lease;
  /** What its next use comes to. */
  use(value: unknown): Promise<string>;
}

/** A lease whose name `aged` the server knows, for a text whose plan is out of date: so it is to be prepared anew. */
async function staleName(database: Database): Promise<Aged> {
  await database.query('drop table if exists aged; create table aged (a int); insert into aged values (1)');
  const pool = openPool(database.connection, { max: 1 });
  const lease = await pool.lease();
  const use = async (value: unknown): Promise<string> => {
    const statement = { name: 'aged', text: 'select * from aged where a = $1', values: [value] };
    const [outcome] = await outcomesOf([lease.query(statement)]);
    return outcome as string;
  };
  expect(await use(1)).toBe('ok');
  await lease.query('begin');
  await database.query('alter table aged add b int');
  expect(await use(1)).toBe('0A000');
  await lease.query('rollback');
  return { pool, lease, use };
}

describe("a user's name whose plan is out of date", () => {
  const THROWS = {
    toPostgres: () => {
      throw Object.assign(new Error('as planned'), { code: 'PLANNED' });
    },
  };

  test('is prepared anew although its next use was not sent', async ({ database }) => {
    const { lease, use } = await staleName(database);
    expect([await use(THROWS), await use(THROWS), await use(1), await use(1)]).toEqual([
      ...['PLANNED', 'PLANNED'],
      ...['ok', 'ok'],
    ]);
    await lease.release();
  });

  test('is prepared anew although its next use has failed', async ({ database }) => {
    const { lease, use } = await staleName(database);
    await database.query('alter table aged rename to hidden');
    expect(await use(1)).toBe('42P01');
    await database.query('alter table hidden rename to aged');
    expect([await use(1), await use('x'), await use(1)]).toEqual(['ok', '22P02', 'ok']);
    await lease.release();
  });

  test('is prepared anew although its next use was skipped behind a failure', async ({ database }) => {
    const { pool, lease } = await staleName(database);
    await lease.release();
    const mine = { name: 'aged', text: 'select * from aged where a = $1', values: [1] };
    expect(await outcomesOf([pool.batch(['select 1 / 0', mine])])).toEqual(['ERR_LIFEGUARD_BATCH']);
    await repeat(3, async () => expect((await pool.query(mine)).rows).toEqual([{ a: 1, b: null }]));
  });
});

describe('a name that we would give', () => {
  test('and that a user has given to another text, is left to him', async ({ database }) => {
    const scripts = new Scripts(() => true);
    const text = 'select $1::int + 1 as it';
    const names = Array.from({ length: 5 }, () => scripts.nameOf(scripts.of(text)));
    const theirs = { name: names[4] as string, text: 'select $1::int + 1000 as it', values: [1] };
    const pool = openPool(database.connection, { max: 1 });
    expect(await itOf(pool, theirs)).toBe(1_001);
    await repeat(7, async () => expect(await itOf(pool, { text, values: [1] })).toBe(2));
    expect(await itOf(pool, theirs)).toBe(1_001);
  });
});

/** How many statements the server keeps for one connection. */
async function keptBy(pool: LifeguardPool): Promise<number> {
  return Number(await answerOf(pool, 'select count(*) from pg_prepared_statements'));
}

/** A text of its own for each number, used so often that it is prepared. */
async function heat(pool: LifeguardPool, from: number, count: number): Promise<void> {
  for (let at = from; at < from + count; at += 1) {
    await repeat(5, async () => expect((await pool.query(`select ${at} as it`, [], ALONE)).rows).toEqual([{ it: at }]));
  }
}

describe('what one connection keeps prepared', () => {
  const MOST = 320;

  test('stays in bounds with 1,000 texts that come often', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    for (let from = 0; from < 1_000; from += 100) {
      await heat(pool, from, 100);
      expect(await keptBy(pool)).toBeLessThan(MOST);
    }
    await repeat(2, () => heat(pool, 900, 100));
    expect(await keptBy(pool)).toBeGreaterThanOrEqual(100);
  });

  test('stays in bounds where temporary tables come and go', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    for (let from = 0; from < 900; from += 150) {
      await pool.transaction((tx) => tx.query('create temp table passing (a int) on commit drop'));
      await heat(pool, from, 150);
    }
    expect(await keptBy(pool)).toBeLessThan(MOST);
  });

  test('stays in bounds where every text fails once', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    for (let at = 0; at < 900; at += 1) {
      const text = `select $1::int as it${at}`;
      await repeat(5, (use) => pool.query(text, [use], ALONE));
      expect(await errorOf(pool.query(text, ['x'], ALONE))).toMatchObject({ code: '22P02' });
    }
    expect(await keptBy(pool)).toBeLessThan(MOST);
  });

  test('stays in bounds where groups fail before what they prepare', async ({ database }) => {
    const pool = openPool(database.connection, { max: 1 });
    for (let from = 0; from < 900; from += 100) {
      await heat(pool, from, 99);
      await repeat(4, () => pool.query(`select ${from + 99} as it`, [], ALONE));
      await errorOf(pool.batch(['select 1 / 0', `select ${from + 99} as it`]));
    }
    expect(await keptBy(pool)).toBeLessThan(MOST);
  });

  test('stays in bounds where 400 texts share a batch or a lane', async ({ database }) => {
    const texts = Array.from({ length: 400 }, (_, at) => `select ${at} as it`);
    const batching = openPool(database.connection, { max: 1 });
    await repeat(6, () => batching.batch(texts));
    const sharing = openPool(database.connection, { max: 2 });
    await repeat(8, async () => {
      const answers = await Promise.all(texts.map((text) => sharing.query(text)));
      expect(answers.map(({ rows }) => rows[0]?.['it'])).toEqual(texts.map((_, at) => at));
    });
    await heat(batching, 1_000, 1);
    for (const pool of [batching, sharing]) expect(await keptBy(pool)).toBeLessThan(MOST);
  });
});
