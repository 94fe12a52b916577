import { isString } from './sql-scanner.ts';
import { scanStatements } from './sql-statement.ts';
import { callsConfig, isConfig, readSql } from './sql-words.ts';

type Tokens = readonly string[];
type Values = readonly unknown[];

/** More are not looked for: each costs the server a look-up. */
const MOST_NAMES = 100;
const LONGEST_NAME = 255;
/** So much of the values is looked at, however deep they are, and even where they hold themselves. */
const MOST_VALUES = 10_000;

/** https://www.postgresql.org/docs/current/runtime-config-custom.html; the server takes all beyond ASCII for letters. */
const NAME = /^[A-Z_\u0080-\uffff][\w$\u0080-\uffff]*(?:\.[A-Z_\u0080-\uffff][\w$\u0080-\uffff]*)*$/i;

/**
 * Words behind SET or RESET that are no names: https://www.postgresql.org/docs/current/sql-set.html. The modes of a
 * transaction and its constraints are no settings, and RESET ALL names none.
 */
const WORDS: ReadonlyMap<string, string | undefined> = new Map([
  ['TIME', 'timezone'],
  ['SCHEMA', 'search_path'],
  ['NAMES', 'client_encoding'],
  ['XML', 'xmloption'],
  ['SESSION', 'session_authorization'],
  ['AUTHORIZATION', 'session_authorization'],
  ...['TRANSACTION', 'CONSTRAINTS', 'CHARACTERISTICS', 'ALL'].map((word) => [word, undefined] as const),
]);

/** Behind the name of a setting; no keyword that is reserved, such as TO, can be one. */
const BEHIND_NAMES: ReadonlySet<string | undefined> = new Set(['.', '=', 'TO']);

/**
 * Settings that are not as others. Another session user has no role, and must be undone before the role. The server
 * itself ends the modes of a transaction with its savepoint. The seed cannot be read.
 */
const CHANGED: ReadonlyMap<string, Tokens> = new Map<string, Tokens>([
  ['session_authorization', ['session_authorization', 'role']],
  ...['transaction_isolation', 'transaction_read_only', 'transaction_deferrable'].map((name) => [name, []] as const),
  ['seed', []],
]);

/**
 * The settings that a text may change for the rest of the transaction, or for longer, by their names in lower case.
 * Where it is not seen which one `set_config` changes, each string in the statement and in the values that looks like
 * a name may be it: `select set_config(el->>0, el->>1, true) from json_array_elements($1::json) el`.
 */
export function localSettings(text: string, values: Values = []): 'none' | { readonly names: readonly string[] } {
  if (!readSql(text).setsSettings) return 'none';
  const names = new Names();
  for (const statement of scanStatements(text)) {
    let calls = false;
    do {
      calls ||= callsConfig(statement);
    } while (statement.advance());
    const { head, isLong } = statement;
    if (head[0] === 'SET' || head[0] === 'RESET') names.add(settingName(head));
    else if (calls && (!addCalls(head, values, names) || isLong)) addAny(head, values, names);
  }
  const { all } = names;
  return all.length === 0 ? 'none' : { names: all };
}

/** In the order of their coming, each once. */
class Names {
  readonly #names = new Set<string>();

  get all(): readonly string[] {
    return [...this.#names];
  }

  add(spelled: unknown): void {
    if (typeof spelled !== 'string' || !looksLikeName(spelled)) return;
    // Of letters beyond ASCII, the server tells the cases apart.
    const name = spelled.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
    for (const changed of CHANGED.get(name) ?? [name]) if (this.#names.size < MOST_NAMES) this.#names.add(changed);
  }
}

/**
 * Adds all strings in a statement and its values that may be names, alone or behind a string that ends with a dot:
 * `set_config('claims.' || key, …)`.
 */
function addAny(head: Tokens, values: Values, names: Names): void {
  const literals = head.map(literal).filter((text) => text !== undefined);
  const prefixes = literals.filter((text) => text.endsWith('.'));
  for (const text of stringsIn([...literals, ...values])) {
    for (const prefix of prefixes) names.add(prefix + text);
    names.add(text);
  }
}

/** Also those in lists, in objects, and in texts of either. */
function stringsIn(values: Values): readonly string[] {
  const found: unknown[] = values.slice(0, MOST_VALUES).map(unpacked);
  for (const value of found) {
    // What is appended on the way is visited, too.
    for (const inner of contentOf(value).slice(0, MOST_VALUES - found.length)) found.push(inner);
  }
  return found.filter((value) => typeof value === 'string');
}

function looksLikeName(text: string): boolean {
  return text.length <= LONGEST_NAME && NAME.test(text);
}

/** What the driver sends as an array or as JSON; the bytes of a buffer and the days of a date are none. */
function contentOf(value: unknown): Values {
  if (Array.isArray(value)) return value;
  const isObject = typeof value === 'object' && value !== null && !ArrayBuffer.isView(value);
  return isObject ? Object.entries(value).flat() : [];
}

/** A text in JSON, or one of an array as PostgreSQL writes it: `{role,"a.b"}`. */
function unpacked(value: unknown): unknown {
  if (typeof value !== 'string' || !/^\s*[[{"]/.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value.split(/[\s{},"]+/);
  }
}

/** Of a statement that begins with SET or RESET; `SET local.tenant` sets a variable called "local.tenant". */
function settingName(head: Tokens): string | undefined {
  const isPrefixed = (head[1] === 'LOCAL' || head[1] === 'SESSION') && !BEHIND_NAMES.has(head[2]);
  let at = isPrefixed ? 2 : 1;
  const word = head[at] ?? '';
  if (head[at + 1] !== '.' && WORDS.has(word)) return WORDS.get(word);
  let name = unquoted(word);
  while (head[at + 1] === '.') {
    at += 2;
    name += `.${unquoted(head[at] ?? '')}`;
  }
  return name;
}

/** Of a name; the case of one without quotes does not matter. */
function unquoted(token: string): string {
  return token.startsWith('"') ? token.slice(1, -1) : token;
}

/** Adds what the calls of `set_config` change, and answers whether all of them say what. */
function addCalls(head: Tokens, values: Values, names: Names): boolean {
  let sayAll = true;
  for (let at = 0; at < head.length; at++) {
    if (!isConfig(head[at]) || head[at + 1] !== '(') continue;
    const name = namedBy(head[at + 2], values);
    const saysIt = name !== undefined && head[castEnd(head, at + 3)] === ',';
    if (saysIt) names.add(name);
    sayAll &&= saysIt;
  }
  return sayAll;
}

/** The name in a string or in a parameter; a parameter that is no name changes nothing. */
function namedBy(token: string | undefined, values: Values): unknown {
  if (token === undefined) return undefined;
  if (/^\$\d/.test(token)) return values[Number(token.slice(1)) - 1] ?? null;
  const text = literal(token);
  // With escapes in it, it is another one than it seems.
  return text !== undefined && looksLikeName(text) ? text : undefined;
}

/** Behind `::text`, where it is. */
function castEnd(head: Tokens, at: number): number {
  return head[at] === ':' && head[at + 1] === ':' ? at + 3 : at;
}

/** What a string says, less its escapes. */
function literal(token: string): string | undefined {
  if (!isString(token)) return undefined;
  const quote = token.indexOf('$', 1) + 1;
  return token.startsWith("'") ? token.slice(1, -1).replaceAll("''", "'") : token.slice(quote, -quote);
}
