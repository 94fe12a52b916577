import { isLifeguardError, nameOf } from '../errors.ts';
import { statementEnded, statementStarted } from '../events.ts';
import type { PgConnection } from '../pg/pg-connection.ts';
import type { Script } from '../pg/scripts.ts';
import type { Receiver } from '../pg/solo.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Slot } from '../pool/slot.ts';
import type { Ground } from './ground.ts';

/** A statement that rides, and what to do where its connection was lost before it was sent. */
export interface Fare<Row> {
  readonly statement: Statement;
  readonly script: Script | undefined;
  readonly name: string;
  otherwise(): Promise<QueryResult<Row>>;
}

/** Runs a statement on the place that was taken for it, and leaves the place when it has been answered. */
export function ride<Row>(ground: Ground, slot: Slot<PgConnection>, fare: Fare<Row>): Promise<QueryResult<Row>> {
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
    if (statementStarted.hasSubscribers) statementStarted.publish(this.#event());
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
    } else this.failed(error);
  }

  #left(error: unknown): void {
    const { clock, house } = this.#ground;
    const now = clock.now();
    this.#ticket.fare.script?.took(this.#ownMillis(now));
    house.pool.alight(this.#slot);
    if (!statementEnded.hasSubscribers) return;
    const event = { ...this.#event(), millis: now - this.#since };
    statementEnded.publish(error === undefined ? event : { ...event, error: nameOf(error) });
  }

  /** Without the time in which the server was at those before it, or nothing was there yet. */
  #ownMillis(now: number): number {
    const { state } = this.#slot;
    const turnAt = state.kind === 'lane' ? state.progressAt : this.#since;
    if (turnAt > this.#since) return now - turnAt;
    return Math.max(0, now - this.#since - this.#ground.server.roundTripMillis);
  }

  #event(): object {
    const { name, statement } = this.#ticket.fare;
    return { pool: this.#ground.house.name, name, slot: this.#slot.id, text: statement.text };
  }
}
