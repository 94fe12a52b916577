import { LifeguardError } from '../errors.ts';
import type { Statement } from '../pg/connection.ts';

const KEYS: ReadonlySet<string> = new Set(['text', 'values', 'name', 'rowMode', 'types', 'queryMode']);

/** What was given to `query()`, checked: what is wrong with it is said before a connection is taken. */
export function toStatement(given: string | Statement, values: readonly unknown[] | undefined): Statement {
  if (typeof given === 'string') return fromText(given, values);
  if (typeof given !== 'object' || given === null)
    refuse(`a statement is a string or an object with a text, not ${typeof given}`);
  if (typeof (given as { submit?: unknown }).submit === 'function')
    refuse('cursors and other submittables need a connection of their own and are not taken by query()');
  return fromObject(given, values);
}

function fromText(text: string, values: readonly unknown[] | undefined): Statement {
  refuseNul(text);
  if (values !== undefined) checkValues(values);
  return { ...NOTHING, text, values };
}

function fromObject(given: Statement, beside: readonly unknown[] | undefined): Statement {
  for (const key of Object.keys(given)) if (!KEYS.has(key)) refuse(`a statement has no part "${key}"`);
  const { text, values = beside, ...rest }: Statement = { ...NOTHING, ...given };
  if (typeof text !== 'string') refuse('a statement needs a text');
  refuseNul(text);
  if (rest.name !== undefined) refuseNul(rest.name);
  if (values !== undefined) checkValues(values);
  if (beside !== undefined && values !== beside) refuse('values were given twice: in the statement and beside it');
  return { ...rest, text, values };
}

/** All parts are own ones: what a polluted prototype adds to an absent one is nobody's wish. */
const NOTHING: Omit<Statement, 'text'> = {
  values: undefined,
  name: undefined,
  rowMode: undefined,
  types: undefined,
  queryMode: undefined,
};

/** In the protocol a NUL ends a string: what stands behind it would be read as something else. */
function refuseNul(part: string): void {
  if (part.includes('\0')) refuse('there is a NUL character in it');
}

function checkValues(values: unknown): void {
  if (typeof values === 'function') refuse('query() takes no callback: it returns a promise');
  if (!Array.isArray(values)) refuse(`values are an array, not ${typeof values}`);
}

function refuse(message: string): never {
  throw new LifeguardError('ERR_LIFEGUARD_ARGUMENT', `Nothing was sent: ${message}.`, { consequence: 'nothing-sent' });
}
