import type { FaultLink } from './fault-link.ts';
import type { Message } from './message-framer.ts';

/** A moment in the life of a connection. */
export interface HoldPoint {
  /** Which message of a client it is. */
  readonly message: (message: Message) => boolean;
  /** What is kept back: the message, before the server has it, or its whole answer, before the client has any of it. */
  readonly kept: 'question' | 'answer';
}

type State =
  | { readonly kind: 'armed' }
  /** The message has passed, and the server has not said all of its answer. */
  | { readonly kind: 'asked'; readonly link: FaultLink }
  | { readonly kind: 'reached'; readonly link: FaultLink }
  | { readonly kind: 'over' };

/**
 * Stops a connection at one exact moment: when the first message of a client that fits passes, or when it was answered.
 * Everything behind it waits too, until `release`.
 */
export class MessageHold {
  readonly #point: HoldPoint;
  #state: State = { kind: 'armed' };

  constructor(point: HoldPoint) {
    this.#point = point;
  }

  get isReached(): boolean {
    return this.#state.kind === 'reached';
  }

  /** Sees each message before it passes. */
  look(message: Message, link: FaultLink): void {
    if (message.from === 'client') this.#asked(message, link);
    else this.#answered(message, link);
  }

  /** Lets everything pass, also what would have been held. */
  release(): void {
    if (this.#state.kind === 'asked' || this.#state.kind === 'reached') this.#state.link.release();
    this.#state = { kind: 'over' };
  }

  #asked(message: Message, link: FaultLink): void {
    if (this.#state.kind !== 'armed' || !this.#point.message(message)) return;
    link.hold(this.#point.kept === 'question' ? 'toServer' : 'toClient');
    this.#state = { kind: this.#point.kept === 'question' ? 'reached' : 'asked', link };
  }

  /** ReadyForQuery: https://www.postgresql.org/docs/current/protocol-message-formats.html */
  #answered({ type }: Message, link: FaultLink): void {
    if (this.#state.kind === 'asked' && this.#state.link === link && type === 'Z') {
      this.#state = { kind: 'reached', link };
    }
  }
}
