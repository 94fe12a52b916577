import { LifeguardError } from '../errors.ts';
import { isPlain } from '../option-rules.ts';
import type { Statement } from '../pg/statement.ts';

/** What a unit of work sets for itself: a tenant for row-level security, a search_path. `undefined` is no value. */
export type SettingsOption = Readonly<Record<string, string | number | boolean>>;

export interface Setting {
  readonly name: string;
  readonly value: string;
}

/**
 * The settings and the role of a unit of work, checked, in the order in which they are applied: the role last, because
 * under it the others might not be allowed. A setting that was declared and has no value is refused: without its tenant
 * a statement must not run at all.
 */
export function readSettings(given: unknown, role: unknown): readonly Setting[] {
  // Of anything else than a plain object some of the settings might not be seen.
  if (given !== undefined && !isPlain(given)) refuse('settings are a plain object of names and values');
  const settings = Object.entries(given ?? {}).map(([name, value]) => ({
    name: checkedName(name),
    value: text(name, value),
  }));
  const twice = settings.find(({ name }, index) => settings.findIndex((other) => other.name === name) !== index);
  if (twice !== undefined) refuse(`the setting "${twice.name}" is given twice`);
  if (role === undefined) return Object.freeze(settings);
  if (typeof role !== 'string' || role === '' || role.includes('\0')) refuse('role must be the name of a role');
  return Object.freeze([...settings, { name: 'role', value: role as string }]);
}

/**
 * Names and values are bound, so neither can be read as SQL, and they last until the end of the transaction: nothing is
 * left for whoever has the connection next. https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-SET
 */
export function settingsStatement(settings: readonly Setting[]): Statement {
  const calls = settings.map((_, index) => `set_config($${2 * index + 1}, $${2 * index + 2}, true)`);
  return { text: `SELECT ${calls.join(', ')}`, values: settings.flatMap(({ name, value }) => [name, value]) };
}

/** The limits of time, and the rest. */
export function parted(settings: readonly Setting[]): readonly [times: readonly Setting[], others: readonly Setting[]] {
  return [settings.filter(({ name }) => TIMES.has(name)), settings.filter(({ name }) => !TIMES.has(name))];
}

/**
 * A limit of time, which is a number of ours. In a transaction SET LOCAL does without the snapshot that a SELECT takes:
 * a first LOCK, or SET TRANSACTION, still comes before that.
 */
export function timeStatement({ name, value }: Setting): string {
  return `SET LOCAL ${name} = ${Number(value)}`;
}

const TIMES: ReadonlySet<string> = new Set([
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
]);

/**
 * The same, where names may be none of a setting, or of one that not everybody may see: of those nothing can be set either.
 * https://www.postgresql.org/docs/current/view-pg-settings.html
 */
export function guessedStatement(settings: readonly Setting[]): Statement {
  const calls = settings.map(({ name }, index) => {
    const asked = `current_setting($${index + 1}, true)`;
    if (name.includes('.') || SEEN_BY_ALL.has(name)) return `${asked} AS s${index}`;
    return `CASE WHEN EXISTS (SELECT FROM pg_settings WHERE name = $${index + 1}) THEN ${asked} END AS s${index}`;
  });
  return { text: `SELECT ${calls.join(', ')}`, values: settings.map(({ name }) => name) };
}

const SEEN_BY_ALL: ReadonlySet<string> = new Set([
  ...['role', 'session_authorization', 'search_path', 'timezone', 'statement_timeout', 'lock_timeout'],
]);

/** What the same settings are before: to be put back where a savepoint is released, which would keep the new ones. */
export function formerStatement(settings: readonly Setting[]): Statement {
  const calls = settings.map((_, index) => `current_setting($${index + 1}, true) AS s${index}`);
  return { text: `SELECT ${calls.join(', ')}`, values: settings.map(({ name }) => name) };
}

export function formerSettings(
  settings: readonly Setting[],
  row: Readonly<Record<string, unknown>>,
): readonly Setting[] {
  return settings.map(({ name }, index) => ({ name, value: String(row[`s${index}`] ?? '') }));
}

/** Puts back what is different by now. What was never set is set to nothing, as the server does it itself. */
export function backStatement(former: readonly Setting[]): Statement {
  const text =
    'SELECT set_config(name, former, true) FROM unnest($1::text[], $2::text[]) AS s(name, former) ' +
    "WHERE coalesce(current_setting(name, true), '') <> former";
  return { text, values: [former.map(({ name }) => name), former.map(({ value }) => value)] };
}

/** https://www.postgresql.org/docs/current/config-setting.html, and custom ones with a dot in the name. */
const NAME = /^[a-z_][a-z0-9_$]{0,62}(\.[a-z_][a-z0-9_$]{0,62}){0,2}$/i;

/** Settings that Lifeguard keeps itself, by the option that is meant for each. */
const OWN: ReadonlyMap<string, string> = new Map([
  ['role', 'role'],
  ['statement_timeout', 'timeoutMillis'],
  ['lock_timeout', 'lockTimeoutMillis'],
  ['idle_in_transaction_session_timeout', 'timeoutMillis'],
  ['transaction_timeout', 'timeoutMillis'],
  ['transaction_isolation', 'isolation'],
  ['transaction_read_only', 'readOnly'],
  ['transaction_deferrable', 'deferrable'],
]);

function checkedName(name: string): string {
  if (!NAME.test(name)) refuse(`${JSON.stringify(name.slice(0, 70))} is not the name of a setting`);
  const option = OWN.get(name.toLowerCase());
  if (option !== undefined) refuse(`the setting "${name}" has an option of its own: ${option}`);
  if (name.toLowerCase() === 'session_authorization')
    refuse('"session_authorization" outlives the transaction: use role');
  // To the server it is the same in any case.
  return name.toLowerCase();
}

function text(name: string, value: unknown): string {
  if (value === undefined || value === null) {
    refuse(`the setting "${name}" was declared and is ${value}; give it a value, or leave it out where none is meant`);
  }
  if (typeof value === 'number' ? !Number.isFinite(value) : typeof value !== 'string' && typeof value !== 'boolean') {
    refuse(`the value of the setting "${name}" must be a string, a finite number or a boolean, not ${typeof value}`);
  }
  const written = String(value);
  if (written.includes('\0')) refuse(`there is a NUL character in the value of the setting "${name}"`);
  return written;
}

function refuse(complaint: string): never {
  throw new LifeguardError('ERR_LIFEGUARD_SETTING', `Nothing was sent: ${complaint}.`, { consequence: 'nothing-sent' });
}
