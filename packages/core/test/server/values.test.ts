import { test as base, describe, expect } from '@lifeguard/testkit/vitest';
import fc from 'fast-check';
import { createPool, type Statement } from '../../src/index.ts';
import { errorOf } from './rig.ts';
import { answerOfPg, answersOf, EVERYWHERE, type Pools } from './rows-parity.ts';

const test = base.extend<{ pools: Pools }>({
  pools: [
    async ({ database: { connection } }, use) => {
      const cold = createPool({ ...connection, name: 'cold', max: 2, prepare: false });
      const warm = createPool({ ...connection, name: 'warm', max: 2 });
      await use({ connection, cold, warm });
      await Promise.all([cold, warm].map((pool) => pool.close({ graceMillis: 0 })));
    },
    { scope: 'file' },
  ],
});

async function expectParity(pools: Pools, given: Statement): Promise<void> {
  const expected = await answerOfPg(pools.connection, given);
  const seen = await answersOf(pools, given, EVERYWHERE);
  for (const [how, answer] of Object.entries(seen)) expect(answer, how).toEqual(expected);
}

const asText = (value: unknown): Statement => ({ text: 'select $1::text as it', values: [value] });
const sized = (value: unknown, type: string): Statement => ({ text: `select $1::${type} as it`, values: [value] });

class Celsius {
  readonly degrees: unknown;
  constructor(degrees: unknown) {
    this.degrees = degrees;
  }
  toPostgres(prepareValue: (value: unknown) => unknown): unknown {
    return prepareValue(this.degrees);
  }
}
class Loop {
  toPostgres(): unknown {
    return this;
  }
}
const ring: { self?: unknown } = {};
ring.self = ring;
const bytes = Uint8Array.from([104, 105]);
const named = (name: string): (() => string) => Object.assign(() => name, { toString: () => name });

const VALUES: Readonly<Record<string, Statement>> = {
  undefined: asText(undefined),
  null: asText(null),
  true: asText(true),
  'a boolean for a boolean': sized(false, 'bool'),
  'minus zero': asText(-0),
  NaN: sized(Number.NaN, 'float8'),
  Infinity: sized(-Infinity, 'float8'),
  '1e21': asText(1e21),
  '1e-7': sized(1e-7, 'numeric'),
  'a large integer': sized(Number.MAX_SAFE_INTEGER, 'int8'),
  'an integer that is too large': sized(2 ** 31, 'int4'),
  'a bigint': sized(2n ** 63n - 1n, 'int8'),
  'a bigint that is too large': sized(2n ** 63n, 'int8'),
  'an empty string': asText(''),
  'a string of other planes': asText('a\u{1f600}\u{10ffff}b'),
  'a lone surrogate': asText('a\ud83d'),
  'the other lone surrogate': asText('\ude00b'),
  'quotes and backslashes': asText('\\ \' " $1 \n\t'),
  'a NUL inside': asText('a\0b'),
  'a symbol': asText(Symbol('it')),
  'a function': asText(named('it')),
  'a date': sized(new Date(Date.UTC(2024, 1, 29, 23, 59, 59, 999)), 'timestamptz'),
  'a date as text': asText(new Date(0)),
  'a date before Christ': sized(new Date(Date.UTC(-43, 2, 15)), 'timestamptz'),
  'a date of year 1': sized(new Date('0001-01-01T00:00:00Z'), 'timestamptz'),
  'a date far from now': sized(new Date(8.64e15), 'timestamptz'),
  'no date at all': sized(new Date(Number.NaN), 'timestamptz'),
  'a buffer': sized(Buffer.from([0, 1, 255]), 'bytea'),
  'an empty buffer': sized(Buffer.alloc(0), 'bytea'),
  'a buffer as text': asText(Buffer.from('hä')),
  'a buffer that is no text': asText(Buffer.from([255])),
  'a part of an array of bytes': sized(Uint8Array.from([1, 2, 3, 4]).subarray(1, 3), 'bytea'),
  'an array of words': sized(Uint16Array.from([1, 258]), 'bytea'),
  'a data view': sized(new DataView(bytes.buffer, 1), 'bytea'),
  'a bare array buffer': sized(bytes.buffer, 'json'),
  'an array': sized([1, null, undefined, 3], 'int[]'),
  'an array of arrays': sized([[1, 2], [3, null]], 'int[]'), // biome-ignore format: one line
  'an empty array': sized([], 'text[]'),
  'an array of strings that need care': sized(['a,b', '"', '\\', 'NULL', '', '{}', 'ä😀'], 'text[]'),
  'an array of buffers': sized([Buffer.from([0, 255]), bytes, null], 'bytea[]'),
  'an array of dates': sized([new Date(0), null], 'timestamptz[]'),
  'an array of objects': sized([{ a: 1 }, null], 'jsonb[]'),
  'an array of things that say how': sized([new Celsius(1), new Celsius(null)], 'int[]'),
  'an array with holes': sized(Object.assign(Array(3), { 0: 1, 2: 3 }), 'int[]'),
  'an object': sized({ a: [1, null, { b: 'ä' }], c: undefined }, 'jsonb'),
  'an object without prototype': sized(Object.assign(Object.create(null), { a: 1 }), 'jsonb'),
  'an object that is nothing in JSON': asText({ toJSON: () => undefined }),
  'a map': sized(new Map([[1, 2]]), 'jsonb'),
  'an object in a ring': sized(ring, 'jsonb'),
  'an object with a bigint': sized({ a: 1n }, 'jsonb'),
  'a String object': asText(new String('it')),
  'a Number object': asText(new Number(7)),
  'a regular expression': asText(/a/),
  'one that says how': asText(new Celsius(21.5)),
  'one that says how twice': asText(new Celsius(new Celsius(Buffer.from('x')))),
  'one that says null': asText(new Celsius(undefined)),
  'one that says a date': sized(new Celsius(new Date(0)), 'timestamptz'),
  'one that says itself': asText(new Loop()),
  'one that cannot say how': asText({
    toPostgres() {
      throw new Error('I cannot');
    },
  }),
};

describe('a value arrives as that of a client of pg', () => {
  test.for(Object.entries(VALUES))('where it is %s, or so', async ([, given], { pools }) => {
    await expectParity(pools, given);
  });

  test('where it is a date in some other zone', async ({ pools }) => {
    const zone = process.env['TZ'];
    for (const place of ['Asia/Kolkata', 'America/St_Johns', 'Pacific/Apia', 'UTC']) {
      process.env['TZ'] = place;
      const at = new Date('2024-03-31T01:30:00.123Z');
      const { rows } = await pools.warm.query('select $1::timestamptz as it, $2::text as zone', [at, place]);
      expect(rows).toEqual([{ it: at, zone: place }]);
    }
    if (zone === undefined) delete process.env['TZ'];
    else process.env['TZ'] = zone;
  });

  test('where it is a string of any length', async ({ pools: { cold, warm } }) => {
    for (const length of [0, 1, 23, 24, 25, 682, 683, 2_047, 2_048, 2_049, 16_383, 16_384, 16_385, 100_000]) {
      for (const character of ['a', 'ä', '€', '😀']) {
        const texts = [
          character.repeat(length),
          `${'a'.repeat(length)}${character}`,
          `${character}${'a'.repeat(length)}`,
        ];
        for (const pool of [cold, warm]) {
          const { rows } = await pool.query('select $1::text as a, $2::text as b, $3::text as c', texts);
          expect(Object.values(rows[0] ?? {}).every((text, at) => text === texts[at])).toBe(true);
        }
      }
    }
  });
});

const anyValue = fc.oneof(
  fc.constantFrom(null, undefined, true, -0, 1e21, 2n ** 70n, Symbol('s'), named('f')),
  fc.double(),
  fc.bigInt(),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 3_000 }),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
  fc.uint16Array({ maxLength: 9 }),
  fc.array(fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.array(fc.string())), { maxLength: 5 }),
  fc.jsonValue(),
  fc.string().map((text) => new Celsius(text)),
);

describe('any list of values', () => {
  test('is answered as pg answers it, prepared or not', async ({ pools }) => {
    const property = fc.asyncProperty(fc.array(anyValue, { minLength: 1, maxLength: 12 }), async (values) => {
      const text = `select ${values.map((_, at) => `$${at + 1}::text as v${at}`).join(', ')}`;
      const expected = await answerOfPg(pools.connection, { text, values });
      const seen = await answersOf(pools, { text, values }, ['alone', 'on a lane', 'twice in a batch']);
      for (const answer of Object.values(seen)) expect(answer).toEqual(expected);
    });
    await fc.assert(property, { numRuns: process.env['LIFEGUARD_LONG'] === '1' ? 5_000 : 60 });
  });
});

describe('the number of values', () => {
  const sum = (count: number): string => `select array_length(array[${places(count)}], 1) as it`;
  const places = (count: number): string => Array.from({ length: count }, (_, at) => `$${at + 1}::int`).join(',');

  for (const name of [undefined, 'many'] as const) {
    for (const count of [32_767, 32_768, 65_535]) {
      test(`may be ${count}, ${name === undefined ? 'without' : 'with'} a name`, async ({ pools }) => {
        const values = Array(count).fill(7);
        const own = name === undefined ? {} : { name: `${name}${count}` };
        for (let use = 1; use <= 3; use += 1) {
          const { rows } = await pools.warm.query({ text: sum(count), values, ...own });
          expect(rows).toEqual([{ it: count }]);
        }
      });
    }
  }

  test('is refused beyond that before anything is sent', async ({ pools }) => {
    const tooMany = { text: 'select 1', values: Array(65_536).fill(7) };
    const ways = [
      () => pools.warm.query(tooMany),
      () => pools.warm.query({ ...tooMany, name: 'n' }),
      () => pools.warm.query(tooMany, undefined, { lane: true }),
      () => pools.warm.transaction((tx) => tx.query(tooMany)),
      () => pools.warm.batch([tooMany]),
    ];
    for (const way of ways) {
      const error = await errorOf(way());
      expect(error).toMatchObject({ code: 'ERR_LIFEGUARD_ARGUMENT', consequence: 'nothing-sent' });
      expect(error.message).toContain('65535 values at most, not 65536');
    }
  });
});

describe('a value with code of its own', () => {
  test('that fails is told with its own error, and others are not concerned', async ({ pools: { warm } }) => {
    const mine = new Error('mine');
    const throwing = {
      toPostgres() {
        throw mine;
      },
    };
    for (let use = 1; use <= 7; use += 1) {
      const asked = [[use], [throwing], [use]].map((values) => warm.query('select $1::int as mine', values));
      const [before, failed, behind] = await Promise.allSettled(asked);
      expect(failed).toEqual({ status: 'rejected', reason: mine });
      expect([before, behind]).toMatchObject(Array(2).fill({ value: { rows: [{ mine: use }] } }));
    }
  });

  test('that asks for something else meanwhile mixes nothing up', async ({ pools: { warm } }) => {
    const inner: Promise<unknown>[] = [];
    const ask = (): string => {
      inner.push(warm.query('select $1::text as it', ['inner']));
      return 'outer';
    };
    for (const value of [Object.assign(() => 1, { toString: ask }), { toPostgres: ask }, { toJSON: ask }]) {
      expect((await warm.query('select $1::text as it', [value])).rowCount).toBe(1);
    }
    expect(await Promise.all(inner)).toMatchObject(Array(3).fill({ rows: [{ it: 'inner' }] }));
  });

  test('that changes the list of values changes nothing of what is sent', async ({ pools: { cold, warm } }) => {
    for (const pool of [cold, warm]) {
      const values: unknown[] = ['first', 'second'];
      values[2] = {
        toPostgres: () => {
          values.push('fourth');
          values[0] = 'changed';
          return 'third';
        },
      };
      const { rows } = await pool.query('select $1::text as a, $2::text as b, $3::text as c', values);
      expect(rows).toEqual([{ a: 'first', b: 'second', c: 'third' }]);
    }
  });

  test('that counts how often it is asked counts one for a statement', async ({ pools: { warm } }) => {
    let asked = 0;
    const counting = {
      toPostgres: () => {
        asked += 1;
        return 'it';
      },
    };
    for (let use = 1; use <= 6; use += 1) await warm.query('select $1::text as counted', [counting]);
    expect(asked).toBe(6);
  });
});
