import { describe, expect, test } from '@lifeguard/testkit/vitest';
import fc from 'fast-check';
import { PLAIN_FUNCTIONS } from '../../src/pg/sql-functions.ts';
import { scanStatements } from '../../src/pg/sql-statement.ts';
import { readSql } from '../../src/pg/sql-words.ts';
import { querySql } from './sql-lane-queries.ts';
import { NOT_PLAIN, NOT_PLANNABLE, PLAIN, PLANNABLE } from './sql-lane-texts.ts';

const plainTexts = PLAIN.flatMap(([, texts]) => texts);
const otherTexts = NOT_PLAIN.flatMap(([, texts]) => texts);

function isLong(text: string): boolean {
  const [statement] = scanStatements(text);
  while (statement?.advance());
  return statement?.isLong === true;
}

describe('a plain read', () => {
  test.for(PLAIN)('may be %s, and is known by its words', ([, texts]) => {
    for (const text of texts) expect([text, readSql(text).isPlainRead]).toEqual([text, true]);
  });

  test.for(NOT_PLAIN)('is never %s, which goes to a connection of its own', ([, texts]) => {
    for (const text of texts) expect([text, readSql(text).isPlainRead]).toEqual([text, false]);
  });

  test('may call each function of the list in four spellings', () => {
    for (const name of PLAIN_FUNCTIONS) {
      for (const call of [name, `"${name}"`, `pg_catalog.${name}`, name.toUpperCase()]) {
        expect([call, readSql(`select ${call}(a) from t`).isPlainRead]).toEqual([call, true]);
        expect([call, readSql(`select s.${call}(a) from t`).isPlainRead]).toEqual([call, false]);
      }
    }
    expect(new Set(PLAIN_FUNCTIONS).size).toBe(PLAIN_FUNCTIONS.length);
  });

  test('is any query that is put together of plain parts', () => {
    const check = (text: string): void => {
      fc.pre(!isLong(text));
      expect(readSql(text).isPlainRead).toBe(true);
    };
    fc.assert(fc.property(querySql(fc.constant('1')), check), { numRuns: 2_000 });
  });

  test('is no query with a single call of something else, wherever it stands', () => {
    const calls = fc.constantFrom('f(1)', 'pg_sleep(0)', 's.lower(a)', '"F" (1)', 'over(1)', '(1).f', 'f/**/(1)');
    const check = (text: string, call: string): void => {
      expect(readSql(text.replace('SPOT', call)).isPlainRead).toBe(false);
    };
    const withSpot = querySql(fc.constant('1'), 'SPOT');
    fc.assert(fc.property(withSpot, calls, check), { numRuns: 2_000 });
  });

  test('stays what it is with comments between its tokens', () => {
    const spaced = (text: string): string => text.replace(/ /g, " /* for update; ' */ ").replace(/,/g, ' -- (\n,');
    const quoted = (text: string): boolean => /['"$]\S* /.test(text);
    for (const text of [...plainTexts, ...otherTexts].filter((one) => !quoted(one) && one !== '-- select 1')) {
      expect([text, readSql(spaced(text)).isPlainRead]).toEqual([text, readSql(text).isPlainRead]);
    }
  });
});

describe('a statement that the server plans', () => {
  test('is known by its verb', () => {
    for (const text of [...plainTexts, ...PLANNABLE]) expect([text, readSql(text).isPlannable]).toEqual([text, true]);
  });

  test('is neither a utility statement nor several', () => {
    for (const text of NOT_PLANNABLE) expect([text, readSql(text).isPlannable]).toEqual([text, false]);
  });
});
