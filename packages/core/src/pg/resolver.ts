import type { Clock } from '../clock.ts';
import { type CommitOutcome, type Evidence, resolveCommit } from './commit-outcome.ts';
import type { SideConnection } from './side-connection.ts';

/** Finds out what became of a COMMIT whose answer was lost, for as long as that is worth waiting for. */
export class Resolver {
  readonly #side: SideConnection;
  readonly #clock: Clock;

  constructor(side: SideConnection, clock: Clock) {
    this.#side = side;
    this.#clock = clock;
  }

  async resolve(evidence: Evidence): Promise<CommitOutcome> {
    const time = new AbortController();
    const limit = this.#clock.after(PATIENCE_MILLIS, () => time.abort());
    try {
      return await this.#untilKnown(evidence, time.signal);
    } finally {
      limit.cancel();
    }
  }

  /** A server that restarts refuses the first dials, and one that goes down ends the connection under our hands. */
  async #untilKnown(evidence: Evidence, signal: AbortSignal): Promise<CommitOutcome> {
    while (!signal.aborted) {
      try {
        const { outcome, stood } = await this.#look(evidence, signal);
        if (outcome !== 'unknown' || stood) return outcome;
      } catch {
        // It could not be asked; as long as there is time, it can be asked again.
      }
      await this.#pause();
    }
    return 'unknown';
  }

  #look(evidence: Evidence, signal: AbortSignal): Promise<{ outcome: CommitOutcome; stood: boolean }> {
    return this.#side.use(signal, async (side) => {
      const outcome = await resolveCommit(side, evidence, { clock: this.#clock, signal });
      return { outcome, stood: side.kind !== 'ended' };
    });
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => void this.#clock.after(PAUSE_MILLIS, resolve));
  }
}

/** A server that was restarted is back by then, more often than not. */
const PATIENCE_MILLIS = 10_000;
const PAUSE_MILLIS = 200;
