import { inBlock } from './sql-block.ts';
import { controlOf } from './sql-control.ts';
import { type Dirt, isTwoPhase, StatementDirt, worse } from './sql-dirt.ts';
import { isPlainRead } from './sql-lane.ts';
import { spellings } from './sql-spelling.ts';
import { type SqlStatement, scanStatements } from './sql-statement.ts';

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
  /** Whether it is more than statements to be run as they are, in the eyes of `readScript`. */
  readonly hasControl: boolean;
  /** Whether a statement changes a setting by SET, RESET or `set_config`. */
  readonly setsSettings: boolean;
  /** Whether it is one query that may share a connection with others: it reads, and nothing else, as `sql-lane` says. */
  readonly isPlainRead: boolean;
  /** Whether it is one statement that the server plans, so that preparing it under a name may pay. */
  readonly isPlannable: boolean;
}

type Tokens = readonly string[];

const OPEN = 40;

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

/** Reads SQL text; nobody but the files called `sql-…` looks into one. */
export function readSql(text: string): SqlReading {
  return readings.get(text);
}

function read(text: string): SqlReading {
  let dirt: Dirt = 'none';
  let needsNoBlock = false;
  let hasControl = false;
  let setsSettings = false;
  let latest: SqlStatement | undefined;
  const words: StatementWords[] = [];
  const transaction: TransactionWord[] = [];
  for (const statement of scanStatements(text)) {
    const left = new StatementDirt(statement);
    do {
      left.see();
      setsSettings ||= callsConfig(statement);
    } while (statement.advance());
    words.push(statementWords(statement.head));
    const step = transactionWord(statement);
    if (step !== undefined) transaction.push(step);
    dirt = worse(dirt, left.dirt);
    needsNoBlock ||= inBlock(statement.head) !== 'allowed';
    hasControl ||= controlOf(statement) !== undefined;
    setsSettings ||= statement.head[0] === 'SET' || statement.head[0] === 'RESET';
    latest = statement;
  }
  const only = words.length === 1 ? latest : undefined;
  return Object.freeze({
    statements: words.length,
    dirt,
    words: Object.freeze(words),
    transaction: Object.freeze(transaction),
    needsNoBlock,
    hasControl,
    setsSettings,
    isPlainRead: dirt === 'none' && only !== undefined && isPlainRead(only),
    isPlannable: only !== undefined && isPlannable(only.head),
  });
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

function statementWords(head: Tokens): StatementWords {
  const verb = keyword(head[0]);
  const next = head[1] ?? '';
  if (OBJECT_VERBS.has(verb)) return `${verb} ${objectWord(head)}`.trimEnd();
  if (verb === 'PREPARE') return isTwoPhase(head, 0) ? 'PREPARE TRANSACTION' : verb;
  if (verb === 'SET' && head[2] === '.') return verb;
  return PAIRS.get(verb)?.includes(next) ? `${verb} ${next}` : verb;
}

/** The word behind CREATE, ALTER or DROP that tells most: `TABLE`, `TEMP`, `UNIQUE`… */
function objectWord(head: Tokens): string {
  const word = keyword(head[head[1] === 'OR' ? 3 : 1]);
  return word === 'TEMPORARY' || word === 'LOCAL' || word === 'GLOBAL' ? 'TEMP' : word;
}

/** No keyword of a command is longer than SUBSCRIPTION, and a short copy does not keep the whole text alive. */
function keyword(token: string | undefined): string {
  return token !== undefined && /^[A-Z]{2,12}$/.test(token) ? token : '';
}

function transactionWord(statement: SqlStatement): TransactionWord | undefined {
  const { head } = statement;
  switch (head[0]) {
    case 'BEGIN':
    case 'START':
      return 'begin';
    case 'COMMIT':
    case 'END':
      return ending(statement, 'commit');
    case 'ROLLBACK':
    case 'ABORT':
      return isReturn(head) ? 'rollback to' : ending(statement, 'rollback');
    case 'SAVEPOINT':
      return 'savepoint';
    case 'RELEASE':
      return 'release';
    case 'PREPARE':
      return isTwoPhase(head, 0) ? 'prepare' : undefined;
    default:
      return undefined;
  }
}

/** Of a statement that has ended. */
function ending(statement: SqlStatement, word: 'commit' | 'rollback'): TransactionWord {
  if (statement.head[1] === 'PREPARED') return `${word} prepared`;
  return statement.latest === 'CHAIN' && statement.back(1) === 'AND' ? `${word} and chain` : word;
}

function isReturn(head: Tokens): boolean {
  const next = head[1];
  return head[next === 'WORK' || next === 'TRANSACTION' ? 2 : 1] === 'TO';
}

const PLANNED: ReadonlySet<string | undefined> = new Set([
  ...['SELECT', 'VALUES', 'TABLE', 'WITH'],
  ...['INSERT', 'UPDATE', 'DELETE', 'MERGE'],
]);

/**
 * SELECT INTO is CREATE TABLE in disguise: https://www.postgresql.org/docs/current/sql-selectinto.html. Behind the head
 * nobody looks for it: the server prepares it all the same, and nobody runs such a text often.
 */
function isPlannable(head: Tokens): boolean {
  return PLANNED.has(head[0]) && !head.some((token, at) => token === 'INTO' && !isTarget(head, at));
}

/** Not of a SELECT, which has a table there, also behind the dot of a number: `select 1. into t`. */
function isTarget(head: Tokens, at: number): boolean {
  const verb = head[at - 1];
  return verb === 'INSERT' || verb === 'MERGE' || (verb === '.' && /^["A-Z]/i.test(head[at - 2] ?? ''));
}

const CONFIG: ReadonlySet<string | undefined> = new Set(spellings('set_config'));

export function isConfig(token: string | undefined): boolean {
  return CONFIG.has(token);
}

/** Whether the latest token opens the arguments of `set_config`. */
export function callsConfig(statement: SqlStatement): boolean {
  return statement.code === OPEN && isConfig(statement.back(1));
}
