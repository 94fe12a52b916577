import type { QueryResult } from './statement.ts';
import type { TypeParsers } from './type-parsers.ts';

/** A column, as pg describes it. */
export type Field = QueryResult['fields'][number];

/** What the rows of a statement look like. It holds for as long as the statement stays prepared. */
export class Shape {
  readonly fields: readonly Field[];
  /** All names in their order: copied for each row, so that all rows have one form in the engine. */
  readonly template: Readonly<Record<string, null>>;

  constructor(fields: readonly Field[]) {
    this.fields = fields;
    // Without a prototype a column may have any name, `__proto__` too.
    const template: Record<string, null> = Object.create(null);
    for (const { name } of fields) template[name] = null;
    this.template = template;
  }
}

export const NO_ROWS: Shape = new Shape(Object.freeze([]) as readonly Field[]);

/** What pg answers, row by row. */
export class Answer implements QueryResult<never> {
  command: string = '';
  rowCount: number | null = null;
  oid: number | null = null;
  rows: never[] = [];
  fields: readonly Field[] = NO_ROWS.fields;

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

const TAG = /^([A-Za-z]+)(?: (\d+))?(?: (\d+))?/;

/** Turns the texts of a row into values. */
export class RowReader {
  readonly #shape: Shape;
  readonly #parsers: ((value: string) => unknown)[] = [];
  readonly #asArray: boolean;

  constructor(shape: Shape, types: TypeParsers, mode: 'array' | undefined) {
    this.#shape = shape;
    this.#asArray = mode === 'array';
    for (const { dataTypeID, format } of shape.fields) this.#parsers.push(types.getTypeParser(dataTypeID, format));
  }

  read(texts: readonly (string | null)[]): object {
    return this.#asArray ? this.#array(texts) : this.#object(texts);
  }

  #object(texts: readonly (string | null)[]): object {
    const { fields, template } = this.#shape;
    const row: Record<string, unknown> = { ...template };
    for (let index = 0; index < texts.length; index += 1) {
      const text = texts[index] as string | null;
      row[(fields[index] as Field).name] = text === null ? null : this.#parsers[index]?.(text);
    }
    return row;
  }

  #array(texts: readonly (string | null)[]): unknown[] {
    return texts.map((text, index) => (text === null ? null : this.#parsers[index]?.(text)));
  }
}
