import type { Clock } from '../clock.ts';
import type { Submittable } from '../pg/submittable.ts';
import { isDrained, isIdle, putAway } from './cursor.ts';
import type { Exclusive } from './occupancy.ts';

/** The cursor, stream or COPY that has the connection of a level, and what becomes of it when the level ends. */
export class OpenCursor {
  readonly #clock: Clock;
  /** The connection goes with one that does not give it back. */
  readonly #giveUp: () => void;
  #cursor: Submittable | undefined = undefined;
  #takenBack: () => void = () => undefined;
  /** At the end nobody will read one that is open, or that comes to its turn only now. */
  #mode: 'kept' | 'put away' = 'kept';

  constructor(clock: Clock, giveUp: () => void) {
    this.#clock = clock;
    this.#giveUp = giveUp;
  }

  /** Whether there is one that can be closed; another kind can only be read to its end. */
  get isOpen(): boolean {
    return this.#cursor !== undefined && !isDrained(this.#cursor);
  }

  took(cursor: Submittable, lent: (to: Exclusive) => () => void): void {
    this.#cursor = cursor;
    const { text } = ((cursor as { cursor?: unknown }).cursor ?? cursor) as { readonly text?: unknown };
    this.#takenBack = lent({ text: String(text ?? cursor.constructor.name), isIdle: () => isIdle(cursor) });
    if (this.#mode === 'put away') this.#putAway(cursor);
  }

  isThrough(cursor: Submittable): void {
    if (this.#cursor !== cursor) return;
    this.#cursor = undefined;
    this.#takenBack();
  }

  putAway(): void {
    this.#mode = 'put away';
    if (this.#cursor !== undefined) this.#putAway(this.#cursor);
  }

  /** A stream that took the socket over may not give it back; then the connection goes with it. */
  #putAway(cursor: Submittable): void {
    putAway(cursor);
    const giveUp = (): void => {
      if (this.#cursor === cursor) this.#giveUp();
    };
    this.#clock.after(CURSOR_MILLIS, giveUp, 'idle');
  }
}

const CURSOR_MILLIS = 2_000;
