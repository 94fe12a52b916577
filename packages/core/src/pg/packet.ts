/**
 * Messages on their way to the server, gathered until they are taken: one write is one system call, and one packet.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 *
 * Bytes that were taken are never written again, because the socket may still hold them.
 */
export class Packet {
  #bytes: Buffer = NOTHING;
  /** What lies between is written and not taken. */
  #from = 0;
  #at = 0;

  /** How much is written. */
  get length(): number {
    return this.#at - this.#from;
  }

  take(): Buffer {
    const taken = this.#bytes.subarray(this.#from, this.#at);
    this.#from = this.#at;
    // What was made for one large message is not kept for small ones.
    if (this.#bytes.length > LARGE) this.#letGo();
    return taken;
  }

  /** A copy of what was written since the packet had this length. */
  since(length: number): Buffer {
    return Buffer.from(this.#bytes.subarray(this.#from + length, this.#at));
  }

  /** Takes back what was written since the packet had this length. */
  rewind(length: number): void {
    this.#at = this.#from + length;
  }

  parse(name: string, text: string): void {
    const start = this.#begin(PARSE);
    this.#string(name);
    this.#string(text);
    this.#need(2);
    this.#int16(0);
    this.#end(start);
  }

  describe(what: 'statement' | 'portal', name: string): void {
    const start = this.#begin(DESCRIBE);
    this.#byte(what === 'statement' ? STATEMENT : PORTAL);
    this.#string(name);
    this.#end(start);
  }

  /** The simple protocol: any number of statements, with no values. Its end is a Sync by itself. */
  query(text: string): void {
    const start = this.#begin(QUERY);
    this.#string(text);
    this.#end(start);
  }

  closeStatement(name: string): void {
    const start = this.#begin(CLOSE);
    this.#byte(STATEMENT);
    this.#string(name);
    this.#end(start);
  }

  /** To the unnamed portal. All results come as text. Values are what `prepareValue` of pg makes, or plain ones. */
  bind(name: string, values: readonly unknown[]): void {
    const start = this.#begin(BIND);
    this.#byte(0);
    this.#string(name);
    this.#need(4 + 2 * values.length);
    this.#formats(values);
    this.#int16(values.length);
    for (const value of values) this.#value(value);
    this.#need(2);
    this.#int16(0);
    this.#end(start);
  }

  /** All of the unnamed portal. */
  execute(): void {
    this.raw(EXECUTE);
  }

  sync(): void {
    this.raw(SYNC);
  }

  /** Messages that were made before. */
  raw(messages: Buffer): void {
    this.#need(messages.length);
    this.#bytes.set(messages, this.#at);
    this.#at += messages.length;
  }

  /** None where all are text, which is what no format means. */
  #formats(values: readonly unknown[]): void {
    if (!values.some(isBinary)) return this.#int16(0);
    this.#int16(values.length);
    for (const value of values) this.#int16(isBinary(value) ? 1 : 0);
  }

  #value(value: unknown): void {
    if (value === null || value === undefined) {
      this.#need(4);
      this.#int32(-1);
    } else if (isBinary(value)) {
      this.#need(4);
      this.#int32(value.length);
      this.raw(value as Buffer);
    } else {
      this.#counted(typeof value === 'string' ? value : String(value));
    }
  }

  /** Text behind its length. */
  #counted(text: string): void {
    const longest = text.length > SHORT ? Buffer.byteLength(text) : text.length * 3;
    this.#need(4 + longest);
    const length = this.#text(text, this.#at + 4, longest);
    this.#int32(length);
    this.#at += length;
  }

  /** Text with a NUL behind it. */
  #string(text: string): void {
    const longest = text.length > SHORT ? Buffer.byteLength(text) : text.length * 3;
    this.#need(longest + 1);
    this.#at += this.#text(text, this.#at, longest);
    this.#byte(0);
  }

  /** A loop is faster than a call out of the engine where a text is short and plain, as names and numbers are. */
  #text(text: string, at: number, longest: number): number {
    if (text.length > TINY) return this.#bytes.write(text, at, longest, 'utf8');
    for (let index = 0; index < text.length; index += 1) {
      const code = text.charCodeAt(index);
      if (code > 0x7f) return this.#bytes.write(text, at, longest, 'utf8');
      this.#bytes[at + index] = code;
    }
    return text.length;
  }

  #begin(code: number): number {
    this.#need(6);
    this.#byte(code);
    const start = this.length;
    this.#at += 4;
    return start;
  }

  /** The length of a message counts itself, and stands where it began. */
  #end(start: number): void {
    const end = this.#at;
    this.#at = this.#from + start;
    this.#int32(end - this.#at);
    this.#at = end;
  }

  #byte(value: number): void {
    this.#bytes[this.#at++] = value;
  }

  #int16(value: number): void {
    this.#bytes[this.#at++] = value >>> 8;
    this.#bytes[this.#at++] = value;
  }

  #int32(value: number): void {
    this.#bytes[this.#at++] = value >>> 24;
    this.#bytes[this.#at++] = value >>> 16;
    this.#bytes[this.#at++] = value >>> 8;
    this.#bytes[this.#at++] = value;
  }

  #letGo(): void {
    this.#bytes = NOTHING;
    this.#from = 0;
    this.#at = 0;
  }

  #need(bytes: number): void {
    if (this.#at + bytes > this.#bytes.length) this.#grow(bytes);
  }

  #grow(bytes: number): void {
    const { length } = this;
    const needed = length + bytes;
    const larger = Buffer.allocUnsafeSlow(Math.max(CHUNK, Math.ceil(needed * GROWTH)));
    this.#bytes.copy(larger, 0, this.#from, this.#at);
    this.#bytes = larger;
    this.#from = 0;
    this.#at = length;
  }
}

function isBinary(value: unknown): value is Uint8Array {
  return typeof value === 'object' && value !== null;
}

const NOTHING: Buffer = Buffer.alloc(0);
const CHUNK = 16_384;
const LARGE = 4 * CHUNK;
const GROWTH = 1.5;
/** Longer texts are measured first: room for three bytes a character would be too much. */
const SHORT = 2_048;
const TINY = 24;

const QUERY = 0x51;
const PARSE = 0x50;
const BIND = 0x42;
const DESCRIBE = 0x44;
const CLOSE = 0x43;
const STATEMENT = 0x53;
const PORTAL = 0x50;
const EXECUTE: Buffer = Buffer.from([0x45, 0, 0, 0, 9, 0, 0, 0, 0, 0]);
const SYNC: Buffer = Buffer.from([0x53, 0, 0, 0, 4]);
