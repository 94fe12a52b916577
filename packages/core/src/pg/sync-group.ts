import type { Flight } from './flight.ts';
import type { Packet } from './packet.ts';
import type { QuietText } from './quiet-text.ts';
import type { Field } from './shape.ts';
import type { Airport } from './solo.ts';
import type { QueryResult, Statement } from './statement.ts';
import { Step } from './step.ts';

/** A statement of the house's own; a bare text answers with nothing but its tag. */
export type HouseStatement = Statement | string;

/** What travels together. Around the user's own statements are the house's, which leave nothing behind. */
export interface Group {
  readonly before: readonly HouseStatement[];
  readonly statements: readonly Statement[];
  readonly after: readonly HouseStatement[];
}

/** What became of a group: the results of those that ran, and which one failed, or could not be read. */
export interface GroupAnswer {
  readonly results: readonly QueryResult<never>[];
  /** Those after it did not run, unless there are results of them. */
  readonly failure: Misfortune | undefined;
  /** All those whose rows could not be read, whatever befell others. */
  readonly unread?: readonly Misfortune[];
}

/** What befell one of a group. */
export interface Misfortune {
  readonly index: number;
  readonly error: unknown;
}

export interface GroupReceiver {
  landed(answer: GroupAnswer): void;
  lost(error: unknown): void;
}

/**
 * Several statements in one packet under one Sync, and so in one round trip: when one fails, the server skips all that
 * follow it. Without a BEGIN among them they are one transaction, all or nothing.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
 */
export class SyncGroup implements Flight {
  readonly protocol = 'extended';
  readonly #steps: readonly (Step | QuietText)[];
  readonly #receiver: GroupReceiver;
  readonly #airport: Pick<Airport, 'failed'>;
  #at = 0;
  #failure: Misfortune | undefined;
  /** A row that could not be read: the server has done its part, so the others go on. */
  readonly #unread: Misfortune[] = [];

  constructor(steps: readonly (Step | QuietText)[], receiver: GroupReceiver, airport: Pick<Airport, 'failed'>) {
    this.#steps = steps;
    this.#receiver = receiver;
    this.#airport = airport;
  }

  get name(): string | undefined {
    return this.#steps[this.#at]?.name;
  }

  get text(): string | undefined {
    return this.#steps[this.#at]?.text;
  }

  write(packet: Packet): void {
    for (const step of this.#steps) step.write(packet);
    packet.sync();
  }

  parsed(): void {
    this.#steps[this.#at]?.parsed();
  }

  bound(): void {
    this.#steps[this.#at]?.bound();
  }

  described(fields: readonly Field[] | undefined): void {
    this.#steps[this.#at]?.described(fields);
  }

  row(texts: readonly (string | null)[]): void {
    this.#steps[this.#at]?.row(texts);
  }

  completed(tag: string): void {
    const step = this.#steps[this.#at];
    step?.completed(tag);
    if (step?.unread !== undefined) this.#unread.push({ index: this.#at, error: step.unread.error });
    this.#at += 1;
  }

  empty(): void {
    this.#at += 1;
  }

  failed(error: unknown): void {
    // What came first counts, as in pg.
    this.#failure = { index: this.#at, error: this.#steps[this.#at]?.unread?.error ?? error };
    for (const [place, step] of this.#steps.slice(this.#at).entries()) {
      if (step instanceof Step) this.#airport.failed(step, place === 0 ? error : undefined);
    }
  }

  landed(): void {
    const results = this.#steps.slice(0, this.#at).map(({ result }) => result as QueryResult<unknown>);
    const failure = this.#failure ?? this.#unread[0];
    this.#receiver.landed({ results: results as QueryResult<never>[], failure, unread: this.#unread });
  }

  late(): void {
    // Nobody else waits for it.
  }

  lost(error: unknown): void {
    this.#receiver.lost(error);
  }
}
