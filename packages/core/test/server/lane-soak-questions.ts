import type { CallOptions, LifeguardPool, QueryResult } from '../../src/index.ts';

/** Whom a question is put to, with a tag that its answer must show, and below `limit` what chance has to say. */
export interface Asker {
  readonly pool: LifeguardPool;
  readonly tag: number;
  random(limit: number): number;
  /** A signal of somebody who leaves when another one is answered, or never. */
  leaver(): AbortSignal;
}

/** A question: what is wrong with its answer, if anything; and the error that it must, or may, end with. */
export interface Question {
  readonly weight: number;
  ask(asker: Asker): Promise<string | undefined>;
  /** Undefined: no error of its own is expected. */
  readonly fails?: (error: { readonly code: string; readonly message: string }, tag: number) => boolean;
}

type Rows = readonly Readonly<Record<string, unknown>>[];

export const ROWS = 1_000;

/** What they ask. */
export const TABLES = `
  create table rows (id int primary key, name text);
  insert into rows select n, 'name ' || n from generate_series(1, ${ROWS}) n;
  create table shifty (id int primary key, name text);
  insert into shifty select n, 'shifty ' || n from generate_series(1, ${ROWS}) n;
  create table marks (tag bigint);
  create function forget() returns int language plpgsql as $$ begin execute 'deallocate all'; return 1; end $$;`;

function wrong(result: QueryResult, expected: Rows): string | undefined {
  const { rows, rowCount } = result;
  if (rowCount !== expected.length || rows.length !== expected.length) return `${rowCount} rows`;
  const index = expected.findIndex((row, place) => JSON.stringify(row) !== JSON.stringify(rows[place]));
  return index < 0 ? undefined : `${JSON.stringify(rows[index])} and not ${JSON.stringify(expected[index])}`;
}

/** A question of one statement and one row. */
function plain(weight: number, text: string, row: (tag: number) => Rows[number], options?: CallOptions): Question {
  return {
    weight,
    ask: async ({ pool, tag }) => wrong(await pool.query(text, [tag], options), [row(tag)]),
  };
}

const idOf = (tag: number): number => (tag % ROWS) + 1;
const PICK = 'select id, name, $1::int as tag from rows where id = $1::int % 1000 + 1';
const pick = (tag: number): Rows[number] => ({ id: idOf(tag), name: `name ${idOf(tag)}`, tag });

export const QUESTIONS: readonly Question[] = [
  plain(3_000, 'select $1::int as tag', (tag) => ({ tag })),
  plain(3_000, PICK, pick),
  plain(500, 'select $1::int as tag, null as a, null::text as b', (tag) => ({ tag, a: null, b: null })),
  plain(100, "select $1::int as tag, repeat('x', 20000) as long", (tag) => ({ tag, long: 'x'.repeat(20_000) })),
  plain(200, 'select $1::int as tag', (tag) => ({ tag }), { lane: false }),
  plain(100, 'select $1::int as tag, pg_backend_pid() > 0 as alive', (tag) => ({ tag, alive: true })),
  plain(100, 'select $1::int as tag, pg_backend_pid() > 0 as own', (tag) => ({ tag, own: true }), { lane: true }),
  plain(50, 'insert into marks values ($1) returning tag::int', (tag) => ({ tag }), { lane: true }),
  {
    weight: 500,
    ask: async ({ pool, tag }) => wrong(await pool.query('select name from rows where id = -$1::int', [tag]), []),
  },
  {
    weight: 20,
    ask: async ({ pool, tag }) => {
      const text = 'select id, $1::int as tag from rows order by id';
      const expected = Array.from({ length: ROWS }, (_, index) => ({ id: index + 1, tag }));
      return wrong(await pool.query(text, [tag]), expected);
    },
  },
  {
    // No two of these texts are alike: nobody knows them, they are never prepared, and push others out of every cache.
    weight: 300,
    ask: async ({ pool, tag }) => wrong(await pool.query(`select ${tag} as tag`, [], { lane: true }), [{ tag }]),
  },
  {
    weight: 300,
    ask: async ({ pool, tag }) => {
      const { rows } = await pool.query<[number, string]>({ text: PICK, values: [tag], rowMode: 'array' });
      return JSON.stringify(rows) === JSON.stringify([[idOf(tag), `name ${idOf(tag)}`, tag]])
        ? undefined
        : String(rows);
    },
  },
  {
    // Hundreds of texts that are all prepared: more than one connection keeps.
    weight: 500,
    ask: async ({ pool, tag, random }) => {
      const column = `c${random(400)}`;
      return wrong(await pool.query(`select $1::int as ${column}`, [tag], { lane: true }), [{ [column]: tag }]);
    },
  },
  {
    // Its shape changes under it.
    weight: 500,
    ask: async ({ pool, tag }) => {
      const { rows } = await pool.query('select * from shifty where id = $1', [idOf(tag)]);
      const row = { id: idOf(tag), name: `shifty ${idOf(tag)}` };
      const isRight = [row, { ...row, more: 7 }].some((one) => JSON.stringify([one]) === JSON.stringify(rows));
      return isRight ? undefined : JSON.stringify(rows);
    },
  },
  {
    weight: 300,
    ask: async ({ pool, tag }) => `answered ${(await pool.query('select $1::text::int', [`x${tag}`])).rows.length}`,
    fails: ({ code, message }, tag) => code === '22P02' && message.endsWith(`"x${tag}"`),
  },
  {
    weight: 100,
    ask: async ({ pool, tag }) =>
      `answered ${(await pool.query(`select id from nowhere_${tag}`, [], { lane: true })).rows.length}`,
    fails: ({ code, message }, tag) => code === '42P01' && message.includes(`"nowhere_${tag}"`),
  },
  {
    weight: 100,
    ask: async ({ pool, tag }) => `answered ${(await pool.query('select $1::int / 0', [tag])).rows.length}`,
    fails: ({ code }) => code === '22012',
  },
  {
    weight: 100,
    ask: async ({ pool, tag }) => {
      const unreadable = (): never => {
        throw new Error(`unreadable ${tag}`);
      };
      const types = { getTypeParser: () => unreadable };
      return `answered ${(await pool.query({ text: PICK, values: [tag], types })).rows.length}`;
    },
    fails: ({ message }, tag) => message === `unreadable ${tag}`,
  },
  {
    weight: 600,
    ask: async ({ pool, tag, leaver }) => wrong(await pool.query(PICK, [tag], { signal: leaver() }), [pick(tag)]),
    fails: ({ code }) => code === 'ERR_LIFEGUARD_ABORTED',
  },
  {
    // Longer than the server lets it.
    weight: 1,
    ask: async ({ pool, tag }) =>
      `answered ${(await pool.query('select $1::int from pg_sleep(60)', [tag], { lane: true })).rows.length}`,
    fails: ({ code }) => code === 'ERR_LIFEGUARD_DEADLINE',
  },
  {
    weight: 50,
    ask: async ({ pool, tag }) => {
      const [first, second] = await pool.batch([
        { text: PICK, values: [tag] },
        { text: 'select $1::int as tag', values: [tag] },
      ]);
      return wrong(first as QueryResult, [pick(tag)]) ?? wrong(second as QueryResult, [{ tag }]);
    },
  },
  {
    weight: 100,
    ask: ({ pool, tag }) =>
      pool.transaction(async (tx) => {
        const inside = wrong(await tx.query(PICK, [tag]), [pick(tag)]);
        await tx.query('insert into marks values ($1)', [tag]);
        return inside ?? wrong(await pool.query(PICK, [tag + 1]), [pick(tag + 1)]);
      }),
  },
];
