import { LifeguardError } from '../errors.ts';
import type { PgModule } from '../facade/pg-pool-options.ts';
import type { LifeguardPool } from '../lifeguard-pool.ts';

/** Slonik knows types by their name in `pg_type`. */
export interface TypeParser {
  readonly name: string;
  parse(text: string): unknown;
}

type Parse = (text: string) => unknown;

/** Of the package `pg`; what reads arrays is that of pg-types. */
interface PgTypes {
  getTypeParser(oid: number, format?: string): unknown;
  readonly arrayParser: { create(text: string, parse: Parse): { parse(): unknown } };
}

interface Row {
  readonly oid: number;
  readonly typarray: number;
  readonly typname: string;
}

const NUMBERS = 'select oid, typarray, typname from pg_type where typname = any($1::text[])';

/** Type parsers by number, as pg asks for them: slonik's own, those of arrays of them, and the rest from `pg`. */
export async function slonikTypes(
  pool: LifeguardPool,
  pg: PgModule,
  typeParsers: readonly TypeParser[],
): Promise<{ getTypeParser(oid: number, format?: string): unknown }> {
  const names = typeParsers.map(({ name }) => name);
  const { rows } = await pool.outside(() => pool.query<Row>(NUMBERS, [names]));
  const { types } = pg as unknown as { readonly types: PgTypes };
  const parsers = new Map<number, Parse>();
  for (const { name, parse } of typeParsers) {
    const row = rows.find(({ typname }) => typname === name);
    if (row === undefined) throw unknown(name);
    parsers.set(Number(row.oid), (text) => parse(text));
    if (Number(row.typarray) === 0) continue;
    parsers.set(Number(row.typarray), (text) => types.arrayParser.create(text, (item) => parse(item)).parse());
  }
  return {
    getTypeParser: (oid, format) => parsers.get(oid) ?? types.getTypeParser(oid, format),
  };
}

function unknown(name: string): LifeguardError {
  const message = `slonik has a type parser for "${name}", and the database has no such type: make the type first, or leave the parser out.`;
  return new LifeguardError('ERR_LIFEGUARD_OPTION', message);
}
