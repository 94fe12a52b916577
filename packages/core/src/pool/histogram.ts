/**
 * Durations, counted in buckets that grow by a twelfth: a quantile is right within 9 %, a record costs one logarithm,
 * and the size never changes. Two windows take turns, so that a reading tells of the last one to two minutes and
 * not of the night before.
 */
export class Histogram {
  #current: Window;
  #previous: Window;

  constructor(now: number) {
    this.#current = emptyWindow(now);
    this.#previous = emptyWindow(now);
  }

  record(millis: number, now: number): void {
    if (now - this.#current.since >= WINDOW_MILLIS) this.#turn(now);
    const window = this.#current;
    const index = bucketOf(millis);
    window.counts[index] = (window.counts[index] as number) + 1;
    window.count += 1;
    window.sum += millis;
  }

  /** Over both windows: how many, how long together, since when, and the quantiles, which may be those of two. */
  read(now: number, alongWith?: Histogram): Reading {
    const windows = [...this.#windows(now), ...(alongWith === undefined ? [] : alongWith.#windows(now))];
    return {
      count: this.#current.count + this.#previous.count,
      sumMillis: this.#current.sum + this.#previous.sum,
      seconds: Math.max(1, now - this.#previous.since) / 1_000,
      p50: quantile(0.5, windows),
      p99: quantile(0.99, windows),
    };
  }

  #windows(now: number): readonly Window[] {
    if (now - this.#current.since >= WINDOW_MILLIS) this.#turn(now);
    return [this.#current, this.#previous];
  }

  #turn(now: number): void {
    const missedOne = now - this.#current.since >= 2 * WINDOW_MILLIS;
    this.#previous = missedOne ? emptyWindow(now - WINDOW_MILLIS) : this.#current;
    this.#current = emptyWindow(now);
  }
}

export interface Reading {
  readonly count: number;
  readonly sumMillis: number;
  readonly seconds: number;
  readonly p50: number;
  readonly p99: number;
}

interface Window {
  readonly since: number;
  readonly counts: Uint32Array;
  count: number;
  sum: number;
}

const WINDOW_MILLIS = 60_000;
/** Eight buckets from one power of two to the next, from 1 µs to about 18 minutes. */
const PER_OCTAVE = 8;
const BUCKETS = 30 * PER_OCTAVE;
const SMALLEST_MILLIS = 0.001;

function quantile(share: number, windows: readonly Window[]): number {
  let left = Math.ceil(share * windows.reduce((sum, { count }) => sum + count, 0));
  for (let index = 0; left > 0 && index < BUCKETS; index += 1) {
    for (const { counts } of windows) left -= counts[index] as number;
    if (left <= 0) return upperBound(index);
  }
  return 0;
}

function emptyWindow(since: number): Window {
  return { since, counts: new Uint32Array(BUCKETS), count: 0, sum: 0 };
}

function bucketOf(millis: number): number {
  if (millis <= SMALLEST_MILLIS) return 0;
  return Math.min(BUCKETS - 1, Math.ceil(Math.log2(millis / SMALLEST_MILLIS) * PER_OCTAVE));
}

function upperBound(index: number): number {
  return SMALLEST_MILLIS * 2 ** (index / PER_OCTAVE);
}
