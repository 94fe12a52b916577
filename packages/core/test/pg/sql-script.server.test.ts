import { describe, expect, test } from '@lifeguard/testkit/vitest';
import fc from 'fast-check';
import pg from 'pg';
import { type Part, readScript } from '../../src/pg/sql-script.ts';
import { readSql } from '../../src/pg/sql-words.ts';

/** `pnpm test:long` tries forty times as many scripts. */
const LENGTH = process.env['LIFEGUARD_LONG'] === '1' ? 40 : 1;

async function withClient(connection: pg.ClientConfig, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client(connection);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

/** What the server says that it has executed, or undefined where it refused. */
async function tagsOf(client: pg.Client, text: string): Promise<readonly string[] | undefined> {
  try {
    const answer: pg.QueryResult | pg.QueryResult[] = await client.query(text);
    const commands = (Array.isArray(answer) ? answer : [answer]).map(({ command }) => command);
    return commands.filter((command) => command !== null).map((tag) => (tag === 'START' ? 'BEGIN' : tag));
  } catch (error) {
    if (error instanceof pg.DatabaseError) return undefined;
    throw error;
  }
}

const gap = fc.constantFrom(' ', ' ', '\n', '/* ; begin */', ' -- ; commit\n');
const phrase = (words: fc.Arbitrary<readonly string[]>): fc.Arbitrary<string> =>
  fc.tuple(words, gap, fc.boolean()).map(([parts, between, isUpper]) => {
    const text = parts.join(between);
    return isUpper ? text.toUpperCase() : text;
  });

describe('a command', () => {
  const VERBS = ['begin', 'start', 'commit', 'end', 'rollback', 'abort', 'savepoint', '(', '((begin'];
  const WORDS = ['work', 'transaction', 'and', 'no', 'chain', 'and chain', 'and no chain', 'to', 'savepoint', 'a', ')'];
  const command = phrase(
    fc
      .tuple(fc.constantFrom(...VERBS), fc.array(fc.constantFrom(...WORDS), { maxLength: 3 }))
      .map(([verb, words]) => [verb, ...words]),
  );

  /** What it did to an open transaction with a savepoint in it. */
  async function deedOf(client: pg.Client, text: string): Promise<Part['kind']> {
    await client.query('rollback; begin; savepoint a');
    const [tag] = (await tagsOf(client, text)) ?? [];
    const isOver = client.getTransactionStatus() === 'I';
    if (tag === 'BEGIN') return 'begin';
    if (tag === 'COMMIT') return isOver ? 'commit' : 'refused';
    if (tag === 'ROLLBACK' && isOver) return 'rollback';
    return tag === 'ROLLBACK' && /chain/i.test(text) ? 'refused' : 'statements';
  }

  test('does to a transaction what is read in it', async ({ database }) => {
    const seen = new Set<string>();
    await withClient(database.connection, async (client) => {
      const check = async (text: string): Promise<void> => {
        const deed = await deedOf(client, text);
        seen.add(deed);
        expect(readScript(text).map(({ kind }) => kind)).toEqual([deed]);
      };
      await fc.assert(fc.asyncProperty(command, check), { numRuns: 1_500 * LENGTH });
    });
    expect([...seen].sort()).toEqual(['begin', 'commit', 'refused', 'rollback', 'statements']);
  });
});

describe('modes', () => {
  const OPENERS = ['begin', 'begin work', 'start transaction', 'set transaction', 'set local transaction'];
  const ODD = [
    'set session transaction',
    'start',
    'begin begin',
    'set local session transaction',
    'set session session transaction',
  ];
  const LEVELS = ['read uncommitted', 'read committed', 'repeatable read', 'serializable'];
  const ITEMS = [...LEVELS.map((level) => `isolation level ${level}`), 'read only', 'read write', 'deferrable'];
  const item = fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...ITEMS, 'not deferrable') },
    { weight: 4, arbitrary: fc.constant(',') },
    { weight: 1, arbitrary: fc.constantFrom('read', 'not', 'isolation level', 'only', '()', "'serializable'") },
  );
  const wish = phrase(
    fc
      .tuple(fc.constantFrom(...OPENERS, ...ODD), fc.array(item, { maxLength: 5 }))
      .map(([opener, items]) => `${opener} ${items.join(' ')}`.trim().split(' ')),
  );

  /** Those in force in a transaction that was begun or told so, or undefined where the server refused. */
  async function inForce(client: pg.Client, text: string): Promise<unknown> {
    await client.query(/^set/i.test(text) ? 'rollback; begin' : 'rollback');
    if ((await tagsOf(client, text)) === undefined) return undefined;
    const { rows } = await client.query(`select current_setting('transaction_isolation') as isolation,
      current_setting('transaction_read_only')::bool as "readOnly",
      current_setting('transaction_deferrable')::bool as deferrable`);
    return rows[0];
  }

  test('are read exactly where the server accepts them, and as it takes them', async ({ database }) => {
    let accepted = 0;
    const defaults = { isolation: 'read committed', readOnly: false, deferrable: false };
    await withClient(database.connection, async (client) => {
      const check = async (text: string): Promise<void> => {
        const modes = await inForce(client, text);
        if (modes !== undefined) accepted++;
        const [part] = readScript(text);
        expect(part !== undefined && 'modes' in part ? { ...defaults, ...part.modes } : undefined).toEqual(modes);
      };
      await fc.assert(fc.asyncProperty(wish, check), { numRuns: 1_500 * LENGTH });
    });
    expect(accepted).toBeGreaterThan(200);
  });
});

describe('any script', () => {
  const NASTY = [
    "'; commit; '",
    '$$; begin; $$',
    "E'\\'; rollback; '",
    '1 as "; end; "',
    "U&'; commit'",
    '(1)',
    '1/**/-1',
  ];
  const CONTROLS = ['begin', 'start transaction read only', 'commit', 'end work', 'rollback', 'abort and no chain'];
  const OTHERS = [
    'set transaction read only',
    'begin isolation level serializable',
    'commit and chain',
    'discard plans',
  ];
  const select = fc.constantFrom(...NASTY).map((column) => `select ${column}`);
  const statement = fc.oneof(select, fc.constantFrom(...CONTROLS, ...OTHERS), fc.constant(''));
  const script = fc
    .array(fc.tuple(gap, statement, gap), { maxLength: 7 })
    .map((parts) => parts.map((pieces) => pieces.join('')).join(';'));

  const TAGS = { begin: 'BEGIN', modes: 'SET', commit: 'COMMIT', rollback: 'ROLLBACK' } as const;

  /** By its parts, what the server would say to it. */
  function foretold(part: Part): readonly string[] {
    if (part.kind === 'statements') return Array.from({ length: readSql(part.text).statements }, () => 'SELECT');
    return [part.kind === 'refused' ? (part.what.split(' ')[0] ?? '') : TAGS[part.kind]];
  }

  test('is cut into parts that run in the order in which the server runs it', async ({ database }) => {
    let accepted = 0;
    await withClient(database.connection, async (client) => {
      const check = async (text: string): Promise<void> => {
        await client.query('rollback');
        const tags = await tagsOf(client, text);
        if (tags === undefined) return;
        accepted++;
        const parts = readScript(text);
        expect(parts.flatMap(foretold)).toEqual(tags);
        for (const part of parts) {
          if ('text' in part && part.kind === 'statements')
            expect(await tagsOf(client, part.text)).toEqual(foretold(part));
        }
      };
      await fc.assert(fc.asyncProperty(script, check), { numRuns: 1_000 * LENGTH });
    });
    expect(accepted).toBeGreaterThan(300);
  });

  const NOISE = [
    "'",
    '$$',
    '/*',
    '*/',
    '--',
    '\n',
    '\\',
    "E'",
    ' ',
    '(',
    ')',
    ';',
    ';',
    ';begin;',
    ';commit;',
    'select 1',
  ];

  test('of noise controls nothing that is not read in it', async ({ database }) => {
    const noise = fc.array(fc.constantFrom(...NOISE), { minLength: 2, maxLength: 12 }).map((pieces) => pieces.join(''));
    let controlling = 0;
    await withClient(database.connection, async (client) => {
      const check = async (text: string): Promise<void> => {
        await client.query('rollback');
        const tags = (await tagsOf(client, text)) ?? [];
        const controls = tags.filter((tag) => tag === 'BEGIN' || tag === 'COMMIT');
        if (controls.length > 0) controlling++;
        const read = readScript(text).filter(({ kind }) => kind !== 'statements');
        if (tags.length > 0) expect(read.flatMap(foretold)).toEqual(controls);
      };
      await fc.assert(fc.asyncProperty(noise, check), { numRuns: 1_500 * LENGTH });
    });
    expect(controlling).toBeGreaterThan(0);
  });
});
