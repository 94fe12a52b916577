import { Socket } from 'node:net';

/** A socket that starts to connect only after a while: a dial over a long way, whose statements are as fast as ever. */
class LateSocket extends Socket {
  readonly #lateMillis: number;

  constructor(lateMillis: number) {
    super();
    this.#lateMillis = lateMillis;
  }

  override connect(...args: unknown[]): this {
    const connect = (): void => {
      if (!this.destroyed) super.connect(...(args as [port: number, host: string]));
    };
    if (this.#lateMillis === 0) connect();
    else setTimeout(connect, this.#lateMillis);
    return this;
  }
}

/** Counts the connections of one pool where they are made, those that are still being dialled included. */
export class CountedDials {
  started = 0;
  open = 0;
  peak = 0;
  readonly #lateMillis: number;

  constructor(lateMillis = 0) {
    this.#lateMillis = lateMillis;
  }

  /** pg's option of that name: https://node-postgres.com/apis/client */
  readonly stream = (): Socket => {
    this.started += 1;
    this.open += 1;
    this.peak = Math.max(this.peak, this.open);
    const socket = new LateSocket(this.#lateMillis);
    socket.once('close', () => {
      this.open -= 1;
    });
    return socket;
  };
}
