/** Towards whom bytes travel. */
export type Direction = 'toServer' | 'toClient';

/** What a proxy does to the bytes that pass. */
export interface Faults {
  /** Milliseconds that everything is late, in each direction. */
  readonly latencyMillis: number;
  /** Up to so many milliseconds more, drawn anew for each packet; the order is kept. */
  readonly jitterMillis: number;
  /** The width of the line, in each direction. */
  readonly bytesPerSecond: number;
  /** Hands over one byte at a time. */
  readonly sliced: boolean;
  /** Where nothing passes. As on a broken network, what was sent meanwhile arrives after it has healed. */
  readonly blackhole: Direction | 'both' | 'none';
}

export const NO_FAULTS: Faults = {
  latencyMillis: 0,
  jitterMillis: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
  sliced: false,
  blackhole: 'none',
};

export function swallows(faults: Faults, direction: Direction): boolean {
  return faults.blackhole === 'both' || faults.blackhole === direction;
}
