/** Answers by status over time, in slices of a tenth of a second. Status 0: none came. */
export class Tally {
  readonly totals = new Map<number, number>();
  /** Last one is now; 70 seconds at most. */
  readonly #slices: Map<number, number>[] = [];
  #current = -1;

  record(status: number, nowMillis: number): void {
    this.#turnTo(nowMillis);
    add(this.totals, status);
    add(this.#slices[this.#slices.length - 1] as Map<number, number>, status);
  }

  get requests(): number {
    return sum(this.totals, () => true);
  }

  count(matches: (status: number) => boolean): number {
    return sum(this.totals, matches);
  }

  /** Answers of the last whole second. */
  lastSecond(nowMillis: number): ReadonlyMap<number, number> {
    this.#turnTo(nowMillis);
    const second = new Map<number, number>();
    for (const slice of this.#slices.slice(-1 - SLICES_PER_SECOND, -1)) {
      for (const [status, count] of slice) add(second, status, count);
    }
    return second;
  }

  /** Answers per second for each of the last seconds, oldest first. */
  history(seconds: number, nowMillis: number, matches: (status: number) => boolean): number[] {
    this.#turnTo(nowMillis);
    const whole = this.#slices.slice(0, -1);
    return Array.from({ length: seconds }, (_, index) => {
      const from = whole.length - (seconds - index) * SLICES_PER_SECOND;
      const slices = whole.slice(Math.max(0, from), Math.max(0, from + SLICES_PER_SECOND));
      return slices.reduce((count, slice) => count + sum(slice, matches), 0);
    });
  }

  #turnTo(nowMillis: number): void {
    const slice = Math.floor(nowMillis / SLICE_MILLIS);
    if (this.#current < 0) this.#current = slice - 1;
    for (; this.#current < slice; this.#current += 1) this.#slices.push(new Map());
    if (this.#slices.length > KEPT) this.#slices.splice(0, this.#slices.length - KEPT);
  }
}

const SLICE_MILLIS = 100;
const SLICES_PER_SECOND = 1_000 / SLICE_MILLIS;
const KEPT = 70 * SLICES_PER_SECOND + 1;

function add(map: Map<number, number>, key: number, count = 1): void {
  map.set(key, (map.get(key) ?? 0) + count);
}

function sum(map: ReadonlyMap<number, number>, matches: (status: number) => boolean): number {
  let total = 0;
  for (const [status, count] of map) if (matches(status)) total += count;
  return total;
}
