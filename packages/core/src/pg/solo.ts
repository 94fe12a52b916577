import type { Flight } from './flight.ts';
import type { Packet } from './packet.ts';
import type { Prepared } from './repertoire.ts';
import type { Script } from './scripts.ts';
import type { QueryResult, Statement } from './statement.ts';
import { Step } from './step.ts';
import type { TypeParsers } from './type-parsers.ts';

/** Who waits for a statement. */
export interface Receiver {
  answered(result: QueryResult<never>): void;
  /** With the server's own error, or that of reading a row. */
  failed(error: unknown): void;
  /** The connection is lost. */
  lost(error: unknown): void;
}

/** Where a flight comes from: its connection. */
export interface Airport {
  readonly types: TypeParsers;
  /** The step has failed, or was skipped because one before it had. */
  failed(step: Step, error: unknown): void;
  /** Whether what failed was sent once more, because nothing of it has run, and this time it will. */
  retakes(flight: Solo): boolean;
}

/** One statement that flies alone. */
export class Solo extends Step implements Flight {
  readonly protocol = 'extended';
  readonly statement: Statement;
  readonly receiver: Receiver;
  readonly #airport: Airport;
  readonly #script: Script;
  #failure: { readonly error: unknown } | undefined = undefined;

  constructor(statement: Statement, { airport, script, prepared, receiver }: Departure) {
    super(statement, airport.types, prepared);
    this.statement = statement;
    this.receiver = receiver;
    this.#airport = airport;
    this.#script = script;
  }

  override write(packet: Packet): void {
    super.write(packet);
    packet.sync();
  }

  empty(): void {
    // Its result stays as it was made.
  }

  failed(error: unknown): void {
    this.#failure = { error };
    this.#airport.failed(this, error);
  }

  landed(ownMillis: number): void {
    this.#script.took(ownMillis);
    // What came first counts, as in pg.
    const failure = this.unread ?? this.#failure;
    if (failure === undefined) this.receiver.answered(this.result);
    else if (!this.#airport.retakes(this)) this.receiver.failed(failure.error);
  }

  /** The others are not to wait for the end of it before they are told. */
  late(ownMillis: number): void {
    this.#script.lasts(ownMillis);
  }

  lost(error: unknown): void {
    this.receiver.lost(error);
  }
}

export interface Departure {
  readonly airport: Airport;
  readonly script: Script;
  readonly prepared: Prepared | undefined;
  readonly receiver: Receiver;
}
