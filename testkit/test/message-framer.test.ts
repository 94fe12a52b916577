import { expect, test } from '@lifeguard/testkit/vitest';
import { MessageFramer } from '../src/message-framer.ts';

const STARTUP = Buffer.from([0, 0, 0, 9, 0, 3, 0, 0, 0]);
const ENCRYPT = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);
const SYNC = Buffer.from([0x53, 0, 0, 0, 4]);

test('puts messages together from single bytes', () => {
  const framer = new MessageFramer('client');
  const types = [...STARTUP, ...SYNC, ...SYNC].flatMap((byte) => framer.push(Buffer.of(byte)).map(({ type }) => type));
  expect(types).toEqual(['startup', 'S', 'S']);
});

test('expects a startup message after a request for encryption', () => {
  const framer = new MessageFramer('client');
  const types = framer.push(Buffer.concat([ENCRYPT, STARTUP, SYNC])).map(({ type }) => type);
  expect(types).toEqual(['encrypt', 'startup', 'S']);
});

test('gives the bytes back unchanged', () => {
  const framer = new MessageFramer('client');
  const all = Buffer.concat([STARTUP, SYNC]);
  expect(Buffer.concat(framer.push(all).map(({ bytes }) => bytes))).toEqual(all);
});
