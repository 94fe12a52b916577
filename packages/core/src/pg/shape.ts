import type { QueryResult } from './statement.ts';
import type { TypeParsers } from './type-parsers.ts';

/** A column, as pg describes it. */
export type Field = QueryResult['fields'][number];

/** What the rows of a statement look like. It holds for as long as the statement stays prepared. */
export class Shape {
  readonly #fields: readonly Field[];
  readonly names: readonly string[];
  /** All names in their order: copied for each row, so that all rows have one form in the engine. */
  readonly template: Readonly<Record<string, null>>;

  constructor(fields: readonly Field[]) {
    this.#fields = fields;
    this.names = fields.map(({ name }) => name);
    // Without a prototype a column may have any name, `__proto__` too.
    const template: Record<string, null> = Object.create(null);
    for (const name of this.names) template[name] = null;
    // A copy is of the fast kind, and so are the copies of it.
    this.template = { ...template };
  }

  get fields(): readonly Field[] {
    return this.#fields;
  }

  /** For a result of its own: callers may do with it what they like. */
  copy(): Field[] {
    return this.#fields.map((field) => ({ ...field }));
  }
}

export const NO_ROWS: Shape = new Shape(Object.freeze([]) as readonly Field[]);

/** What pg answers, row by row. */
export class Answer implements QueryResult<never> {
  command: string = NO_COMMAND;
  rowCount: number | null = null;
  oid: number | null = null;
  rows: never[] = [];
  fields: readonly Field[] = [];

  /** https://www.postgresql.org/docs/current/protocol-message-formats.html: the tag of CommandComplete. */
  complete(tag: string): void {
    const parts = TAG.exec(tag);
    if (parts === null) return;
    const [, command = '', first, second] = parts;
    this.command = command;
    if (second !== undefined) this.oid = Number(first);
    if (first !== undefined) this.rowCount = Number(second ?? first);
  }
}

/** As in pg, whose types do not tell. */
const NO_COMMAND = null as unknown as string;
const TAG = /^([A-Za-z]+)(?: (\d+))?(?: (\d+))?/;

type Parser = (text: string) => unknown;

/** Turns the texts of a row into values. */
export class RowReader {
  readonly #shape: Shape;
  readonly #parsers: Parser[] = [];
  readonly #asArray: boolean;

  constructor(shape: Shape, types: TypeParsers, mode: 'array' | undefined) {
    this.#shape = shape;
    this.#asArray = mode === 'array';
    for (const { dataTypeID, format } of shape.fields) {
      const parser = types.getTypeParser(dataTypeID, format);
      this.#parsers.push(format === 'binary' ? (text) => parser(Buffer.from(text) as never) : parser);
    }
  }

  read(texts: readonly (string | null)[]): object {
    return this.#asArray ? this.#array(texts) : this.#object(texts);
  }

  #object(texts: readonly (string | null)[]): object {
    const { names, template } = this.#shape;
    const parsers = this.#parsers;
    const row: Record<string, unknown> = { ...template };
    for (let index = 0; index < texts.length; index += 1) {
      const text = texts[index] as string | null;
      row[names[index] as string] = text === null ? null : (parsers[index] as Parser)(text);
    }
    return row;
  }

  #array(texts: readonly (string | null)[]): unknown[] {
    return texts.map((text, index) => (text === null ? null : (this.#parsers[index] as Parser)(text)));
  }
}
