import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { Answer, type Field, RowReader, Shape } from '../../src/pg/shape.ts';
import { guarded } from '../../src/pg/type-parsers.ts';

const fieldOf = (name: string, dataTypeID = 25, format = 'text'): Field => ({ name, dataTypeID, format });
const asked: string[] = [];
const types = {
  getTypeParser: (oid: number, format?: string) => {
    asked.push(`${oid} ${format}`);
    return (text: string) => `${oid}:${text}`;
  },
};

describe('a row that is read', () => {
  test('has its columns in their order, and null where there is nothing', () => {
    const reader = new RowReader(new Shape([fieldOf('b'), fieldOf('a', 23)]), types, undefined);
    const row = reader.read([null, '1']);
    expect(Object.entries(row)).toEqual([
      ['b', null],
      ['a', '23:1'],
    ]);
    expect(reader.read(['x', null])).toEqual({ b: '25:x', a: null });
  });

  test('has the last value of a name that comes twice, also where that is null', () => {
    const reader = new RowReader(new Shape([fieldOf('a'), fieldOf('a')]), types, undefined);
    expect(reader.read(['1', null])).toEqual({ a: null });
    expect(reader.read([null, '2'])).toEqual({ a: '25:2' });
  });

  test('is a plain object with any name, and no prototype is touched', () => {
    const names = ['__proto__', 'constructor', 'hasOwnProperty', '0', '', 'ä'];
    const reader = new RowReader(new Shape(names.map((name) => fieldOf(name))), types, undefined);
    const row = reader.read(names);
    expect(Object.getPrototypeOf(row)).toBe(Object.prototype);
    for (const name of names) expect(Object.getOwnPropertyDescriptor(row, name)?.value).toBe(`25:${name}`);
  });

  test('is an array where that was asked for, with all that come twice', () => {
    const reader = new RowReader(new Shape([fieldOf('a'), fieldOf('a'), fieldOf('b', 23)]), types, 'array');
    expect(reader.read(['1', null, '2'])).toEqual(['25:1', null, '23:2']);
  });

  test('shares nothing with the next one', () => {
    const reader = new RowReader(new Shape([fieldOf('a')]), types, undefined);
    const first = reader.read(['1']) as Record<string, unknown>;
    first['a'] = 'changed';
    expect(reader.read([null])).toEqual({ a: null });
  });

  test('asks for each parser once, by type and format', () => {
    asked.length = 0;
    const reader = new RowReader(new Shape([fieldOf('a', 23), fieldOf('b', 17)]), types, undefined);
    for (let row = 0; row < 3; row += 1) reader.read(['1', '2']);
    expect(asked).toEqual(['23 text', '17 text']);
  });

  test('gives the bytes to the parsers of binary columns', () => {
    const raw = { getTypeParser: () => (value: unknown) => value as never };
    const reader = new RowReader(new Shape([fieldOf('a', 23, 'binary'), fieldOf('b')]), raw, undefined);
    expect(reader.read(['\0\x01', 'x'])).toEqual({ a: Buffer.from([0, 1]), b: 'x' });
  });

  test('throws what a parser throws, or the search for it, and only then', () => {
    const bad = guarded({
      getTypeParser: () => {
        throw new Error('none');
      },
    });
    const reader = new RowReader(new Shape([fieldOf('a')]), bad as typeof types, undefined);
    expect(reader.read([null])).toEqual({ a: null });
    expect(() => reader.read(['1'])).toThrow('none');
  });
});

describe('the shape of rows', () => {
  test('gives each result fields of its own, with all that pg tells', () => {
    const field = { ...fieldOf('a'), tableID: 7, columnID: 1 };
    const shape = new Shape([field]);
    const [first, second] = [shape.copy(), shape.copy()];
    expect(first).toEqual([field]);
    expect(first).not.toBe(second);
    expect(first[0]).not.toBe(second[0]);
  });
});

describe('the tag of a command', () => {
  const TAGS: Readonly<Record<string, readonly [string, number | null, number | null]>> = {
    'SELECT 0': ['SELECT', 0, null],
    'SELECT 12345678901': ['SELECT', 12_345_678_901, null],
    'INSERT 0 3': ['INSERT', 3, 0],
    'INSERT 16385 1': ['INSERT', 1, 16_385],
    'UPDATE 2': ['UPDATE', 2, null],
    'COPY 5': ['COPY', 5, null],
    COPY: ['COPY', null, null],
    BEGIN: ['BEGIN', null, null],
    'CREATE TABLE': ['CREATE', null, null],
    'SELECT INTO': ['SELECT', null, null],
  };

  test.for(Object.entries(TAGS))('is read as pg reads it: %s', ([tag, expected]) => {
    const answer = new Answer();
    answer.complete(tag);
    expect([answer.command, answer.rowCount, answer.oid]).toEqual(expected);
  });
});
