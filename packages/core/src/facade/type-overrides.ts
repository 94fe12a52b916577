/** Where pg gets type parsers from. https://node-postgres.com/features/types */
interface Types {
  getTypeParser(oid: number, format?: string): unknown;
}

/** With what a library reads. */
export interface TypeChoice {
  /** Of a façade; undefined where the driver's own are meant. */
  readonly types: object | undefined;
  readonly driverTypes: object;
}

/** The type parsers of one client: its own, then those of its façade, then those of the driver. */
export class TypeOverrides implements Types {
  readonly #around: Types | undefined;
  readonly #driver: Types;
  readonly #own = new Map<string, unknown>();

  constructor({ types, driverTypes }: TypeChoice) {
    this.#around = types as Types | undefined;
    this.#driver = driverTypes as Types;
  }

  /** Undefined where the driver's own are meant. */
  get inForce(): object | undefined {
    return this.#own.size === 0 ? this.#around : this;
  }

  /** `format` may be left out. */
  setTypeParser(oid: number, format: unknown, parser?: unknown): void {
    if (typeof format === 'function') this.#own.set(`${oid} text`, format);
    else this.#own.set(`${oid} ${String(format)}`, parser);
  }

  getTypeParser(oid: number, format = 'text'): unknown {
    return this.#own.get(`${oid} ${format}`) ?? (this.#around ?? this.#driver).getTypeParser(oid, format);
  }
}
