import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { Packet } from '../../src/pg/packet.ts';

/** What pg's own connection writes. */
function writtenByPg(write: (connection: PgConnection) => void): Buffer {
  const chunks: Buffer[] = [];
  const stream = { writable: true, write: (chunk: Buffer) => chunks.push(Buffer.from(chunk)), on: () => undefined };
  write(new pg.Connection({ stream: stream as never }) as unknown as PgConnection);
  return Buffer.concat(chunks);
}

interface PgConnection {
  query(text: string): void;
  parse(message: { name: string; text: string }): void;
  bind(message: { statement: string; values: readonly unknown[] }): void;
  describe(message: { type: 'S' | 'P'; name: string }): void;
  close(message: { type: 'S'; name: string }): void;
  execute(message: object): void;
  sync(): void;
}

function written(write: (packet: Packet) => void): Buffer {
  const packet = new Packet();
  write(packet);
  return packet.take();
}

/** A Bind, without regard to how "all are text" is said. */
function readBind(message: Buffer): object {
  expect(message.readInt32BE(1)).toBe(message.length - 1);
  const [portal, name] = message.subarray(5).toString('latin1').split('\0') as [string, string];
  let at = 5 + portal.length + 1 + name.length + 1;
  const short = (): number => {
    at += 2;
    return message.readUInt16BE(at - 2);
  };
  const formats = Array.from({ length: short() }, short);
  const values = Array.from({ length: short() }, () => {
    const length = message.readInt32BE(at);
    at += 4 + Math.max(0, length);
    return length < 0 ? null : message.subarray(at - length, at);
  });
  const results = Array.from({ length: short() }, short);
  expect(at).toBe(message.length);
  const isText = [...formats, ...results].every((format) => format === 0);
  return { portal, name, values, formats: isText ? 'text' : formats, results: results.every((one) => one === 0) };
}

function expectBind(name: string, values: readonly unknown[]): void {
  const theirs = readBind(writtenByPg((connection) => connection.bind({ statement: name, values })));
  expect(readBind(written((packet) => packet.bind(name, values)))).toEqual(theirs);
}

/** Around the sizes at which a packet does something else. */
const EDGES = [0, 1, 8, 23, 24, 25, 682, 683, 2_047, 2_048, 2_049, 5_461, 16_370, 16_383, 16_384, 16_385, 100_000];
const CHARACTERS = ['a', 'ä', '€', '😀', '\ud800', '\udc00', '\x7f', '\x80'];

/** Of each length, with a character of its own at the end, in the middle, everywhere. */
function* texts(): Generator<string> {
  for (const length of EDGES) {
    for (const character of CHARACTERS) {
      yield character.repeat(length);
      yield 'a'.repeat(length) + character;
      yield `${'a'.repeat(length >> 1)}${character}${'b'.repeat(length >> 1)}`;
    }
  }
}

describe('the messages of a packet', () => {
  test('are those of pg, whatever the text', () => {
    for (const text of texts()) {
      const expected = writtenByPg((connection) => connection.query(text));
      expect(written((packet) => packet.query(text)).equals(expected), `${text.length}: ${text.slice(-9)}`).toBe(true);
      const parsed = writtenByPg((connection) => connection.parse({ name: 'n', text }));
      expect(written((packet) => packet.parse('n', text)).equals(parsed), `${text.length}`).toBe(true);
    }
  });

  test('are those of pg, with a name and without', () => {
    for (const name of ['', 'n', 'ä€😀', 'x'.repeat(63)]) {
      const theirs = writtenByPg((connection) => {
        connection.parse({ name, text: 'select 1' });
        connection.describe({ type: 'S', name });
        connection.describe({ type: 'P', name });
        connection.close({ type: 'S', name });
        connection.execute({});
        connection.sync();
      });
      const ours = written((packet) => {
        packet.parse(name, 'select 1');
        packet.describe('statement', name);
        packet.describe('portal', name);
        packet.closeStatement(name);
        packet.execute();
        packet.sync();
      });
      expect(ours).toEqual(theirs);
    }
  });

  test('bind the values that pg binds, one by one and all together', () => {
    for (const text of texts()) expectBind('', [text]);
    expectBind('n', [...texts()]);
  });

  test('bind buffers as binary, and texts beside them as text', () => {
    const buffer = Buffer.from([0, 255, 10]);
    for (const values of [[buffer], [null, buffer, 'x', undefined, Buffer.alloc(0)], ['x', null], []]) {
      expectBind('n', values);
    }
    expectBind('', [Buffer.alloc(40_000, 1), 'a', Buffer.alloc(20_000, 2)]);
  });

  test('bind 65,535 values and not fewer', () => {
    expectBind('', Array(65_535).fill('1'));
    expectBind('', [...Array(65_534).fill('1'), Buffer.from('x')]);
  });
});

describe('a packet that is written on', () => {
  test('keeps what was written before it had to grow', () => {
    const whole = new Packet();
    const parts: Buffer[] = [];
    for (const text of texts()) {
      whole.parse('n', text);
      parts.push(written((packet) => packet.parse('n', text)));
    }
    expect(whole.length).toBe(Buffer.concat(parts).length);
    expect(whole.take().equals(Buffer.concat(parts))).toBe(true);
    expect(whole.length).toBe(0);
  });

  test('never writes on what was taken', () => {
    const packet = new Packet();
    const taken: Buffer[] = [];
    const copies: Buffer[] = [];
    for (const text of texts()) {
      packet.bind('n', [text]);
      if (text.length % 3 === 0) packet.sync();
      taken.push(packet.take());
      copies.push(Buffer.from(taken.at(-1) as Buffer));
    }
    expect(taken.every((bytes, at) => bytes.equals(copies[at] as Buffer))).toBe(true);
  });

  test('forgets what was written since a length, and nothing before', () => {
    for (const size of EDGES) {
      const packet = new Packet();
      packet.parse('', 'taken');
      packet.take();
      packet.parse('', 'kept');
      const before = packet.length;
      packet.bind('forgotten', ['x'.repeat(size)]);
      packet.rewind(before);
      packet.sync();
      expect(packet.take()).toEqual(written((one) => [one.parse('', 'kept'), one.sync()]));
    }
  });

  test('does not keep the room of what was large once it is taken', () => {
    const packet = new Packet();
    packet.bind('', ['x'.repeat(20_000_000)]);
    packet.take();
    packet.query('select 1');
    expect(packet.take().buffer.byteLength).toBeLessThanOrEqual(65_536);
  });

  test('does not take away what was taken when it is rewound', () => {
    const packet = new Packet();
    packet.parse('', 'select 1');
    const taken = packet.take();
    packet.rewind(0);
    packet.query('select 2');
    expect(taken).toEqual(written((one) => one.parse('', 'select 1')));
    expect(packet.take()).toEqual(written((one) => one.query('select 2')));
  });
});
