import { isLifeguardError } from '../errors.ts';
import { statementEnded, statementStarted } from '../events.ts';
import type { PgConnection } from '../pg/pg-connection.ts';
import type { Receiver } from '../pg/solo.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import { closedMeanwhile } from '../pool/refusal.ts';
import type { Slot } from '../pool/slot.ts';
import type { Ground } from './ground.ts';
import { fellSilent } from './silence.ts';
import { type Origin, tellEnded, tellStarted } from './statement-events.ts';

/** A statement that rides, and what to do where its connection was lost before it was sent. */
export interface Fare<Row> {
  readonly statement: Statement;
  readonly name: string;
  otherwise(): Promise<QueryResult<Row>>;
}

/** Runs a statement on the place that was taken for it, and leaves the place when it has been answered. */
export function ride<Row>(ground: Ground, slot: Slot<PgConnection>, fare: Fare<Row>): Promise<QueryResult<Row>> {
  // It was closed before its passenger heard of the place.
  if (slot.state.kind !== 'lane') return fare.otherwise();
  return new Promise<QueryResult<Row>>((resolve, reject) => {
    slot.connection.ride(fare.statement, new Passenger<Row>(ground, slot, { fare, resolve, reject }));
  });
}

interface Ticket<Row> {
  readonly fare: Fare<Row>;
  resolve(result: QueryResult<Row> | Promise<QueryResult<Row>>): void;
  reject(error: unknown): void;
}

class Passenger<Row> implements Receiver {
  readonly #ground: Ground;
  readonly #slot: Slot<PgConnection>;
  readonly #ticket: Ticket<Row>;
  readonly #since: number;

  constructor(ground: Ground, slot: Slot<PgConnection>, ticket: Ticket<Row>) {
    this.#ground = ground;
    this.#slot = slot;
    this.#ticket = ticket;
    this.#since = ground.clock.now();
    if (statementStarted.hasSubscribers) tellStarted(this.#origin(), [ticket.fare.statement]);
  }

  answered(result: QueryResult<never>): void {
    this.#left(undefined);
    this.#ticket.resolve(result);
  }

  failed(failure: unknown): void {
    const { house, clock } = this.#ground;
    const error = house.explain(failure, { millis: clock.now() - this.#since, armedMillis: undefined });
    house.pool.learnFromLane(this.#slot, failure);
    this.#left(error);
    this.#ticket.reject(error);
  }

  lost(error: unknown): void {
    if (isLifeguardError(error) && error.consequence === 'nothing-sent') {
      this.#left(error);
      this.#ground.counts.retries += 1;
      this.#ticket.resolve(this.#ticket.fare.otherwise());
    } else this.failed(this.#endOfLane(error));
  }

  /** Why the house has closed it, where it was the house. */
  #endOfLane(error: unknown): unknown {
    const { house, clock, server } = this.#ground;
    const { state } = this.#slot;
    if (state.kind !== 'closing') return error;
    if (state.reason === 'pool-closed') return closedMeanwhile(house.name, error);
    const millis = clock.now() - this.#since;
    const limitMillis = server.inForce.get('statement_timeout') ?? Number.POSITIVE_INFINITY;
    return millis < limitMillis ? error : fellSilent(this.#ticket.fare.name, millis, limitMillis);
  }

  #left(error: unknown): void {
    const { clock, house } = this.#ground;
    const now = clock.now();
    house.pool.alight(this.#slot);
    if (!statementEnded.hasSubscribers) return;
    const end = { millis: now - this.#since, error, at: undefined };
    tellEnded(this.#origin(), [this.#ticket.fare.statement], end);
  }

  #origin(): Origin {
    return { pool: this.#ground.house.name, name: this.#ticket.fare.name, slot: this.#slot.id };
  }
}
