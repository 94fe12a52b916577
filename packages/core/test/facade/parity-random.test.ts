import { describe, expect, test } from '@lifeguard/testkit/vitest';
import fc from 'fast-check';
import pg from 'pg';
import Cursor from 'pg-cursor';
import { type Asker, openFacade, openPgPool, withClient } from './peers.ts';
import { told } from './told.ts';

const TEXTS = [
  ...['begin', 'commit', 'rollback', 'savepoint s', 'rollback to s', 'release s'],
  ...[
    'insert into played (x) values (1)',
    'update played set x = x + 1 returning x',
    'select count(*)::int as n from played',
  ],
  ...[
    'select 1/0',
    'selekt',
    'select 1 as a; select 2 as b',
    '',
    "set local app.played = 'x'",
    'commit; select 1 as one',
  ],
] as const;

/** One thing that is done with a client, without waiting for the one before. */
type Move =
  | { readonly kind: 'text' | 'callback' | 'query' | 'named'; readonly text: (typeof TEXTS)[number] }
  | { readonly kind: 'values'; readonly value: number }
  | { readonly kind: 'cursor'; readonly rows: number };

const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom('text', 'callback', 'query', 'named'),
      text: fc.constantFrom(...TEXTS),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('values'), value: fc.integer({ min: -1, max: 1 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cursor'), rows: fc.integer({ min: 1, max: 4 }) }) },
);

async function make(client: Asker, one: Move): Promise<unknown> {
  switch (one.kind) {
    case 'text':
      return told(() => client.query(one.text));
    case 'callback':
      return told((callback) => client.query(one.text, callback));
    case 'query':
      return told((callback) => client.query(new pg.Query(one.text, callback)));
    case 'named':
      return told(() => client.query({ name: one.text.replaceAll(/\W/g, '_') || 'empty', text: one.text }));
    case 'values':
      return told(() => client.query('select 6 / $1::int as x', [one.value]));
    case 'cursor':
      return readSome(client.query(new Cursor('select generate_series(1, 3) as x')) as Cursor, one.rows);
    default:
      return one satisfies never;
  }
}

async function readSome(cursor: Cursor, rows: number): Promise<unknown> {
  const read = await told(() => cursor.read(rows).then((some) => ({ fields: [], rows: some })));
  await cursor.close().catch(() => undefined);
  return read;
}

/** At which step the server found a fault depends on what was prepared before; what it says does not. */
const AT_WHICH_STEP: ReadonlySet<string> = new Set(['line', 'file', 'routine', 'position']);

const withoutSteps = (answers: unknown): unknown =>
  JSON.parse(JSON.stringify(answers, (key, value) => (AT_WHICH_STEP.has(key) ? undefined : value)));

/** All that was told, in its order, and what is left in the end. */
async function play(pgPool: pg.Pool, moves: readonly Move[]): Promise<unknown[]> {
  await pgPool.query('create table if not exists played (x int); truncate played');
  const answers = await withClient(pgPool, async (client) => {
    const all = await Promise.all(moves.map((one) => make(client as Asker, one)));
    return [...all, await told(() => client.query('rollback')), client.getTransactionStatus()];
  });
  return [...answers, (await pgPool.query('select x from played order by x')).rows];
}

describe('whatever is asked of a client at once', () => {
  test('is answered as pg answers it, and leaves the same behind', async ({ database }) => {
    const theirs = openPgPool(database.connection, { max: 1 });
    const ours = openFacade(database.connection, { max: 1 }).pgPool;
    await fc.assert(
      fc.asyncProperty(fc.array(move, { minLength: 1, maxLength: 12 }), async (moves) => {
        const expected = withoutSteps(await play(theirs, moves));
        expect(withoutSteps(await play(ours, moves))).toEqual(expected);
      }),
      { numRuns: 150 },
    );
  });
});
