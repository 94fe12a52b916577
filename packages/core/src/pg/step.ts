import { LifeguardError } from '../errors.ts';
import { prepareValue } from './driver.ts';
import type { Packet } from './packet.ts';
import type { Definition, Prepared } from './repertoire.ts';
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
  /** As they travel. */
  readonly values: readonly unknown[];
  readonly #types: TypeParsers;
  readonly #rowMode: 'array' | undefined;
  #definition: Definition | undefined = undefined;
  #shape: Shape | undefined = undefined;
  #reader: RowReader | undefined = undefined;
  /** Who has prepared it, or asked for its shape, must say so when that failed. */
  #asked: 'nothing' | 'parse' | 'shape' = 'nothing';
  #progress: 'underway' | 'bound' = 'underway';

  /** Throws where a value cannot be converted: nothing is written then. */
  constructor(statement: Statement, types: TypeParsers, prepared: Prepared | undefined) {
    this.text = statement.text;
    this.name = statement.name;
    this.prepared = prepared;
    // To an empty text there is nothing to bind.
    this.values = this.text === '' ? NO_VALUES : converted(statement.values ?? NO_VALUES);
    this.#types = guarded(statement.types) ?? types;
    this.#rowMode = statement.rowMode;
  }

  write(packet: Packet): void {
    const { prepared } = this;
    const isMany = this.values.length > MOST_DESCRIBED;
    if (prepared === undefined) packet.parse('', this.text);
    else this.#prepare(prepared, packet, isMany ? 'portal' : 'statement');
    packet.bind(prepared?.name ?? '', this.values);
    if (prepared === undefined || isMany) packet.describe('portal', '');
    packet.execute();
  }

  parsed(): void {
    const { prepared } = this;
    // It may be out of date by now.
    if (prepared?.state === 'asked' && prepared.definition === this.#definition) prepared.state = 'parsed';
  }

  bound(): void {
    this.#progress = 'bound';
  }

  /** Nothing of it has run, and it relied on what was prepared before. */
  get isRefusedAsPrepared(): boolean {
    return this.prepared !== undefined && this.#asked !== 'parse' && this.#progress === 'underway';
  }

  described(fields: readonly Field[] | undefined): void {
    this.#shape = fields === undefined ? NO_ROWS : new Shape(fields);
    if (this.#definition !== undefined) this.#definition.shape = this.#shape;
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
    this.result.fields = this.#knownShape().copy();
    this.result.complete(tag);
  }

  /** It has failed, or was skipped: what it was to prepare or to ask for has not happened, unless that was answered. */
  undone(forget: (prepared: Prepared) => void): void {
    const { prepared } = this;
    if (prepared === undefined) return;
    if (this.#asked === 'parse' && prepared.state === 'asked') forget(prepared);
    if (this.#definition?.shape === 'asked') this.#definition.shape = 'unknown';
  }

  /** The portal's description would come after an error of Bind: that of the statement comes before. */
  #prepare(prepared: Prepared, packet: Packet, described: 'statement' | 'portal'): void {
    if (prepared.state === 'unsent' || prepared.state === 'outdated') {
      for (const name of prepared.closes) packet.closeStatement(name);
      packet.parse(prepared.name, this.text);
      prepared.state = 'asked';
      prepared.definition = { shape: 'unknown' };
      this.#asked = 'parse';
    }
    const { definition } = prepared;
    this.#definition = definition;
    if (definition.shape === 'unknown' && described === 'statement') {
      packet.describe('statement', prepared.name);
      definition.shape = 'asked';
      if (this.#asked === 'nothing') this.#asked = 'shape';
    }
  }

  #knownShape(): Shape {
    if (this.#shape !== undefined) return this.#shape;
    const shape = this.#definition?.shape;
    // An empty text has no shape, and neither has one whose answer tells none.
    this.#shape = typeof shape === 'object' ? shape : NO_ROWS;
    return this.#shape;
  }
}

function converted(values: readonly unknown[]): readonly unknown[] {
  const { length } = values;
  if (length > MOST_VALUES) throw tooMany(length);
  // A copy, and by index: what a value's own code does to the array, or the array to a loop, changes nothing any more.
  const copy = new Array<unknown>(length);
  for (let index = 0; index < length; index += 1) copy[index] = ofItself(values[index]);
  return copy;
}

/** A value that runs no code of its own when it is written. */
function ofItself(value: unknown): unknown {
  return (typeof value === 'object' && value !== null) || typeof value === 'function' ? prepareValue(value) : value;
}

function tooMany(count: number): LifeguardError {
  const message = `Nothing was sent: a statement takes ${MOST_VALUES} values at most, not ${count}. Pass arrays instead (unnest($1::int[], …)), or send it in parts.`;
  return new LifeguardError('ERR_LIFEGUARD_ARGUMENT', message, { consequence: 'nothing-sent' });
}

const NO_VALUES: readonly unknown[] = Object.freeze([]);
/** The protocol counts them in 16 bits. */
const MOST_VALUES = 65_535;
/** pg reads the count in the description of a statement with a sign, and fails to read more. */
const MOST_DESCRIBED = 32_767;
