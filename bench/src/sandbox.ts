import { createPool, type LifeguardPool } from '@lifeguard/core';
import { sandbox as sandboxed } from '@lifeguard/core/testing';
import { startPostgres } from '@lifeguard/testkit';
import type { Benchmark, Findings, Say } from './benchmark.ts';
import { interleave, ratiosOf } from './interleave.ts';
import { median, medians } from './statistics.ts';

const ROUNDS = 7;
const TESTS = 200;
const AT_A_TIME = 8;

/** As many as an application of some size has; a TRUNCATE pays for each. */
const TABLES = 20;

type Reading = Record<'millisPerTest', number>;

export const sandbox: Benchmark = {
  name: 'sandbox',
  question: `How long does a suite of ${TESTS} small tests take in sandboxes, against truncating ${TABLES} tables after each?`,
  ratioOf: 'wall time, sandboxes ÷ TRUNCATE, one test after the other',
  target: { bound: 'at most', value: 0.25 },
  run,
};

async function run(say: Say): Promise<Findings> {
  const server = await startPostgres();
  const pool = createPool({ connectionString: server.url(), max: AT_A_TIME + 2 });
  try {
    await createTables(pool);
    const reading = (suite: () => Promise<unknown>) => () => timed(suite);
    const found = await interleave(
      ROUNDS,
      {
        sandboxes: reading(() => oneByOne(() => sandboxed(pool, () => test(pool)))),
        truncate: reading(() => oneByOne(() => test(pool).then(() => truncate(pool)))),
        delete: reading(() => oneByOne(() => test(pool).then(() => clear(pool)))),
        parallel: reading(() => atOnce(() => sandboxed(pool, () => test(pool)))),
      },
      say,
    );
    return findingsOf(found);
  } finally {
    await pool.close();
    await server.stop();
  }
}

type Side = 'sandboxes' | 'truncate' | 'delete' | 'parallel';

function findingsOf(found: Record<Side, Reading[]>): Findings {
  const millis = (readings: readonly Reading[]): number[] => readings.map(({ millisPerTest }) => millisPerTest);
  const against = (one: Reading[], other: Reading[]): number => median(ratiosOf(millis(one), millis(other)));
  return {
    ratios: ratiosOf(millis(found.sandboxes), millis(found.truncate)),
    unit: 'milliseconds per test (median)',
    ours: { oneByOne: medians(found.sandboxes).millisPerTest, eightAtATime: medians(found.parallel).millisPerTest },
    peers: {
      truncate: { oneByOne: medians(found.truncate).millisPerTest },
      delete: { oneByOne: medians(found.delete).millisPerTest },
    },
    extra: {
      againstDelete: against(found.sandboxes, found.delete),
      parallelAgainstTruncate: against(found.parallel, found.truncate),
    },
    notes: [
      `A test: five plain statements and one transaction of three, the same code on both sides. ${TABLES} tables, of which it writes two.`,
      `Truncating cannot run tests at the same time; sandboxes can (${AT_A_TIME} here).`,
      'The server is on this machine, with fsync off; where it is on, each COMMIT and each TRUNCATE costs more.',
    ],
  };
}

async function timed(suite: () => Promise<unknown>): Promise<Reading> {
  const startedAt = performance.now();
  await suite();
  return { millisPerTest: (performance.now() - startedAt) / TESTS };
}

async function oneByOne(one: () => Promise<unknown>): Promise<void> {
  for (let done = 0; done < TESTS; done += 1) await one();
}

async function atOnce(one: () => Promise<unknown>): Promise<void> {
  let begun = 0;
  const runner = async (): Promise<void> => {
    while (begun < TESTS) {
      begun += 1;
      await one();
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, runner));
}

async function createTables(pool: LifeguardPool): Promise<void> {
  for (let table = 0; table < TABLES; table += 1) {
    const text = `create table t${table} (id int generated always as identity primary key, name text unique, n int)`;
    await pool.query(text);
  }
}

let tests = 0;

/** What a small test of an application does. Two that run at the same time write different keys, or one would wait. */
async function test(pool: LifeguardPool): Promise<void> {
  tests += 1;
  const [ada, grace, order] = ['ada', 'grace', 'order'].map((name) => `${name} ${tests}`);
  await pool.query('insert into t0 (name, n) values ($1, 1)', [ada]);
  await pool.query('insert into t0 (name, n) values ($1, 2)', [grace]);
  await pool.query('select * from t0 order by id');
  await pool.transaction(async (tx) => {
    await tx.query('update t0 set n = n - 1 where name = $1', [grace]);
    await tx.query('insert into t1 (name, n) values ($1, 1)', [order]);
    await tx.query('select n from t0 where name = $1', [grace]);
  });
  await pool.query('select count(*) from t1');
  await pool.query('select * from t0 where name = $1', [ada]);
}

const ALL = Array.from({ length: TABLES }, (_, table) => `t${table}`);

async function truncate(pool: LifeguardPool): Promise<void> {
  await pool.query(`truncate ${ALL.join(', ')} restart identity cascade`);
}

async function clear(pool: LifeguardPool): Promise<void> {
  await pool.batch(ALL.map((table) => `delete from ${table}`));
}
