import type { Packet } from './packet.ts';
import { Answer } from './shape.ts';

/**
 * A text of the house's own that has no values and answers with nothing but its tag: BEGIN, SET LOCAL, SAVEPOINT, COMMIT. It
 * needs no Describe, and nothing of it changes, so its messages are made once.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class QuietText {
  readonly text: string;
  readonly name: undefined = undefined;
  readonly unread: undefined = undefined;
  readonly result: Answer = new Answer();

  constructor(text: string) {
    this.text = text;
  }

  write(packet: Packet): void {
    packet.raw(messagesOf(this.text));
  }

  parsed(): void {
    // It has no name.
  }

  bound(): void {
    // It relies on nothing that was prepared.
  }

  described(): void {
    throw new Error(`bug: "${this.text}" was not to be described`);
  }

  row(): void {
    throw new Error(`bug: "${this.text}" was meant to have no rows`);
  }

  completed(tag: string): void {
    this.result.complete(tag);
  }
}

/** Those that come again and again; limits of time are mostly new. */
const KEPT = 128;
const messages = new Map<string, Buffer>();

function messagesOf(text: string): Buffer {
  const known = messages.get(text);
  if (known !== undefined) return known;
  const made = parseBindExecute(text);
  if (messages.size < KEPT && !text.startsWith('SET LOCAL')) messages.set(text, made);
  return made;
}

function parseBindExecute(text: string): Buffer {
  const length = Buffer.byteLength(text);
  const parse = Buffer.alloc(1 + 4 + 1 + length + 1 + 2);
  parse.write('P', 0);
  parse.writeInt32BE(parse.length - 1, 1);
  parse.write(text, 6);
  return Buffer.concat([parse, BIND_EXECUTE]);
}

/** The unnamed statement, no parameters, no formats; and all of it. */
const BIND_EXECUTE: Buffer = Buffer.from([
  ...[0x42, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0],
  ...[0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0],
]);
