/**
 * One message of the PostgreSQL protocol.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export interface Message {
  readonly from: 'client' | 'server';
  /** The type byte, `Q` or `Z`; those without one are called `startup`, `cancel` and `encrypt`. */
  readonly type: string;
  /** What follows type and length. */
  readonly body: Buffer;
  /** All of it, as it was on the wire. */
  readonly bytes: Buffer;
}

const UNTYPED: ReadonlyMap<number, string> = new Map([
  [80_877_102, 'cancel'],
  [80_877_103, 'encrypt'],
  [80_877_104, 'encrypt'], // GSSAPI
]);

/** Cuts one direction of a connection without TLS into messages. */
export class MessageFramer {
  readonly #from: 'client' | 'server';
  #rest = Buffer.alloc(0);
  /** The client's first message, and those that follow a request for encryption, have no type byte. */
  #typed: boolean;

  constructor(from: 'client' | 'server') {
    this.#from = from;
    this.#typed = from === 'server';
  }

  /** The messages that are complete with these bytes. */
  push(bytes: Buffer): Message[] {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const messages: Message[] = [];
    for (let message = this.#next(); message !== undefined; message = this.#next()) messages.push(message);
    return messages;
  }

  #next(): Message | undefined {
    const header = this.#typed ? 1 : 0;
    if (this.#rest.length < header + 4) return undefined;
    const length = header + this.#rest.readInt32BE(header);
    if (this.#rest.length < length) return undefined;
    const bytes = this.#rest.subarray(0, length);
    this.#rest = this.#rest.subarray(length);
    return this.#typed ? this.#typedMessage(bytes) : this.#untypedMessage(bytes);
  }

  #typedMessage(bytes: Buffer): Message {
    return { from: this.#from, type: String.fromCharCode(bytes[0] as number), body: bytes.subarray(5), bytes };
  }

  #untypedMessage(bytes: Buffer): Message {
    const type = UNTYPED.get(bytes.readInt32BE(4)) ?? 'startup';
    this.#typed = type === 'startup';
    return { from: this.#from, type, body: bytes.subarray(4), bytes };
  }
}
