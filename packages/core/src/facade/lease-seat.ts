import type { Clock } from '../clock.ts';
import type { PgClient } from '../pg/pg-subset.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import type { Lease } from '../scope/lease.ts';
import { OpenCursor } from '../scope/open-cursor.ts';
import type { Seat } from './seat.ts';

/** A connection of its own, as from any pool. */
export class LeaseSeat implements Seat {
  readonly #lease: Lease;
  /** The last one that was handed over. */
  readonly #cursor: OpenCursor;

  constructor(lease: Lease, clock: Clock) {
    this.#lease = lease;
    this.#cursor = new OpenCursor(clock, () => void lease.release());
  }

  say(statement: Statement, timeoutMillis: number | undefined): Promise<QueryResult> {
    return this.#lease.query(statement, undefined, timeoutMillis === undefined ? undefined : { timeoutMillis });
  }

  submit(submittable: Submittable): Promise<void> {
    this.#cursor.took(submittable, () => NOTHING);
    return this.#lease.submit(submittable).finally(() => this.#cursor.isThrough(submittable));
  }

  get client(): PgClient | undefined {
    return this.#lease.client;
  }

  /** As in pg, whoever gives it back with an error does not trust it any more. */
  end(error: unknown): void {
    // Nobody is left to read it.
    this.#cursor.putAway();
    const ended = error ? this.#lease.discard('given back with an error') : this.#lease.releaseAfterAll();
    void ended;
  }
}

const NOTHING = (): void => undefined;
