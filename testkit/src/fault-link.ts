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

const NOWHERE: ReadonlySet<Direction> = new Set();

/** One client's connection and its counterpart to the server. */
export class FaultLink {
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #context: LinkContext;
  #last: Direction = 'toClient';
  /** The side that is kept although the other is gone. */
  #kept: 'client' | 'server' | undefined;
  /** Where nothing of this connection passes, whatever the faults of the others are. */
  #held: ReadonlySet<Direction> = NOWHERE;

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

  /** Keeps back what comes from now on, the message that is being looked at included. Nobody learns of it. */
  hold(...directions: readonly Direction[]): void {
    this.#held = new Set([...this.#held, ...directions]);
  }

  /** What was kept back arrives now. */
  release(): void {
    this.#held = NOWHERE;
  }

  #wire(direction: Direction, from: Socket, to: Socket): void {
    const line = new DelayLine(direction, { from, to }, () => this.#faultsOf(direction));
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

  #faultsOf(direction: Direction): Faults {
    const faults = this.#context.faults();
    return this.#held.has(direction) ? { ...faults, blackhole: direction } : faults;
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
