import { isString } from './sql-scanner.ts';

/**
 * What a text leaves behind in the session once no transaction is open any more, as far as its words show: something
 * that the next borrower would notice, or something missing that `onConnect` had set up.
 *
 * - `resettable`: cleared by `SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *;
 *   SELECT pg_advisory_unlock_all(); DISCARD SEQUENCES; DISCARD TEMP`, which spares prepared statements.
 * - `sticky`: only a new connection is clean, or only `DISCARD ALL`, which takes the driver's prepared statements away.
 *
 * In doubt a text is dirty: a needless reset costs a round trip, a missed one gives a session away. What a function,
 * a DO block or a bound value hides is not seen; `resetOnRelease: 'always'` is for that.
 */
export type Dirt = 'none' | 'resettable' | 'sticky';

type Tokens = readonly string[];
/** Judges the token at a place in its statement. */
type Rule = (tokens: Tokens, at: number) => Dirt;

/** By the word that a statement begins with. */
const VERBS: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ['SET', settingDirt],
  ['RESET', () => 'resettable'],
  ['LISTEN', () => 'resettable'],
  ['CREATE', creationDirt],
  // The text that it runs was prepared by another lease and is not seen here.
  ['EXECUTE', () => 'resettable'],
  ['PREPARE', (tokens, at) => (isTwoPhase(tokens, at) ? 'none' : 'sticky')],
  ['DEALLOCATE', () => 'sticky'],
  ['LOAD', () => 'sticky'],
  ['DISCARD', discardDirt],
]);

/**
 * Functions of the server and its contrib modules that change the session.
 * https://www.postgresql.org/docs/current/functions-admin.html
 */
const FUNCTIONS: Readonly<Record<string, Dirt>> = {
  pg_advisory_lock: 'resettable',
  pg_advisory_lock_shared: 'resettable',
  pg_try_advisory_lock: 'resettable',
  pg_try_advisory_lock_shared: 'resettable',
  // pg_trgm's way to write `SET pg_trgm.similarity_threshold`.
  set_limit: 'resettable',
  // Makes random() predictable for whoever comes next; even DISCARD ALL does not undo it.
  setseed: 'sticky',
  pg_backup_start: 'sticky',
  pg_start_backup: 'sticky',
  pg_replication_origin_session_setup: 'sticky',
  pg_replication_origin_session_reset: 'sticky',
  // A temporary slot lives as long as its session.
  pg_create_logical_replication_slot: 'sticky',
  pg_create_physical_replication_slot: 'sticky',
  pg_copy_logical_replication_slot: 'sticky',
  pg_copy_physical_replication_slot: 'sticky',
  dblink_connect: 'sticky',
  dblink_connect_u: 'sticky',
};

/** By a word anywhere in a statement, also inside CTEs, COPY (…), EXPLAIN and function bodies in standard SQL. */
const SIGNS: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  ...Object.entries(FUNCTIONS).flatMap(([name, dirt]) => named(name, () => dirt, isCall)),
  ...named('set_config', configDirt, isCall),
  // https://www.postgresql.org/docs/current/view-pg-settings.html: an UPDATE of this view is a SET.
  ...named('pg_settings', () => 'resettable', isUpdated),
  ['INTO', intoDirt],
  ['HOLD', (tokens, at) => (follows(tokens, at, 'CURSOR', 'WITH') ? 'resettable' : 'none')],
  ['EXECUTE', (tokens, at) => (follows(tokens, at, 'AS') ? 'resettable' : 'none')],
  // Its escapes may spell any name, and nobody writes one in earnest.
  ['U&""', () => 'resettable'],
]);

const SHORTEST_SIGN = Math.min(...Array.from(SIGNS.keys(), (sign) => sign.length));

const TEMPORARY: ReadonlySet<string | undefined> = new Set(['TEMP', 'TEMPORARY', 'LOCAL', 'GLOBAL']);

/** What one statement leaves behind. */
export function sqlDirt(tokens: Tokens, head: number): Dirt {
  const verb = explained(tokens, head);
  let dirt = VERBS.get(tokens[verb] ?? '')?.(tokens, verb) ?? 'none';
  for (let at = 0; at < tokens.length && dirt !== 'sticky'; at++) {
    const token = tokens[at] ?? '';
    const sign = token.length < SHORTEST_SIGN ? undefined : SIGNS.get(token);
    if (sign !== undefined) dirt = worse(dirt, sign(tokens, at));
  }
  return dirt;
}

export function worse(one: Dirt, other: Dirt): Dirt {
  if (one === 'none' || other === 'sticky') return other;
  return one;
}

/** The words PREPARE TRANSACTION, and not a statement that is called "transaction". */
export function isTwoPhase(tokens: Tokens, at: number): boolean {
  return tokens[at + 1] === 'TRANSACTION' && isString(tokens[at + 2]);
}

/** Where the statement behind EXPLAIN begins, which ANALYZE executes; its options may be a list in parentheses. */
function explained(tokens: Tokens, head: number): number {
  if (tokens[head] !== 'EXPLAIN') return head;
  let at = head + 1;
  if (tokens[at] === '(') return tokens.indexOf(')', at) + 1;
  while (tokens[at] === 'ANALYZE' || tokens[at] === 'ANALYSE' || tokens[at] === 'VERBOSE') at++;
  return at;
}

/** https://www.postgresql.org/docs/current/sql-set.html; `SET local.tenant` sets a variable called "local.tenant". */
function settingDirt(tokens: Tokens, at: number): Dirt {
  const scope = tokens[at + 1];
  if (tokens[at + 2] === '.') return 'resettable';
  if (scope === 'TRANSACTION' || scope === 'CONSTRAINTS') return 'none';
  // random() stays seeded after RESET ALL, and even after the transaction of SET LOCAL.
  if (tokens[scope === 'LOCAL' || scope === 'SESSION' ? at + 2 : at + 1] === 'SEED') return 'sticky';
  return scope !== 'LOCAL' || tokens.some(spellsTempSchema) ? 'resettable' : 'none';
}

/** Whatever goes into the schema pg_temp is temporary, with or without the word. */
function creationDirt(tokens: Tokens, at: number): Dirt {
  if (tokens.some((token, place) => isTempSchema(token) && tokens[place + 1] === '.')) return 'resettable';
  const word = tokens[at + 1] === 'OR' ? at + 3 : at + 1;
  if (!TEMPORARY.has(tokens[word])) return 'none';
  return tokens.some((token, place) => token === 'DROP' && follows(tokens, place, 'ON', 'COMMIT'))
    ? 'none'
    : 'resettable';
}

/** https://www.postgresql.org/docs/current/sql-selectinto.html, and not an INSERT into a table called "temp". */
function intoDirt(tokens: Tokens, at: number): Dirt {
  if (follows(tokens, at, 'INSERT') || follows(tokens, at, 'MERGE')) return 'none';
  const target = tokens[at + 1] ?? '';
  return TEMPORARY.has(target) || isTempSchema(target) ? 'resettable' : 'none';
}

/** PLANS and SEQUENCES leave nothing, and take nothing away that anyone set up. */
function discardDirt(tokens: Tokens, at: number): Dirt {
  const what = tokens[at + 1];
  if (what === 'PLANS' || what === 'SEQUENCES') return 'none';
  return what === 'TEMP' || what === 'TEMPORARY' ? 'resettable' : 'sticky';
}

/**
 * `set_config(name, value, true)` ends with the transaction; any other third argument, a parameter too, may not.
 * A call inside a call is dirty, which keeps the walks apart and reading linear.
 */
function configDirt(tokens: Tokens, at: number): Dirt {
  let depth = 1;
  let commas = 0;
  for (let place = at + 2; depth > 0 && place < tokens.length; place++) {
    const token = tokens[place] ?? '';
    if (token === '(') depth++;
    else if (token === ')') depth--;
    else if (token === ',' && depth === 1 && ++commas === 2) return endsInTrue(tokens, place) ? 'none' : 'resettable';
    else if (isConfig(token) || spellsTempSchema(token)) return 'resettable';
  }
  return 'resettable';
}

function endsInTrue(tokens: Tokens, comma: number): boolean {
  return tokens[comma + 1] === 'TRUE' && tokens[comma + 2] === ')';
}

function isConfig(token: string): boolean {
  return token === 'SET_CONFIG' || token === '"set_config"';
}

/** A search path that begins with pg_temp makes the next CREATE TABLE a temporary one, and that outlives SET LOCAL. */
function spellsTempSchema(token: string): boolean {
  return /pg_temp/i.test(token);
}

function isTempSchema(token: string): boolean {
  return /^(?:PG_TEMP(?:_\d+)?|"pg_temp(?:_\d+)?")$/.test(token);
}

function isCall(tokens: Tokens, at: number): boolean {
  return tokens[at + 1] === '(';
}

/** Also as `UPDATE ONLY (pg_catalog.pg_settings)`. */
function isUpdated(tokens: Tokens, at: number): boolean {
  return tokens.slice(Math.max(0, at - 5), at).includes('UPDATE');
}

function follows(tokens: Tokens, at: number, ...words: readonly string[]): boolean {
  return words.every((word, place) => tokens[at - words.length + place] === word);
}

/** A name is the same in quotes, where it keeps its lower case. */
function named(name: string, rule: Rule, when: (tokens: Tokens, at: number) => boolean): [string, Rule][] {
  const judge: Rule = (tokens, at) => (when(tokens, at) ? rule(tokens, at) : 'none');
  return [
    [name.toUpperCase(), judge],
    [`"${name}"`, judge],
  ];
}
