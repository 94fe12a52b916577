import {
  type ConnectionParameters,
  type Database,
  missing,
  type PgBouncer,
  passes,
  startPgBouncer,
} from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, QueryResult } from '../../src/index.ts';
import { Notes, openPool } from './rig.ts';

/** How many callers leave. */
const LEAVERS = process.env['LIFEGUARD_LONG'] === '1' ? 5_000 : 400;
const SIDE_BY_SIDE = 7;
const MAX = 5;

interface Findings {
  /** What bystanders, who never leave, got that was not their own answer. */
  readonly harmed: string[];
  /** Leavers whose outcome does not agree with what the table holds. */
  readonly lies: string[];
  /** By outcome: how the leavers fared. */
  readonly outcomes: Map<string, number>;
  bystanders: number;
  peak: number;
}

interface Stress {
  readonly pool: LifeguardPool;
  readonly findings: Findings;
  /** Below `limit`, and the same in each run. */
  random(limit: number): number;
}

type Tagged = { readonly tag: string };

/** Whoever leaves, at any moment: in the line, under way, at the end, or too late. */
const LEAVING: readonly ((pool: LifeguardPool, tag: string, signal: AbortSignal) => Promise<unknown>)[] = [
  (pool, tag, signal) => pool.query('insert into ledger select $1 from pg_sleep(0.01)', [`x${tag}`], { signal }),
  (pool, tag, signal) => pool.scope({ signal }, (db) => db.query('select pg_sleep(0.01), $1::text', [tag])),
  (pool, tag, signal) =>
    pool.scope({ signal, settings: { 'app.tag': tag } }, (db) =>
      db.query("select pg_sleep(0.01), current_setting('app.tag')"),
    ),
  (pool, tag, signal) =>
    pool.transaction((tx) => tx.query('insert into ledger select $1 from pg_sleep(0.01)', [tag]), { signal }),
  (pool, tag, signal) =>
    pool.transaction(
      async (tx) => {
        await tx.query('insert into ledger values ($1)', [tag]);
        await tx.transaction((nested) => nested.query('select pg_sleep(0.005)'));
      },
      { signal },
    ),
  (pool, tag, signal) =>
    pool.transaction((tx) => tx.last('insert into ledger select $1 from pg_sleep(0.005)', [tag]), { signal }),
];

/** A few callers who leave by themselves, or whose time is up, and a bystander with each of them. */
async function leave(
  { pool, findings, random }: Stress,
  index: number,
): Promise<readonly [tag: string, outcome: string]> {
  const tag = `leaver ${index}`;
  const caller = new AbortController();
  const leaving = LEAVING[index % LEAVING.length] as (typeof LEAVING)[number];
  const outcome = leaving(pool, tag, caller.signal).then(
    () => 'ok',
    ({ code, message }: { code?: string; message: string }) => code ?? message,
  );
  await passes(random(30), 'callers leave at moments of their own');
  caller.abort();
  const said = await outcome;
  findings.outcomes.set(said, (findings.outcomes.get(said) ?? 0) + 1);
  return [tag, said];
}

/** Somebody who only waits for an answer; a cancel that misses its aim would hit one of these. */
async function stand({ pool, findings }: Stress, index: number): Promise<void> {
  const tag = `bystander ${index}`;
  const statement = { text: 'select $1::text as tag, pg_sleep($2)', values: [tag, (index % 4) / 1_000] };
  const answer =
    index % 3 === 0
      ? pool.transaction((tx) => tx.query<Tagged>(statement))
      : (pool.query<Tagged>(statement) as Promise<QueryResult<Tagged>>);
  const got = await answer.then(
    ({ rows }) => rows[0]?.tag,
    (error: { code?: string }) => error.code,
  );
  findings.bystanders += 1;
  if (got !== tag) findings.harmed.push(`${tag} got ${got}`);
}

interface Around {
  readonly database: Database;
  /** How many connections of the pool there are, as its server sees it. */
  count(): Promise<number>;
}

/** All of them, some side by side, while the server is asked how many connections there are. */
async function stress(connection: ConnectionParameters, { database, count }: Around): Promise<Findings> {
  await database.query('drop table if exists ledger; create table ledger (tag text)');
  const pool = openPool(connection, {
    max: MAX,
    maxWaiting: 0,
    acquireTimeoutMillis: 0,
    logger: new Notes(),
  });
  const findings: Findings = { harmed: [], lies: [], outcomes: new Map(), bystanders: 0, peak: 0 };
  let seed = 42;
  const random = (limit: number): number => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % limit;
  };
  const said: (readonly [string, string])[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < LEAVERS; index = next++) {
      const [one] = await Promise.all([
        leave({ pool, findings, random }, index),
        stand({ pool, findings, random }, index),
      ]);
      said.push(one);
    }
  };
  const watch = watchPeak(count, findings);
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, work));
  await watch();
  const written = new Set((await database.query<Tagged>('select tag from ledger')).map(({ tag }) => tag));
  findings.lies.push(...said.filter(([tag, outcome]) => isLie(tag, outcome, written)).map((one) => one.join(': ')));
  return findings;
}

/** Only those of a transaction have written under their own tag. */
function isLie(tag: string, outcome: string, written: ReadonlySet<string>): boolean {
  if (outcome === 'ERR_LIFEGUARD_COMMIT_UNKNOWN') return false;
  return outcome !== 'ok' && written.has(tag);
}

function watchPeak(count: () => Promise<number>, findings: Findings): () => Promise<void> {
  const over = new AbortController();
  const watching = (async (): Promise<void> => {
    while (!over.signal.aborted) findings.peak = Math.max(findings.peak, await count());
  })();
  return async () => {
    over.abort();
    await watching;
  };
}

/** Those who leave are told so, or were too late; anything else would be a surprise. */
const EXPECTED = ['ok', 'ERR_LIFEGUARD_ABORTED'];

/** Its own connections to the server are the pooler's business; those that it has for us are ours. */
async function clientsOf(bouncer: PgBouncer, name: string): Promise<number> {
  const clients = await bouncer.command<{ database: string; state: string }>('show clients');
  // What only brings a cancel request is none.
  return clients.filter(({ database, state }) => database === name && !state.endsWith('cancel_req')).length;
}

describe('callers that leave at any moment', () => {
  test('harm nobody else on direct connections', async ({ database }) => {
    const { harmed, lies, outcomes, bystanders, peak } = await stress(database.connection, {
      database,
      count: async () => (await database.backends()).length,
    });
    expect({ harmed, lies, bystanders }).toEqual({ harmed: [], lies: [], bystanders: LEAVERS });
    expect([...outcomes.keys()].sort()).toEqual([...EXPECTED].sort());
    expect(peak).toBeLessThanOrEqual(MAX);
  }, 600_000);

  test.skipIf(missing('pgbouncer'))(
    'harm nobody else through a pooler',
    async ({ database }) => {
      const bouncer = (await startPgBouncer({ target: database.connection, poolSize: 3 })) as PgBouncer;
      onTestFinished(() => bouncer.stop());
      const { harmed, lies, outcomes, bystanders, peak } = await stress(bouncer.connection(), {
        database,
        count: () => clientsOf(bouncer, database.name),
      });
      expect({ harmed, lies, bystanders }).toEqual({ harmed: [], lies: [], bystanders: LEAVERS });
      expect([...outcomes.keys()].sort()).toEqual([...EXPECTED].sort());
      expect(peak).toBeLessThanOrEqual(MAX);
    },
    600_000,
  );
});
