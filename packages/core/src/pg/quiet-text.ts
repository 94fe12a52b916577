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
    const known = messages.get(this.text);
    if (known !== undefined) return packet.raw(known);
    const from = packet.length;
    packet.parse('', this.text);
    packet.raw(BIND_EXECUTE);
    if (messages.size < KEPT && !this.text.startsWith('SET LOCAL')) messages.set(this.text, packet.since(from));
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

/** The unnamed statement, no parameters, no formats; and all of it. */
const BIND_EXECUTE: Buffer = Buffer.from([
  ...[0x42, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0],
  ...[0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0],
]);
