import { LifeguardError } from '../errors.ts';
import { prepareValue } from './driver.ts';
import type { Packet } from './packet.ts';
import type { Prepared } from './repertoire.ts';
import { Answer, type Field, NO_ROWS, RowReader, Shape } from './shape.ts';
import type { Statement } from './statement.ts';
import { guarded, type TypeParsers } from './type-parsers.ts';

/** One statement on the wire: Parse, Bind, Describe, Execute, as far as the server needs them, and their answer. */
export class Step {
  readonly text: string;
  /** A user's own name, of which pg keeps account too. */
  readonly name: string | undefined;
  readonly result: Answer = new Answer();
  readonly prepared: Prepared | undefined;
  /** A row that could not be read: the server has done its part all the same. */
  unread: { readonly error: unknown } | undefined = undefined;
  /** It has failed because of how it was prepared: another time it will not. */
  isOutdated = false;
  readonly #values: readonly unknown[];
  readonly #types: TypeParsers;
  readonly #rowMode: 'array' | undefined;
  #shape: Shape | undefined = undefined;
  #reader: RowReader | undefined = undefined;
  /** Who has prepared it, or asked for its shape, must say so when that failed. */
  #asked: 'nothing' | 'parse' | 'shape' = 'nothing';

  /** Throws where a value cannot be converted: nothing is written then. */
  constructor(statement: Statement, types: TypeParsers, prepared: Prepared | undefined) {
    this.text = statement.text;
    this.name = statement.name;
    this.prepared = prepared;
    this.#values = converted(statement.values ?? NO_VALUES);
    this.#types = guarded(statement.types) ?? types;
    this.#rowMode = statement.rowMode;
  }

  write(packet: Packet): void {
    const { prepared } = this;
    if (prepared === undefined) {
      packet.parse('', this.text);
      packet.bind('', this.#values);
      packet.describe('portal', '');
    } else {
      this.#prepare(prepared, packet);
      packet.bind(prepared.name, this.#values);
    }
    packet.execute();
  }

  parsed(): void {
    if (this.prepared !== undefined) this.prepared.state = 'parsed';
  }

  described(fields: readonly Field[] | undefined): void {
    this.#shape = fields === undefined ? NO_ROWS : new Shape(fields);
    if (this.prepared !== undefined) this.prepared.shape = this.#shape;
  }

  row(texts: readonly (string | null)[]): void {
    if (this.unread !== undefined) return;
    try {
      this.#reader ??= new RowReader(this.#knownShape(), this.#types, this.#rowMode);
      this.result.rows.push(this.#reader.read(texts) as never);
    } catch (error) {
      this.unread = { error };
    }
  }

  completed(tag: string): void {
    this.result.fields = this.#knownShape().fields;
    this.result.complete(tag);
  }

  /** It has failed, or was skipped: what it was to prepare or to ask for has not happened, unless that was answered. */
  undone(forget: (prepared: Prepared) => void): void {
    const { prepared } = this;
    if (prepared === undefined) return;
    if (this.#asked === 'parse' && prepared.state === 'asked') forget(prepared);
    if (prepared.shape === 'asked') prepared.shape = 'unknown';
  }

  /** The portal's description would come after an error of Bind: that of the statement comes before. */
  #prepare(prepared: Prepared, packet: Packet): void {
    if (prepared.state === 'unsent') {
      for (const name of prepared.closes) packet.closeStatement(name);
      packet.parse(prepared.name, this.text);
      prepared.state = 'asked';
      this.#asked = 'parse';
    }
    if (prepared.shape === 'unknown') {
      packet.describe('statement', prepared.name);
      prepared.shape = 'asked';
      if (this.#asked === 'nothing') this.#asked = 'shape';
    }
  }

  #knownShape(): Shape {
    if (this.#shape !== undefined) return this.#shape;
    const shape = this.prepared?.shape;
    // An empty text has no shape, and neither has one whose answer tells none.
    this.#shape = typeof shape === 'object' ? shape : NO_ROWS;
    return this.#shape;
  }
}

function converted(values: readonly unknown[]): readonly unknown[] {
  if (values.length > MOST_VALUES) throw tooMany(values.length);
  return values.some(isObject) ? values.map((value) => (isObject(value) ? prepareValue(value) : value)) : values;
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

function tooMany(count: number): LifeguardError {
  const message = `Nothing was sent: a statement takes ${MOST_VALUES} values at most, not ${count}. Pass arrays instead (unnest($1::int[], …)), or send it in parts.`;
  return new LifeguardError('ERR_LIFEGUARD_ARGUMENT', message, { consequence: 'nothing-sent' });
}

const NO_VALUES: readonly unknown[] = Object.freeze([]);
/** The protocol counts them in 16 bits. */
const MOST_VALUES = 65_535;
