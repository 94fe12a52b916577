import type { Direction } from './faults.ts';

export interface Flow {
  readonly bytes: number;
  readonly packets: number;
}

export interface TrafficCounts {
  /** Connections that were opened since the counts were last reset. */
  readonly opened: number;
  readonly toServer: Flow;
  readonly toClient: Flow;
  /** How often a connection asked and was then answered: the changes of direction on the wire. */
  readonly roundTrips: number;
}

const NOTHING: TrafficCounts = {
  opened: 0,
  toServer: { bytes: 0, packets: 0 },
  toClient: { bytes: 0, packets: 0 },
  roundTrips: 0,
};

/** Counts what passes a proxy. */
export class Traffic {
  #counts = NOTHING;

  get counts(): TrafficCounts {
    return this.#counts;
  }

  reset(): void {
    this.#counts = NOTHING;
  }

  opened(): void {
    this.#counts = { ...this.#counts, opened: this.#counts.opened + 1 };
  }

  passed(direction: Direction, bytes: number, answers: boolean): void {
    const { bytes: before, packets } = this.#counts[direction];
    this.#counts = {
      ...this.#counts,
      [direction]: { bytes: before + bytes, packets: packets + 1 },
      roundTrips: this.#counts.roundTrips + (answers ? 1 : 0),
    };
  }
}
