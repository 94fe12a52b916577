import { LifeguardError } from '../errors.ts';
import type { PgClient } from '../pg/pg-subset.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';

/** What a client of the façade sits on: a connection of its own, or a part in somebody's transaction. */
export interface Seat {
  /** One after the other, in the order in which they are said. A text of several statements has an array for its answer. */
  say(statement: Statement, timeoutMillis: number | undefined): Promise<QueryResult | QueryResult[]>;
  /** Resolves when it was handed over; what becomes of it is its own affair. */
  submit(submittable: Submittable): Promise<unknown>;
  /** The driver's client, where there is a connection at the moment. */
  readonly client: PgClient | undefined;
  /** Once. What was said before is still done. */
  end(error: unknown): void;
}

/** What comes after the end. */
export function givenBack(): LifeguardError {
  const message = 'The client was given back to its pool. Nothing was sent. Await every statement before the release.';
  return new LifeguardError('ERR_LIFEGUARD_LEASE_ENDED', message, { consequence: 'nothing-sent' });
}
