import { isString } from './sql-scanner.ts';
import { spellings } from './sql-spelling.ts';
import { HEAD_TOKENS, type SqlStatement } from './sql-statement.ts';

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

/** What was seen anywhere in a statement, for the rule of its verb. */
interface Marks {
  inTempSchema: boolean;
  dropsOnCommit: boolean;
}

/** Judges a statement that has ended by the place of its verb in its head. */
type VerbRule = (head: Tokens, at: number, marks: Marks) => Dirt;
/** Judges the latest token by those before it. */
type Rule = (statement: SqlStatement) => Dirt;

/** By the word that a statement begins with. */
const VERBS: ReadonlyMap<string, VerbRule> = new Map<string, VerbRule>([
  ['SET', settingDirt],
  ['RESET', () => 'resettable'],
  ['LISTEN', () => 'resettable'],
  ['CREATE', creationDirt],
  // The text that it runs was prepared by another lease and is not seen here.
  ['EXECUTE', () => 'resettable'],
  ['PREPARE', (head, at) => (isTwoPhase(head, at) ? 'none' : 'sticky')],
  ['DEALLOCATE', () => 'sticky'],
  ['LOAD', () => 'sticky'],
  ['DISCARD', discardDirt],
  // Only where we could not see what it explains.
  ['EXPLAIN', () => 'resettable'],
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

/** By a name before a parenthesis anywhere in a statement: in CTEs, COPY (…), EXPLAIN, function bodies in standard SQL. */
const CALLS: ReadonlyMap<string, Dirt> = new Map(
  Object.entries(FUNCTIONS).flatMap(([name, dirt]) => spellings(name).map((spelling) => [spelling, dirt] as const)),
);

/** By any other word anywhere in a statement. */
const SIGNS: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  // https://www.postgresql.org/docs/current/view-pg-settings.html: an UPDATE of this view is a SET.
  ...spellings('pg_settings').map((name) => [name, updateDirt] as const),
  ['HOLD', (statement) => (follows(statement, 'CURSOR', 'WITH') ? 'resettable' : 'none')],
  ['EXECUTE', (statement) => (follows(statement, 'AS') ? 'resettable' : 'none')],
  // Its escapes may spell any name, and nobody writes one in earnest.
  ['U&""', () => 'resettable'],
]);

/** No rule asks for a shorter word or name. */
const SHORTEST_SIGN = 4;

const DOUBLE_QUOTE = 34;
const OPEN = 40;
const DOT = 46;
const FIRST_LETTER = 65;

const TEMPORARY: ReadonlySet<string | undefined> = new Set(['TEMP', 'TEMPORARY', 'LOCAL', 'GLOBAL']);

/** What one statement leaves behind: sees each token as the latest one, and is asked at the end. */
export class StatementDirt {
  readonly #statement: SqlStatement;
  readonly #marks: Marks = { inTempSchema: false, dropsOnCommit: false };
  #signs: Dirt = 'none';
  #callsConfig = false;

  constructor(statement: SqlStatement) {
    this.#statement = statement;
  }

  get dirt(): Dirt {
    const { head } = this.#statement;
    const signs = this.#callsConfig ? worse(this.#signs, configDirt(head)) : this.#signs;
    const verb = explained(head);
    const rule = VERBS.get(head[verb] ?? '');
    return rule === undefined ? signs : worse(signs, rule(head, verb, this.#marks));
  }

  see(): void {
    const { code } = this.#statement;
    if (code === OPEN) this.#seeCall(this.#statement.back(1));
    else if (code === DOT) this.#marks.inTempSchema ||= isTempSchema(this.#statement.back(1));
    else if (code >= FIRST_LETTER || code === DOUBLE_QUOTE) this.#seeName(this.#statement.latest);
  }

  #seeCall(name: string): void {
    if (name.length < SHORTEST_SIGN) return;
    const dirt = CALLS.get(name);
    if (dirt !== undefined) this.#signs = worse(this.#signs, dirt);
    else if (isConfig(name)) this.#seeConfig();
  }

  /** The arguments behind the head are not known. */
  #seeConfig(): void {
    if (this.#statement.isLong) this.#signs = worse(this.#signs, 'resettable');
    this.#callsConfig = true;
  }

  #seeName(name: string): void {
    if (name.length < SHORTEST_SIGN) return;
    const statement = this.#statement;
    const rule = SIGNS.get(name) ?? (statement.back(1) === 'INTO' ? intoDirt : undefined);
    if (rule !== undefined) this.#signs = worse(this.#signs, rule(statement));
    else if (name === 'DROP') this.#marks.dropsOnCommit ||= follows(statement, 'ON', 'COMMIT');
  }
}

export function worse(one: Dirt, other: Dirt): Dirt {
  if (one === 'none' || other === 'sticky') return other;
  return one;
}

/** The words PREPARE TRANSACTION, and not a statement that is called "transaction". */
export function isTwoPhase(tokens: Tokens, at: number): boolean {
  return tokens[at + 1] === 'TRANSACTION' && isString(tokens[at + 2]);
}

/**
 * Where the statement behind EXPLAIN begins, which ANALYZE executes; its options may be a list in parentheses, and
 * such a long one that not enough of the head is left for the statement.
 */
function explained(head: Tokens): number {
  if (head[0] !== 'EXPLAIN') return 0;
  const close = head.indexOf(')');
  if (head[1] === '(') return close < HEAD_TOKENS / 2 ? close + 1 : 0;
  let at = 1;
  while (head[at] === 'ANALYZE' || head[at] === 'ANALYSE' || head[at] === 'VERBOSE') at++;
  return at;
}

/** https://www.postgresql.org/docs/current/sql-set.html; `SET local.tenant` sets a variable called "local.tenant". */
function settingDirt(head: Tokens, at: number): Dirt {
  const scope = head[at + 1];
  if (head[at + 2] === '.') return 'resettable';
  if (scope === 'TRANSACTION' || scope === 'CONSTRAINTS') return 'none';
  // random() stays seeded after RESET ALL, and even after the transaction of SET LOCAL.
  if (head[scope === 'LOCAL' || scope === 'SESSION' ? at + 2 : at + 1] === 'SEED') return 'sticky';
  return scope !== 'LOCAL' || head.length === HEAD_TOKENS || head.some(spellsTempSchema) ? 'resettable' : 'none';
}

/** Whatever goes into the schema pg_temp is temporary, with or without the word. */
function creationDirt(head: Tokens, at: number, marks: Marks): Dirt {
  if (marks.inTempSchema) return 'resettable';
  const word = head[at + 1] === 'OR' ? at + 3 : at + 1;
  return TEMPORARY.has(head[word]) && !marks.dropsOnCommit ? 'resettable' : 'none';
}

/** PLANS and SEQUENCES leave nothing, and take nothing away that anyone set up. */
function discardDirt(head: Tokens, at: number): Dirt {
  const what = head[at + 1];
  if (what === 'PLANS' || what === 'SEQUENCES') return 'none';
  return what === 'TEMP' || what === 'TEMPORARY' ? 'resettable' : 'sticky';
}

/**
 * `set_config(name, value, true)` ends with the transaction; any other third argument, a parameter too, may not.
 * A call inside a call is dirty, which keeps the walks apart and reading linear.
 */
function configDirt(head: Tokens): Dirt {
  const isDirty = (token: string, at: number): boolean =>
    isConfig(token) && head[at + 1] === '(' && outlivesTransaction(head, at + 2);
  return head.some(isDirty) ? 'resettable' : 'none';
}

function outlivesTransaction(head: Tokens, from: number): boolean {
  let depth = 1;
  let commas = 0;
  for (let at = from; depth > 0 && at < head.length; at++) {
    const token = head[at] ?? '';
    if (token === '(') depth++;
    else if (token === ')') depth--;
    else if (token === ',' && depth === 1 && ++commas === 2) return head[at + 1] !== 'TRUE' || head[at + 2] !== ')';
    else if (isConfig(token) || spellsTempSchema(token)) return true;
  }
  return true;
}

function isConfig(token: string): boolean {
  return token === 'SET_CONFIG' || token === '"set_config"';
}

/** https://www.postgresql.org/docs/current/sql-selectinto.html, and not an INSERT into a table called "temp". */
function intoDirt(statement: SqlStatement): Dirt {
  const verb = statement.back(2);
  if (verb === 'INSERT' || verb === 'MERGE') return 'none';
  return TEMPORARY.has(statement.latest) || isTempSchema(statement.latest) ? 'resettable' : 'none';
}

/** Also as `UPDATE ONLY (pg_catalog.pg_settings)`. */
function updateDirt(statement: SqlStatement): Dirt {
  return [1, 2, 3, 4, 5].some((places) => statement.back(places) === 'UPDATE') ? 'resettable' : 'none';
}

/** Whether the latest token comes right behind these words. */
function follows(statement: SqlStatement, ...words: readonly string[]): boolean {
  return words.every((word, place) => statement.back(words.length - place) === word);
}

/** A search path that begins with pg_temp makes the next CREATE TABLE a temporary one, and that outlives SET LOCAL. */
function spellsTempSchema(token: string): boolean {
  return /pg_temp/i.test(token);
}

function isTempSchema(token: string): boolean {
  return token.length >= SHORTEST_SIGN && /^(?:PG_TEMP(?:_\d+)?|"pg_temp(?:_\d+)?")$/.test(token);
}
