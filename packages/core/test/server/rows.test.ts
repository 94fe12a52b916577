import { test as base, describe, expect } from '@lifeguard/testkit/vitest';
import { createPool } from '../../src/index.ts';
import { answerOfPg, answersOf, BATCHLESS, EVERYWHERE, type Given, type Pools, type WayName } from './rows-parity.ts';
import { GROUND, LONERS, STATEMENTS, TYPES } from './rows-statements.ts';

const test = base.extend<{ pools: Pools }>({
  pools: [
    async ({ database: { connection } }, use) => {
      const setUp = createPool({ ...connection, max: 1 });
      await setUp.query(GROUND);
      const cold = createPool({ ...connection, name: 'cold', max: 2, prepare: false });
      const warm = createPool({ ...connection, name: 'warm', max: 2 });
      await use({ connection, cold, warm });
      await Promise.all([setUp, cold, warm].map((pool) => pool.close({ graceMillis: 0 })));
    },
    { scope: 'file' },
  ],
});

async function expectParity(pools: Pools, given: Given, ways: readonly WayName[]): Promise<void> {
  const expected = await answerOfPg(pools.connection, given);
  const seen = await answersOf(pools, given, ways);
  for (const [how, answer] of Object.entries(seen)) expect(answer, how).toEqual(expected);
}

const shouting = { getTypeParser: () => (text: string) => `${text}!` };
const failing = {
  getTypeParser: (oid: number) => (text: string) => {
    if (text === '2') throw new Error(`no ${oid}`);
    return text;
  },
};
const values = [1, 'x'];

const SHAPED: Readonly<Record<string, Given>> = {
  'rows as arrays': { text: 'select id, name, data from things order by id', rowMode: 'array' },
  'rows as arrays with a name that comes twice': { text: 'select 1 as a, null as a, 2 as a', rowMode: 'array' },
  'rows as arrays without columns': { text: 'select from things', rowMode: 'array' },
  'parsers of its own': { text: 'select id, name, at from things order by id', types: shouting },
  'parsers of its own and rows as arrays': { text: 'select id, name from things', types: shouting, rowMode: 'array' },
  'a parser that throws in the middle': { text: 'select id from things order by id', types: failing },
  'a parser that throws before the server fails': { text: 'select 1 / (3 - id) from things', types: failing },
  values: { text: 'select $1::int as a, $2::text as b', values },
  'values and rows as arrays': { text: 'select $1::int as a, $2::text as b', values, rowMode: 'array' },
  'values that are inserted': { text: 'insert into sink values ($1, $2) returning *', values },
  'a value that counts what it updates': { text: 'update things set name = name where id >= $1', values: [2] },
  'a value of the wrong type': { text: 'select $1::int as a', values: ['x'] },
  'a value too many': { text: 'select $1::int as a', values: [1, 2] },
  'a value for which there is no place': { text: 'select 1 as a', values: [1] },
  'a value that breaks a rule': { text: 'insert into things values ($1, $2)', values },
  'the extended protocol': { text: 'select 1 as a', queryMode: 'extended' },
  'the extended protocol and rows as arrays': { text: 'table things', queryMode: 'extended', rowMode: 'array' },
};

describe('a pool answers as a client of pg does', () => {
  test.for(named([...TYPES, ...STATEMENTS]))('to the text: %s', async ([, text], { pools }) => {
    await expectParity(pools, text, EVERYWHERE);
  });

  test.for(LONERS)('to a text that travels alone: %s', async (text, { pools }) => {
    await expectParity(pools, text, BATCHLESS);
  });

  test.for(Object.entries(SHAPED))('to a statement with %s', async ([, given], { pools }) => {
    await expectParity(pools, given, EVERYWHERE);
  });
});

/** Each with a name that can be read in a report. */
function named(texts: readonly string[]): readonly (readonly [string, string])[] {
  return texts.map((text) => [text.length > 200 ? `${text.slice(0, 80)} … (${text.length})` : text, text] as const);
}
