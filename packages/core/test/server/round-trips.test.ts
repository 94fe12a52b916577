import { type ConnectionParameters, missing, startPgBouncer } from '@lifeguard/testkit';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import Cursor from 'pg-cursor';
import type { LifeguardPool, Transaction, TransactionOptions } from '../../src/index.ts';
import { type Cost, trips, wiretap } from './wire.ts';

type Work = (pool: LifeguardPool) => Promise<unknown>;

const ALL: TransactionOptions = {
  isolation: 'serializable',
  readOnly: true,
  deferrable: true,
  timeoutMillis: 9_000,
  lockTimeoutMillis: 1_000,
  settings: { 'app.tenant': 7, work_mem: '8MB' },
  role: 'pg_monitor',
};

async function repeat(count: number, statement: () => Promise<unknown>): Promise<void> {
  for (let at = 0; at < count; at += 1) await statement();
}

/** A transaction of `count` statements, with parameters and without. */
function plain(count: number, options: TransactionOptions = {}): Work {
  return (pool) => pool.transaction((tx) => repeat(count, () => tx.query('select $1::int', [count])), options);
}

function withLast(count: number, options: TransactionOptions = {}): Work {
  return (pool) =>
    pool.transaction(async (tx) => {
      await repeat(count - 1, () => tx.query('select 1'));
      await tx.last('select $1::text', ['x']);
    }, options);
}

const inNested = (text: string): ((nested: Transaction) => Promise<unknown>) => {
  return (nested) => nested.query(text);
};

async function rearming(tx: Transaction): Promise<void> {
  await tx.query('select 1', [], { timeoutMillis: 20_000 });
  await tx.query('select 2', [], { timeoutMillis: 5_000 });
  await tx.query('select 3', []);
}

const three = ['select 1', { text: 'select $1::int', values: [2] }, { text: 'select 3', rowMode: 'array' as const }];

const COSTS: readonly (readonly [what: string, count: number, work: Work])[] = [
  ['a statement', 1, (pool) => pool.query('select 1')],
  ['a statement with parameters', 1, (pool) => pool.query('select $1::int', [1])],
  ['a statement with a time limit', 1, (pool) => pool.query('select 1', [], { timeoutMillis: 9_000 })],
  [
    'three statements in a scope with settings',
    3,
    (pool) => pool.scope({ settings: { 'app.tenant': 7 } }, (db) => repeat(3, () => db.query('select 1'))),
  ],
  [
    'two statements in a scope with everything',
    2,
    (pool) =>
      pool.scope(
        { settings: { 'app.tenant': 7 }, role: 'pg_monitor', readOnly: true, timeoutMillis: 9_000 },
        async (db) => repeat(2, () => db.query('select $1::int', [1])),
      ),
  ],
  ['a batch', 1, (pool) => pool.batch(three)],
  ['a batch with a time limit', 1, (pool) => pool.batch(three, { timeoutMillis: 9_000 })],
  [
    'a batch in a scope with settings',
    1,
    (pool) => pool.scope({ settings: { work_mem: '8MB' } }, (db) => db.batch(three)),
  ],
  ['a transaction without a statement', 0, (pool) => pool.transaction(() => undefined)],
  ['a transaction of one statement', 2, plain(1)],
  ['a transaction of two statements', 3, plain(2)],
  ['a transaction of five statements', 6, plain(5)],
  ['a transaction of one statement with all options', 2, plain(1, ALL)],
  ['a transaction of five statements with all options', 6, plain(5, ALL)],
  ['a transaction of one, and that the last', 1, withLast(1)],
  ['a transaction of five, the last one marked', 5, withLast(5)],
  ['a transaction of three with all options, the last one marked', 3, withLast(3, ALL)],
  ['a transaction that gathers evidence', 4, plain(3, { commitOutcome: 'resolve' })],
  ['a transaction of one batch', 2, (pool) => pool.transaction((tx) => tx.batch(three))],
  [
    'a transaction in a scope',
    3,
    (pool) =>
      pool.scope({ settings: { 'app.tenant': 7 } }, (db) =>
        db.transaction((tx) => repeat(2, () => tx.query('select 1'))),
      ),
  ],
  [
    'a nested transaction between two statements',
    4,
    (pool) =>
      pool.transaction(async (tx) => {
        await tx.query('select 1');
        await tx.transaction(inNested('select 2'), { settings: { 'app.tenant': 7 } });
        await tx.query('select 3');
      }),
  ],
  [
    'nested transactions at the beginning and at the end',
    3,
    (pool) =>
      pool.transaction(async (tx) => {
        await tx.transaction(inNested('select 1'));
        await tx.transaction((nested) => nested.transaction(inNested('select 2')));
      }),
  ],
  ['a limit that is told anew for each statement', 4, (pool) => pool.transaction(rearming)],
];

describe('on the wire to a server', () => {
  test.for(COSTS)('%s costs %i round trips', async ([, count, work], { database }) => {
    const wire = await wiretap(database.connection);
    expect(await wire.cost(() => work(wire.pool))).toEqual(trips(count));
  });

  test('the rows of a commit token cost no round trip', async ({ database }) => {
    const wire = await wiretap(database.connection);
    await wire.pool.createCommitTokens();
    expect(await wire.cost(() => plain(3, { commitOutcome: 'token' })(wire.pool))).toEqual(trips(4));
  });

  test('a nested transaction that fails costs one round trip, to go back', async ({ database }) => {
    const wire = await wiretap(database.connection);
    const work: Work = (pool) =>
      pool.transaction(async (tx) => {
        await tx.query('select 1');
        await tx.transaction(inNested('select 1/0')).catch(() => undefined);
        await tx.query('select 3');
      });
    // The server sends an error at once, and the end of the group after it.
    const { received: _, ...rest } = trips(5);
    expect(await wire.cost(() => work(wire.pool))).toMatchObject(rest);
    const back = ['ROLLBACK TO SAVEPOINT', 'RELEASE SAVEPOINT'].map((verb) => expect.stringMatching(`^${verb} `));
    const opening = ['SAVEPOINT', 'select 1/0'].map((verb) => expect.stringMatching(`^${verb}`));
    expect(wire.texts).toEqual(['BEGIN', 'select 1', ...opening, ...back, 'select 3', 'COMMIT']);
  });

  test('a nested transaction without a statement sends nothing', async ({ database }) => {
    const wire = await wiretap(database.connection);
    await wire.cost(() =>
      wire.pool.transaction((tx) => tx.transaction(() => tx.depth).then(() => tx.query('select 1'))),
    );
    expect(wire.texts).toEqual(['BEGIN', 'select 1', 'COMMIT']);
  });

  test('a cursor as the first statement lets BEGIN go before it', async ({ database }) => {
    const wire = await wiretap(database.connection);
    const { trips: count } = await wire.cost(() =>
      wire.pool.transaction(async (tx) => {
        const cursor = await tx.query(new Cursor('select generate_series(1, 5)'));
        expect(await cursor.read(9)).toHaveLength(5);
      }),
    );
    expect(wire.texts).toEqual(['BEGIN', 'select generate_series(1, 5)', 'COMMIT']);
    expect(count).toBe(4); // BEGIN, describe, rows, COMMIT.
  });

  test('a text of several statements lets BEGIN go before it', async ({ database }) => {
    const wire = await wiretap(database.connection);
    const cost = await wire.cost(() => wire.pool.transaction((tx) => tx.query('select 1; select 2')));
    expect(wire.texts).toEqual(['BEGIN', 'select 1; select 2', 'COMMIT']);
    expect(cost).toEqual(trips(3));
  });

  test('what is sent is what was asked for, its limits, and its settings', async ({ database }) => {
    const wire = await wiretap(database.connection);
    await wire.cost(() => withLast(2, { ...ALL, role: undefined })(wire.pool));
    expect(wire.texts).toEqual([
      'BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE',
      expect.stringMatching(/^SET LOCAL statement_timeout = \d+$/),
      expect.stringMatching(/^SET LOCAL lock_timeout = \d+$/),
      expect.stringMatching(/^SELECT (set_config\(\$\d+, \$\d+, true\)(, )?)+$/),
      'select 1',
      'select $1::text',
      'COMMIT',
    ]);
  });
});

/** A PgBouncer in transaction mode before the database. */
async function bouncer(target: ConnectionParameters): Promise<ConnectionParameters> {
  const pooler = await startPgBouncer({ target, poolMode: 'transaction' });
  if (pooler === undefined) throw new Error('PgBouncer is not installed');
  onTestFinished(() => pooler.stop());
  return pooler.connection();
}

describe.skipIf(missing('pgbouncer'))('on the wire to a PgBouncer in transaction mode', () => {
  test('all of that costs as many round trips', async ({ database }) => {
    const wire = await wiretap(await bouncer(database.connection));
    const costs: [string, Cost['trips'], number][] = [];
    for (const [what, count, work] of COSTS) {
      const cost = await wire.cost(() => work(wire.pool));
      costs.push([what, cost.answered, cost.sent]);
      expect(wire.pool.snapshot().leased).toBe(0);
      expect(cost.asked).toBe(count);
    }
    expect(costs).toEqual(COSTS.map(([what, count]) => [what, count, count]));
  });

  test('the changes of direction are as many, though it answers in pieces', async ({ database }) => {
    const wire = await wiretap(await bouncer(database.connection));
    for (const [what, count, work] of COSTS) {
      const { trips: changes } = await wire.cost(() => work(wire.pool));
      expect([what, changes]).toEqual([what, count]);
    }
  });
});
