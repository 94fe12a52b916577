import { type Dirt, isTwoPhase, sqlDirt, worse } from './sql-dirt.ts';
import { isString, scanStatements } from './sql-scanner.ts';

export type { Dirt } from './sql-dirt.ts';

/**
 * The word or words that say what a statement is, in upper case: `SELECT`, `WITH`, `SET`, `SET LOCAL`, `CREATE TEMP`,
 * `DROP TABLE`, `PREPARE TRANSACTION`. Empty when a statement does not begin with a word.
 */
export type StatementWords = string;

/** What a statement does to the transaction: https://www.postgresql.org/docs/current/sql-begin.html and its kin. */
export type TransactionWord =
  | 'begin'
  | 'commit'
  | 'commit and chain'
  | 'rollback'
  | 'rollback and chain'
  | 'savepoint'
  | 'rollback to'
  | 'release'
  | 'prepare'
  | 'commit prepared'
  | 'rollback prepared';

/** What a text does, as far as its words show. Frozen, shared, cached by text. */
export interface SqlReading {
  /** How many statements the server sees; empty ones do not count. */
  readonly statements: number;
  readonly dirt: Dirt;
  /** One entry per statement. */
  readonly words: readonly StatementWords[];
  /** In the order of the text; a procedure or a DO block may end transactions unseen. */
  readonly transaction: readonly TransactionWord[];
  /** Whether a statement cannot run, or may be unable to run, inside a transaction block. */
  readonly needsNoBlock: boolean;
}

type Tokens = readonly string[];

/** Texts longer than this are read anew each time: mostly bulk INSERTs, of which no two are alike. */
const LONGEST_KEPT = 16_384;
/** A generation is full at either limit, so the cache never holds more than twice as much. */
const GENERATION_TEXTS = 512;
const GENERATION_CHARACTERS = 1_048_576;

/**
 * Two generations: a text that is asked for moves into the young one; when that is full it becomes the old one, and
 * what nobody asked for in the meantime is dropped with the old one, all at once.
 */
class Readings {
  #young = new Map<string, SqlReading>();
  #old = new Map<string, SqlReading>();
  #characters = 0;

  get(text: string): SqlReading {
    return this.#young.get(text) ?? this.#keep(text, this.#old.get(text) ?? read(text));
  }

  #keep(text: string, reading: SqlReading): SqlReading {
    if (text.length > LONGEST_KEPT) return reading;
    this.#young.set(text, reading);
    this.#characters += text.length;
    if (this.#young.size >= GENERATION_TEXTS || this.#characters >= GENERATION_CHARACTERS) this.#age();
    return reading;
  }

  #age(): void {
    this.#old = this.#young;
    this.#young = new Map();
    this.#characters = 0;
  }
}

const readings = new Readings();

/** Reads SQL text: the only place in the house that looks into one. */
export function readSql(text: string): SqlReading {
  return readings.get(text);
}

function read(text: string): SqlReading {
  let dirt: Dirt = 'none';
  let needsNoBlock = false;
  const words: StatementWords[] = [];
  const transaction: TransactionWord[] = [];
  for (const tokens of scanStatements(text)) {
    const head = headOf(tokens);
    words.push(statementWords(tokens, head));
    const step = transactionWord(tokens, head);
    if (step !== undefined) transaction.push(step);
    dirt = worse(dirt, sqlDirt(tokens, head));
    needsNoBlock ||= refusesBlock(tokens, head);
  }
  const frozen = { words: Object.freeze(words), transaction: Object.freeze(transaction) };
  return Object.freeze({ statements: words.length, dirt, ...frozen, needsNoBlock });
}

/** A query may begin with parentheses. */
function headOf(tokens: Tokens): number {
  let head = 0;
  while (tokens[head] === '(') head++;
  return head;
}

const OBJECT_VERBS: ReadonlySet<string> = new Set(['CREATE', 'ALTER', 'DROP']);
/** Second words that make another statement of the first. */
const PAIRS: ReadonlyMap<string, readonly string[]> = new Map([
  ['SET', ['LOCAL', 'SESSION', 'TRANSACTION', 'CONSTRAINTS']],
  ['START', ['TRANSACTION']],
  ['COMMIT', ['PREPARED']],
  ['ROLLBACK', ['PREPARED']],
  ['DISCARD', ['ALL']],
]);

function statementWords(tokens: Tokens, head: number): StatementWords {
  const verb = keyword(tokens[head]);
  const next = tokens[head + 1] ?? '';
  if (OBJECT_VERBS.has(verb)) return `${verb} ${objectWord(tokens, head)}`.trimEnd();
  if (verb === 'PREPARE') return isTwoPhase(tokens, head) ? 'PREPARE TRANSACTION' : verb;
  if (verb === 'SET' && tokens[head + 2] === '.') return verb;
  return PAIRS.get(verb)?.includes(next) ? `${verb} ${next}` : verb;
}

/** The word behind CREATE, ALTER or DROP that tells most: `TABLE`, `TEMP`, `UNIQUE`… */
function objectWord(tokens: Tokens, head: number): string {
  const word = keyword(tokens[tokens[head + 1] === 'OR' ? head + 3 : head + 1]);
  return word === 'TEMPORARY' || word === 'LOCAL' || word === 'GLOBAL' ? 'TEMP' : word;
}

/** No keyword of a command is longer than SUBSCRIPTION, and a short copy does not keep the whole text alive. */
function keyword(token: string | undefined): string {
  return token !== undefined && /^[A-Z]{2,12}$/.test(token) ? token : '';
}

function transactionWord(tokens: Tokens, head: number): TransactionWord | undefined {
  switch (tokens[head]) {
    case 'BEGIN':
    case 'START':
      return 'begin';
    case 'COMMIT':
    case 'END':
      return ending(tokens, head, 'commit');
    case 'ROLLBACK':
    case 'ABORT':
      return isReturn(tokens, head) ? 'rollback to' : ending(tokens, head, 'rollback');
    case 'SAVEPOINT':
      return 'savepoint';
    case 'RELEASE':
      return 'release';
    case 'PREPARE':
      return isTwoPhase(tokens, head) ? 'prepare' : undefined;
    default:
      return undefined;
  }
}

function ending(tokens: Tokens, head: number, word: 'commit' | 'rollback'): TransactionWord {
  if (tokens[head + 1] === 'PREPARED') return `${word} prepared`;
  return tokens.at(-1) === 'CHAIN' && tokens.at(-2) === 'AND' ? `${word} and chain` : word;
}

function isReturn(tokens: Tokens, head: number): boolean {
  const next = tokens[head + 1];
  return tokens[next === 'WORK' || next === 'TRANSACTION' ? head + 2 : head + 1] === 'TO';
}

/**
 * What the server refuses inside a block, by the manual page of each command. REINDEX and CLUSTER may name a
 * partitioned table, a procedure may commit, and a subscription may have a slot: none of that can be seen, and sending
 * them bare is always right.
 */
function refusesBlock(tokens: Tokens, head: number): boolean {
  const next = tokens[head + 1];
  switch (tokens[head]) {
    case 'VACUUM':
    case 'REINDEX':
    case 'CLUSTER':
    case 'CALL':
      return true;
    case 'CREATE':
    case 'DROP':
      return refusesObject(next) || isConcurrentIndex(tokens, head);
    case 'ALTER':
      return refusesAlter(tokens, next);
    case 'DISCARD':
      return next === 'ALL';
    case 'COMMIT':
    case 'ROLLBACK':
      return next === 'PREPARED';
    case 'DO':
      // Only a block that ends transactions itself; most do not, and should have their time-outs.
      return tokens.some((token) => isString(token) && /\b(?:commit|rollback)\b/i.test(token));
    default:
      return false;
  }
}

function refusesObject(object: string | undefined): boolean {
  return object === 'DATABASE' || object === 'TABLESPACE' || object === 'SUBSCRIPTION';
}

/** `CREATE [UNIQUE] INDEX CONCURRENTLY`, `DROP INDEX CONCURRENTLY`: the word comes right behind INDEX. */
function isConcurrentIndex(tokens: Tokens, head: number): boolean {
  const index = tokens[head + 1] === 'UNIQUE' ? head + 2 : head + 1;
  return tokens[index] === 'INDEX' && tokens[index + 1] === 'CONCURRENTLY';
}

/** `ALTER DATABASE … SET TABLESPACE` and `ALTER TABLE … DETACH PARTITION … CONCURRENTLY`. */
function refusesAlter(tokens: Tokens, object: string | undefined): boolean {
  if (object === 'DATABASE') return tokens.includes('TABLESPACE');
  if (object === 'TABLE') return tokens.includes('CONCURRENTLY');
  return object === 'SYSTEM' || object === 'SUBSCRIPTION';
}
