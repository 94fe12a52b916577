import type { Clock } from '../clock.ts';
import type { PgClient } from '../pg/pg-subset.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import type { Lease } from '../scope/lease.ts';
import { OpenCursor } from '../scope/open-cursor.ts';
import { NOTHING } from './nothing.ts';
import { givenBack, type Seat } from './seat.ts';

/** For whom it is. */
interface Loan {
  readonly clock: Clock;
  readonly ended: () => void;
}

/** A connection of its own, as from any pool. */
export class LeaseSeat implements Seat {
  readonly #lease: Lease;
  readonly #ended: () => void;
  readonly #cursor: OpenCursor;
  #state: 'open' | 'ended' = 'open';

  constructor(lease: Lease, { clock, ended }: Loan) {
    this.#ended = ended;
    this.#lease = lease;
    this.#cursor = new OpenCursor(clock, () => void lease.release());
  }

  say(statement: Statement, timeoutMillis: number | undefined): Promise<QueryResult> {
    return this.#lease.query(statement, undefined, timeoutMillis === undefined ? undefined : { timeoutMillis });
  }

  submit(submittable: Submittable): Promise<void> {
    const begun = (): void => {
      // Nobody is left who could read what had not come to its turn.
      if (this.#state === 'ended') throw givenBack();
      this.#cursor.took(submittable, () => NOTHING);
    };
    return this.#lease.submit(submittable, begun).finally(() => this.#cursor.isThrough(submittable));
  }

  get client(): PgClient | undefined {
    return this.#lease.client;
  }

  /** As in pg, whoever gives it back with an error does not trust it any more. */
  end(error: unknown): void {
    this.#state = 'ended';
    // Nobody is left to read it.
    this.#cursor.putAway();
    const over = error ? this.#lease.discard('given back with an error') : this.#lease.releaseAfterAll();
    void over.then(this.#ended);
  }
}
