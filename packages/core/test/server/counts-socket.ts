import { Socket } from 'node:net';

/** What went over all sockets of a lockstep. */
export class Passage {
  /** How often a connection had asked and was then answered. */
  trips = 0;
  /** What went to the system in one call; that many packets while they are small. */
  packets = 0;
  /** The calls of `write` that they were made of. */
  writes = 0;
  sent = 0;
  received = 0;
  /** How many messages of each type byte were sent. */
  readonly messages: Map<string, number> = new Map();
}

/**
 * Hands the server's answers on when all that was asked of all sockets is answered, in the order in which the sockets were
 * made. In how many pieces answers arrive, and which connection is served first, then makes no difference to what is done next.
 */
export class Lockstep {
  readonly #sockets: CountedSocket[] = [];
  #passage = new Passage();

  get passage(): Passage {
    return this.#passage;
  }

  reset(): void {
    this.#passage = new Passage();
  }

  /** A socket for a connection to be made: without TLS, and without what reads in portions (Flush). */
  socket(): CountedSocket {
    const socket = new CountedSocket(this);
    this.#sockets.push(socket);
    return socket;
  }

  handOn(): void {
    if (this.#sockets.every(({ isAnswered }) => isAnswered)) for (const socket of this.#sockets) socket.handOn();
  }
}

export class CountedSocket extends Socket {
  readonly #lockstep: Lockstep;
  readonly #toServer = new TypeBytes();
  readonly #toClient = new TypeBytes();
  readonly #held: Buffer[] = [];
  #isLoggedIn = false;
  /** ReadyForQuery that are still to come. */
  #due = 0;

  /** Use `Lockstep.socket`. */
  constructor(lockstep: Lockstep) {
    super();
    this.#lockstep = lockstep;
  }

  get isAnswered(): boolean {
    return this.#due <= 0;
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#leaving([chunk]);
    super._write(chunk, encoding, done);
  }

  override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], done: (error?: Error | null) => void): void {
    this.#leaving(chunks.map(({ chunk }) => chunk));
    super._writev?.(chunks, done);
  }

  override push(chunk: Buffer | null): boolean {
    if (chunk === null || !this.#isLoggedIn) return this.#pass(chunk);
    this.#held.push(chunk);
    this.#due -= this.#toClient.read(chunk).filter((type) => type === READY).length;
    this.#lockstep.handOn();
    return true;
  }

  handOn(): void {
    if (this.#held.length === 0) return;
    const { passage } = this.#lockstep;
    const bytes = Buffer.concat(this.#held.splice(0));
    passage.trips += 1;
    passage.received += bytes.length;
    super.push(bytes);
  }

  /** The login goes to and fro by itself. */
  #pass(chunk: Buffer | null): boolean {
    if (chunk !== null) this.#isLoggedIn = this.#toClient.read(chunk).includes(READY);
    return super.push(chunk);
  }

  #leaving(chunks: readonly Buffer[]): void {
    const { passage } = this.#lockstep;
    const types = chunks.flatMap((chunk) => this.#toServer.read(chunk));
    if (this.#isLoggedIn) this.#due += types.filter((type) => ASKING.includes(type)).length;
    for (const type of types) passage.messages.set(type, (passage.messages.get(type) ?? 0) + 1);
    passage.packets += 1;
    passage.writes += chunks.length;
    passage.sent += chunks.reduce((sum, { length }) => sum + length, 0);
  }
}

const READY = 'Z';
/** Sync, and a simple query: each is answered with one ReadyForQuery. */
const ASKING = ['S', 'Q'];

/** Reads nothing of messages but their types. https://www.postgresql.org/docs/current/protocol-message-formats.html */
class TypeBytes {
  #rest: Buffer = Buffer.alloc(0);

  /** Of the messages that are complete with these bytes; of the first one of all, which has no type, it is `\0`. */
  read(bytes: Buffer): string[] {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const types: string[] = [];
    for (let length = this.#lengthOfNext(); length <= this.#rest.length; length = this.#lengthOfNext()) {
      types.push(String.fromCharCode(this.#rest[0] as number));
      this.#rest = this.#rest.subarray(length);
    }
    return types;
  }

  #lengthOfNext(): number {
    const header = this.#rest[0] === 0 ? 0 : 1;
    if (this.#rest.length < header + 4) return Number.POSITIVE_INFINITY;
    return header + this.#rest.readInt32BE(header);
  }
}
