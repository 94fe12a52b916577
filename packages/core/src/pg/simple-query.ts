import type { Flight } from './flight.ts';
import type { Packet } from './packet.ts';
import type { Script } from './scripts.ts';
import { Answer, type Field, RowReader, Shape } from './shape.ts';
import type { Departure, Receiver } from './solo.ts';
import type { Statement } from './statement.ts';
import { guarded, type TypeParsers } from './type-parsers.ts';

/**
 * A text with any number of statements and no values. One answers with a result, several with an array of them, as in pg.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT
 */
export class SimpleQuery implements Flight {
  readonly protocol = 'simple';
  readonly text: string;
  readonly name: undefined = undefined;
  readonly #types: TypeParsers;
  readonly #rowMode: 'array' | undefined;
  readonly #receiver: Receiver;
  readonly #script: Script;
  readonly #results: Answer[] = [];
  #current: 'open' | 'complete' = 'complete';
  #reader: RowReader | undefined = undefined;
  #failure: { readonly error: unknown } | undefined = undefined;

  constructor({ text, types, rowMode }: Statement, { airport, script, receiver }: Omit<Departure, 'prepared'>) {
    this.text = text;
    this.#types = guarded(types) ?? airport.types;
    this.#script = script;
    this.#rowMode = rowMode;
    this.#receiver = receiver;
  }

  write(packet: Packet): void {
    packet.query(this.text);
  }

  parsed(): void {
    // Nothing is parsed apart here.
  }

  bound(): void {
    // Nor bound.
  }

  described(fields: readonly Field[] | undefined): void {
    const shape = new Shape(fields ?? []);
    this.#open().fields = shape.copy();
    this.#reader = new RowReader(shape, this.#types, this.#rowMode);
  }

  row(texts: readonly (string | null)[]): void {
    if (this.#failure !== undefined) return;
    try {
      this.#open().rows.push(this.#reader?.read(texts) as never);
    } catch (error) {
      this.#failure = { error };
    }
  }

  completed(tag: string): void {
    this.#open().complete(tag);
    this.#current = 'complete';
  }

  empty(): void {
    this.#open();
    this.#current = 'complete';
  }

  failed(error: unknown): void {
    this.#failure ??= { error };
  }

  landed(ownMillis: number): void {
    this.#script.took(ownMillis);
    if (this.#failure !== undefined) return this.#receiver.failed(this.#failure.error);
    const [first, ...others] = this.#results;
    const result = others.length === 0 ? (first ?? new Answer()) : this.#results;
    this.#receiver.answered(result as Answer);
  }

  late(): void {
    // Nobody else waits for it.
  }

  lost(error: unknown): void {
    this.#receiver.lost(error);
  }

  #open(): Answer {
    if (this.#current === 'complete') this.#results.push(new Answer());
    this.#current = 'open';
    return this.#results[this.#results.length - 1] as Answer;
  }
}
