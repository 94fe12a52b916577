import { LifeguardError } from '../errors.ts';
import type { Statement } from '../pg/connection.ts';

const KEYS: ReadonlySet<string> = new Set(['text', 'values', 'name', 'rowMode', 'types', 'queryMode']);

/** What was given to `query()`, checked: what is wrong with it is said before a connection is taken. */
export function toStatement(given: string | Statement, values: readonly unknown[] | undefined): Statement {
  if (typeof given === 'string') {
    refuseNul(given);
    return values === undefined ? { text: given } : { text: given, values: checkedValues(values) };
  }
  if (typeof given !== 'object' || given === null)
    refuse(`a statement is a string or an object with a text, not ${typeof given}`);
  if ('submit' in given)
    refuse('cursors and other submittables need a connection of their own and are not taken by query()');
  for (const key of Object.keys(given)) if (!KEYS.has(key)) refuse(`a statement has no part "${key}"`);
  if (typeof given.text !== 'string') refuse('a statement needs a text');
  refuseNul(given.text);
  if (given.name !== undefined) refuseNul(given.name);
  if (given.values !== undefined && values !== undefined)
    refuse('values were given twice: in the statement and beside it');
  const all = given.values ?? values;
  return all === undefined ? given : { ...given, values: checkedValues(all) };
}

/** In the protocol a NUL ends a string: what stands behind it would be read as something else. */
function refuseNul(part: string): void {
  if (part.includes('\0')) refuse('there is a NUL character in it');
}

function checkedValues(values: unknown): readonly unknown[] {
  if (typeof values === 'function') refuse('query() takes no callback: it returns a promise');
  if (!Array.isArray(values)) refuse(`values are an array, not ${typeof values}`);
  return values;
}

function refuse(message: string): never {
  throw new LifeguardError('ERR_LIFEGUARD_ARGUMENT', `Nothing was sent: ${message}.`, { consequence: 'nothing-sent' });
}
