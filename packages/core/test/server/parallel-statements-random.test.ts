import { describe, expect, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, Transaction } from '../../src/index.ts';
import { openPool, outcomesOf } from './rig.ts';

/** A piece of work for a transaction, on a table of that name. */
type Deed = (tx: Transaction, table: string) => Promise<unknown>;
/** One after the other, or all at once. */
type Order = 'serial' | 'parallel';

const circle: { self?: object } = {};
circle.self = circle;

const unreadable = {
  getTypeParser: () => (): never => {
    throw Object.assign(new Error('unreadable'), { code: 'UNREADABLE' });
  },
};

const insert = (id: number): Deed => {
  return (tx, table) => tx.query(`insert into ${table} (id) values ($1)`, [id]);
};

const text = (sql: string): Deed => {
  return (tx, table) => tx.query(sql.replace('TABLE', table));
};

/** What may come, by how often it does. */
const KINDS: readonly ((id: number, random: () => number) => Deed)[] = [
  ...Array.from({ length: 14 }, () => insert),
  (id) => text(`insert into TABLE (id) values (${id})`),
  (id) => (tx, table) =>
    tx.query({ name: `put_${table}`, text: `insert into ${table} (id) values ($1)`, values: [id] }),
  (id) => (tx, table) => tx.query(`insert into ${table} (id) values ($1)`, [id], { timeoutMillis: 60_000 }),
  (id) => (tx, table) => tx.batch([`insert into ${table} (id) values (${id})`, 'select 1']),
  (id) => text(`insert into TABLE (id) values (${id}); select 1`),
  (id) => (tx, table) => tx.query({ text: `insert into ${table} (id) values (${id}) returning id`, types: unreadable }),
  () => (tx, table) => tx.query(`insert into ${table} (id) values ($1)`, [circle]),
  () => text('commit'),
  () => text('savepoint a'),
  () => text('savepoint a'),
  () => text('rollback to a'),
  () => text('rollback to a'),
  () => text('rollback to a'),
  () => text('release a'),
  () => text('insert into TABLE (id) values (0)'),
  () => text('select 1/0'),
  () => text('select from nowhere'),
];

/** Numbers from 0 to 1 that are the same for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function deeds(random: () => number, order: () => Order, depth = 0): Deed[] {
  return Array.from({ length: 2 + Math.floor(random() * 14) }, () => {
    const id = Math.floor(random() * 1_000);
    if (depth < 2 && random() < 0.08) return nested(deeds(random, order, depth + 1), order, random() < 0.3);
    const kind = KINDS[Math.floor(random() * KINDS.length)] as (typeof KINDS)[number];
    return kind(id, random);
  });
}

function nested(inner: readonly Deed[], order: () => Order, throws: boolean): Deed {
  return async (tx, table) => {
    let codes: string[] = [];
    await tx
      .transaction(async (part) => {
        codes = await perform(inner, { tx: part, table, order: order() });
        if (throws) throw Object.assign(new Error('mine'), { code: 'MINE' });
      })
      .catch((error: { code: string }) => {
        throw Object.assign(error, { code: `${error.code} after ${codes.join()}` });
      });
  };
}

async function perform(
  all: readonly Deed[],
  { tx, table, order }: { tx: Transaction; table: string; order: Order },
): Promise<string[]> {
  if (order === 'parallel') return outcomesOf(all.map((deed) => deed(tx, table)));
  const codes: string[] = [];
  for (const deed of all) codes.push(...(await outcomesOf([deed(tx, table)])));
  return codes;
}

async function play(pool: LifeguardPool, table: string, { all, order }: { all: readonly Deed[]; order: Order }) {
  let codes: string[] = [];
  const whole = await outcomesOf([
    pool.transaction(async (tx) => {
      codes = await perform(all, { tx, table, order });
    }),
  ]);
  const { rows } = await pool.query(`select id from ${table} order by place`);
  return { codes, whole, rows };
}

describe('random statements of a transaction', () => {
  const seeds = [1, 2, 3, 4, 5, 6, 7, 8];

  test.for(seeds)('asked for at once end as they would one after the other (seed %i)', async (seed, { database }) => {
    const pool = openPool(database.connection, { max: 1, logger: { warn: () => undefined } });
    for (const table of ['one', 'other'])
      await pool.query(`create table if not exists ${table} (place serial, id int check (id > 0))`);
    const random = randomFrom(seed);
    let order: Order = 'serial';
    for (let round = 0; round < 15; round += 1) {
      const all = deeds(random, () => order);
      await pool.query('truncate one, other restart identity');
      order = 'serial';
      const serial = await play(pool, 'one', { all, order });
      order = 'parallel';
      expect(await play(pool, 'other', { all, order })).toEqual(serial);
    }
  });
});
