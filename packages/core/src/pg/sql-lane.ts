import { PLAIN_FUNCTIONS } from './sql-functions.ts';
import { spellings } from './sql-spelling.ts';
import type { SqlStatement } from './sql-statement.ts';

type Tokens = readonly string[];

const READS: ReadonlySet<string | undefined> = new Set(['SELECT', 'VALUES', 'TABLE', 'WITH']);

/**
 * Wherever they stand bare: in CTEs, in SELECT INTO, in FOR NO KEY UPDATE. INSERT and MERGE have an INTO; a column that
 * is called so costs speed only.
 */
const WRITES: ReadonlySet<string> = new Set(['INTO', 'UPDATE', 'DELETE']);

/** Behind FOR, which also stands in `substring(a from 1 for 2)`. */
const LOCKS: ReadonlySet<string | undefined> = new Set(['UPDATE', 'NO', 'SHARE', 'KEY']);

const FUNCTIONS: ReadonlySet<string> = new Set(PLAIN_FUNCTIONS.flatMap(spellings));

/**
 * Words before a parenthesis that are no calls, and no function can bear such a name without quotes; of JOIN and ILIKE
 * one could, but nobody has one. https://www.postgresql.org/docs/current/sql-keywords-appendix.html
 */
const KEYWORDS: ReadonlySet<string> = new Set([
  ...['SELECT', 'DISTINCT', 'ALL', 'FROM', 'LATERAL', 'ONLY', 'JOIN', 'ON', 'USING', 'WHERE', 'HAVING', 'GROUP'],
  ...['LIMIT', 'OFFSET', 'UNION', 'EXCEPT', 'INTERSECT', 'VALUES', 'AS', 'AND', 'OR', 'NOT', 'IN', 'ANY', 'SOME'],
  ...['EXISTS', 'BETWEEN', 'SYMMETRIC', 'ASYMMETRIC', 'ILIKE', 'TO', 'FOR', 'CASE', 'WHEN', 'THEN', 'ELSE', 'ARRAY'],
  ...['ROW', 'VARIADIC', 'COALESCE', 'NULLIF', 'GREATEST', 'LEAST', 'CAST', 'TRIM', 'GROUPING', 'PLACING'],
  ...['CURRENT_TIME', 'CURRENT_TIMESTAMP', 'LOCALTIME', 'LOCALTIMESTAMP'],
  ...['CHAR', 'CHARACTER', 'NCHAR', 'BIT', 'DECIMAL', 'DEC', 'FLOAT'],
  ...['JSON_ARRAY', 'JSON_ARRAYAGG', 'JSON_OBJECTAGG', 'JSON_EXISTS', 'JSON_QUERY', 'JSON_VALUE', 'JSON_SCALAR'],
]);

/** Words that are names of functions elsewhere, by the words before them, the nearest first, behind which they are not. */
const PHRASES: ReadonlyMap<string, readonly Tokens[]> = new Map([
  ['BY', [['GROUP'], ['ORDER'], ['PARTITION']]],
  ['SETS', [['GROUPING']]],
  ['ROLLUP', [['BY', 'GROUP']]],
  ['CUBE', [['BY', 'GROUP']]],
  ['MATERIALIZED', [['NOT', 'AS']]],
  ['FIRST', [['FETCH']]],
  ['NEXT', [['FETCH']]],
  ['VARYING', [['CHARACTER'], ['CHAR'], ['BIT']]],
  ['ZONE', [['TIME']]],
]);

/**
 * A function of one argument may be written like a column, `(1).pg_sleep` or `g.pg_sleep`:
 * https://www.postgresql.org/docs/current/sql-expressions.html#FIELD-SELECTION
 */
const DISGUISED =
  /^"?(?:pg_|txid_|binary_upgrade_|brin_|gin_|ts_stat|nextval|currval|setseed|lo_(?:clos|crea|tell|get|unl|imp))/i;

const DOUBLE_QUOTE = 34;
const DOLLAR = 36;
const FIRST_LETTER = 65;
const CLOSING_BRACKET = 93;

/**
 * Whether a statement that has ended is a query that only reads, takes no locks and calls nothing but harmless
 * built-in functions: no statement notices that it shared a connection with it. In doubt it is not.
 *
 * Words do not tell everything: views, row security, operators, casts to a user's types, rows read as arguments
 * (`t.f` for `f(t)`) and functions of a user that are called like a built-in one may run any function.
 * A query that is longer than the head is none: it is seldom a cheap one.
 */
export function isPlainRead(statement: SqlStatement): boolean {
  const { head } = statement;
  return !statement.isLong && READS.has(head[0]) && new Query(head).isPlain();
}

/** Walks over the tokens of a query once; the rules look back, and one token ahead. */
class Query {
  readonly #head: Tokens;
  /** How many parentheses are open, less those before the first word. */
  #depth = 0;
  /** The depths at which a list of CTEs is open. */
  readonly #withLists: number[] = [];
  /** The depths at which a list behind DISTINCT ON is open. */
  readonly #distinctLists: number[] = [];
  /** Where the latest of these lists closed: expressions follow, and not an alias. */
  #distinctEnd = -1;

  constructor(head: Tokens) {
    this.#head = head;
  }

  isPlain(): boolean {
    for (let at = 0; at < this.#head.length; at++) if (!this.#accepts(at)) return false;
    return true;
  }

  #accepts(at: number): boolean {
    const token = this.#head[at] ?? '';
    switch (token) {
      case '(':
        return this.#open(at);
      case ')':
        return this.#close(at);
      case '.':
        return this.#readsColumn(at);
      case 'FOR':
        return !LOCKS.has(this.#head[at + 1]);
      case 'WITH':
        return this.#beginList(at);
      case 'SELECT':
      case 'VALUES':
      case 'TABLE':
        return this.#endList();
      default:
        return !WRITES.has(token) || this.#isColumn(at);
    }
  }

  /** Not WITH ORDINALITY, TIME ZONE or TIES. */
  #beginList(at: number): boolean {
    if (at === 0 || this.#head[at - 1] === '(') this.#withLists.push(this.#depth);
    return true;
  }

  #endList(): boolean {
    if (this.#withLists.at(-1) === this.#depth) this.#withLists.pop();
    return true;
  }

  #open(at: number): boolean {
    const name = this.#head[at - 1] ?? '';
    if (name === ')') this.#endList();
    if (isName(name) && !this.#isHarmless(name, at - 1)) return false;
    if (name === 'ON' && this.#head[at - 2] === 'DISTINCT') this.#distinctLists.push(this.#depth);
    this.#depth++;
    return true;
  }

  #close(at: number): boolean {
    this.#depth--;
    if (this.#distinctLists.at(-1) !== this.#depth) return true;
    this.#distinctLists.pop();
    this.#distinctEnd = at;
    return true;
  }

  /** A name before a parenthesis. */
  #isHarmless(name: string, at: number): boolean {
    const head = this.#head;
    const before = head[at - 1];
    // Behind a dot every keyword is a name: `s.values(1)` calls a function of the schema s.
    if (before === '.') return FUNCTIONS.has(name) && isCatalog(head[at - 2]);
    if (KEYWORDS.has(name) || FUNCTIONS.has(name)) return true;
    return this.#endsPhrase(name, at) || this.#namesColumns(at);
  }

  #endsPhrase(name: string, at: number): boolean {
    const phrases = PHRASES.get(name) ?? [];
    return phrases.some((words) => words.every((word, place) => this.#head[at - 1 - place] === word));
  }

  /** Whether what follows the name is a list of columns, the modifiers of a type, a frame or a filter: never arguments. */
  #namesColumns(at: number): boolean {
    const head = this.#head;
    switch (head[at - 1]) {
      case 'AS':
        return true;
      case ')':
        return this.#distinctEnd !== at - 1;
      case ':':
        return head[at - 2] === ':';
      case 'ORDINALITY':
        return head[at - 2] === 'WITH';
      case 'WITH':
      case 'RECURSIVE':
      case ',':
        return this.#withLists.at(-1) === this.#depth;
      default:
        return false;
    }
  }

  /** A field of anything but a table may be a function of it. */
  #readsColumn(at: number): boolean {
    const owner = this.#head[at - 1];
    const name = this.#head[at + 1];
    if (isValue(owner)) return name === '*';
    if (name === undefined || !DISGUISED.test(name)) return true;
    // As a call it is judged by its parenthesis; and what stands behind FROM is a table.
    const before = this.#head[at - 2];
    return isCatalog(owner) && (this.#head[at + 2] === '(' || before === 'FROM' || before === 'JOIN');
  }

  /** Behind the dot of a name, and not of a number: `1. into t`, `1_0. into t`. */
  #isColumn(at: number): boolean {
    const owner = this.#head[at - 2] ?? '';
    return this.#head[at - 1] === '.' && isName(owner) && !owner.startsWith('_');
  }
}

function isName(token: string): boolean {
  const code = token.charCodeAt(0);
  return code === DOUBLE_QUOTE || (code >= FIRST_LETTER && !isBracket(code));
}

/** `[`, `\`, `]`, `^` and `` ` `` lie between letters, as do `{`, `|`, `}` and `~`. */
function isBracket(code: number): boolean {
  return (code > 90 && code < 95) || code === 96 || (code > 122 && code < 127);
}

/** What ends an expression that is not the name of a table. */
function isValue(token: string | undefined): boolean {
  const code = token?.charCodeAt(0);
  return token === ')' || code === CLOSING_BRACKET || code === DOLLAR;
}

function isCatalog(schema: string | undefined): boolean {
  return schema === 'PG_CATALOG' || schema === '"pg_catalog"';
}
