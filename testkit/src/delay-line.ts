import type { Socket } from 'node:net';
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { type Direction, type Faults, swallows } from './faults.ts';

type Piece =
  | { readonly kind: 'bytes'; readonly due: number; readonly bytes: Buffer }
  | { readonly kind: 'end' | 'reset'; readonly due: number };

const FULL = 1_048_576;
/** How soon a healed blackhole is noticed, and the shortest wait. */
const LOOK_MILLIS = 1;

/** One direction of a link: what goes in comes out in order, as late and as narrow as the faults say. */
export class DelayLine {
  readonly #direction: Direction;
  readonly #faults: () => Faults;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #queue: Piece[] = [];
  #queued = 0;
  #draining = false;
  #cut = false;

  constructor(direction: Direction, ends: { from: Socket; to: Socket }, faults: () => Faults) {
    this.#direction = direction;
    this.#faults = faults;
    this.#from = ends.from;
    this.#to = ends.to;
  }

  send(bytes: Buffer): void {
    this.#queued += bytes.length;
    if (this.#queued > FULL) this.#from.pause(); // as a full socket buffer would
    this.#push({ kind: 'bytes', due: this.#due(), bytes });
  }

  end(): void {
    this.#push({ kind: 'end', due: this.#due() });
  }

  reset(): void {
    this.#push({ kind: 'reset', due: this.#due() });
  }

  /** Nothing comes out any more. */
  cut(): void {
    this.#cut = true;
  }

  #due(): number {
    const { latencyMillis, jitterMillis } = this.#faults();
    return performance.now() + latencyMillis + Math.random() * jitterMillis;
  }

  #push(piece: Piece): void {
    this.#queue.push(piece);
    if (!this.#draining) void this.#drain();
  }

  async #drain(): Promise<void> {
    this.#draining = true;
    for (let piece = this.#queue.shift(); piece !== undefined; piece = this.#queue.shift()) {
      // No await where none is needed: a proxy without faults must not cost turns of the loop.
      if (this.#isHeld(piece)) await this.#untilFree(piece);
      if (piece.kind === 'bytes') await this.#deliver(piece.bytes);
      else this.#close(piece.kind);
    }
    this.#draining = false;
  }

  #isHeld(piece: Piece): boolean {
    return piece.due > performance.now() || swallows(this.#faults(), this.#direction);
  }

  async #untilFree(piece: Piece): Promise<void> {
    while (!this.#cut && this.#isHeld(piece)) await sleep(Math.max(LOOK_MILLIS, piece.due - performance.now()));
  }

  async #deliver(bytes: Buffer): Promise<void> {
    const { bytesPerSecond, sliced } = this.#faults();
    if (bytesPerSecond !== Number.POSITIVE_INFINITY) await sleep((bytes.length / bytesPerSecond) * 1_000);
    if (sliced) await this.#slice(bytes);
    else this.#write(bytes);
    this.#queued -= bytes.length;
    if (this.#queued <= FULL) this.#from.resume();
  }

  async #slice(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; at += 1) {
      this.#write(bytes.subarray(at, at + 1));
      await nextTurn(); // else the receiver reads them together
    }
  }

  #write(bytes: Buffer): void {
    if (!this.#cut && this.#to.writable) this.#to.write(bytes);
  }

  #close(kind: 'end' | 'reset'): void {
    if (this.#cut) return;
    if (kind === 'end') this.#to.end();
    else this.#to.resetAndDestroy();
  }
}
