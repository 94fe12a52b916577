import { LifeguardError } from '../errors.ts';
import type { Statement } from '../pg/statement.ts';

const KEYS: ReadonlySet<string> = new Set(['text', 'values', 'name', 'rowMode', 'types', 'queryMode']);

/** What was given to `query()`, checked: what is wrong with it is said before a connection is taken. */
export function toStatement(given: string | Statement, values: readonly unknown[] | undefined): Statement {
  if (typeof given === 'string') return fromText(given, values);
  if (typeof given !== 'object' || given === null)
    refuse(`a statement is a string or an object with a text, not ${typeof given}`);
  if (typeof (given as { submit?: unknown }).submit === 'function')
    refuse('a cursor, a stream or a COPY runs in a transaction: pool.transaction((tx) => tx.query(cursor))');
  return fromObject(given, values);
}

function fromText(text: string, values: readonly unknown[] | undefined): Statement {
  refuseNul(text);
  if (values !== undefined) checkValues(values);
  // All parts are own ones, so that none comes from a polluted prototype.
  return { text, values, name: undefined, rowMode: undefined, types: undefined, queryMode: undefined };
}

function fromObject(given: Statement, beside: readonly unknown[] | undefined): Statement {
  for (const key of Object.keys(given)) if (!KEYS.has(key)) refuse(`a statement has no part "${key}"`);
  // No prototype: what a polluted one adds to an absent part is nobody's wish.
  const own: { -readonly [Part in keyof Statement]: Statement[Part] } = Object.assign(Object.create(null), given);
  if (typeof own.text !== 'string') refuse('a statement needs a text');
  refuseNul(own.text);
  if (own.name !== undefined) checkName(own.name);
  if (own.types !== undefined && typeof (own.types as { getTypeParser?: unknown } | null)?.getTypeParser !== 'function')
    refuse('types are an object with getTypeParser(oid, format)');
  if (own.rowMode !== undefined && own.rowMode !== 'array') refuse('rowMode is "array" or left out');
  if (own.queryMode !== undefined && own.queryMode !== 'extended') refuse('queryMode is "extended" or left out');
  if (own.values !== undefined && beside !== undefined)
    refuse('values were given twice: in the statement and beside it');
  if (beside !== undefined) own.values = beside;
  if (own.values !== undefined) checkValues(own.values);
  const { text, values, name, rowMode, types, queryMode } = own;
  return { text, values, name, rowMode, types, queryMode };
}

/** In the protocol a NUL ends a string: what stands behind it would be read as something else. */
function refuseNul(part: string): void {
  if (part.includes('\0')) refuse('there is a NUL character in it');
}

function checkName(name: unknown): void {
  if (typeof name !== 'string' || name === '') refuse('the name of a prepared statement is a string that is not empty');
  refuseNul(name);
}

function checkValues(values: unknown): void {
  if (typeof values === 'function') refuse('query() takes no callback: it returns a promise');
  if (!Array.isArray(values))
    refuse(
      `values are an array, not ${values === null ? 'null' : typeof values}; limits come third: query(text, [], { timeoutMillis })`,
    );
}

function refuse(message: string): never {
  throw new LifeguardError('ERR_LIFEGUARD_ARGUMENT', `Nothing was sent: ${message}.`, { consequence: 'nothing-sent' });
}
