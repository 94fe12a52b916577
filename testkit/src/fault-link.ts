import type { Socket } from 'node:net';
import { DelayLine } from './delay-line.ts';
import type { Direction, Faults } from './faults.ts';
import { type Message, MessageFramer } from './message-framer.ts';
import type { Traffic } from './traffic.ts';

/** Sees each message before it passes; `drop` keeps it back. */
export type MessageHook = (message: Message, link: FaultLink) => 'drop' | undefined;

export interface LinkContext {
  readonly faults: () => Faults;
  readonly traffic: Traffic;
  readonly onMessage: MessageHook | undefined;
  readonly onClose: (link: FaultLink) => void;
}

/** One client's connection and its counterpart to the server. */
export class FaultLink {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #context: LinkContext;
  #last: Direction = 'toClient';
  /** The side that is kept although the other is gone. */
  #kept: 'client' | 'server' | undefined;

  constructor(client: Socket, server: Socket, context: LinkContext) {
    this.#client = client;
    this.#server = server;
    this.#context = context;
    this.#wire('toServer', client, server);
    this.#wire('toClient', server, client);
  }

  /** Both sides learn of it at once. */
  reset(): void {
    this.#client.resetAndDestroy();
    this.#server.resetAndDestroy();
  }

  /** Destroys the other side; the kept one never learns of it. */
  halfOpen(kept: 'client' | 'server'): void {
    this.#kept = kept;
    const gone = kept === 'client' ? this.#server : this.#client;
    gone.resetAndDestroy();
  }

  #wire(direction: Direction, from: Socket, to: Socket): void {
    const line = new DelayLine(direction, { from, to }, this.#context.faults);
    const filter = this.#filter(direction);
    from.on('data', (bytes: Buffer) => {
      this.#count(direction, bytes.length);
      const passing = filter(bytes);
      if (passing.length > 0) line.send(passing);
    });
    from.on('end', () => line.end());
    from.on('error', () => undefined); // 'close' follows
    from.on('close', (failed) => this.#closed(line, to, failed));
    to.on('close', () => line.cut());
  }

  #filter(direction: Direction): (bytes: Buffer) => Buffer {
    const hook = this.#context.onMessage;
    if (hook === undefined) return (bytes) => bytes;
    const framer = new MessageFramer(direction === 'toServer' ? 'client' : 'server');
    const passes = (message: Message): boolean => hook(message, this) !== 'drop';
    return (bytes) => Buffer.concat(framer.push(bytes).flatMap((message) => (passes(message) ? message.bytes : [])));
  }

  #closed(line: DelayLine, other: Socket, failed: boolean): void {
    if (this.#kept === undefined && failed) line.reset();
    if (other.destroyed) this.#context.onClose(this);
  }

  #count(direction: Direction, bytes: number): void {
    const answers = direction === 'toClient' && this.#last === 'toServer';
    this.#last = direction;
    this.#context.traffic.passed(direction, bytes, answers);
  }
}
