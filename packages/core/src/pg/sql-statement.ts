import { SqlScanner } from './sql-scanner.ts';

/** Enough for all that says what a statement is, and for nearly every statement that is not bulk as a whole. */
export const HEAD_TOKENS = 256;
/** How far back a rule may look behind the head; a power of two. */
const TAIL_TOKENS = 8;

const SEMICOLON = 59;

/**
 * One statement while it is read, token by token. Only its head is kept, and the few latest tokens of what follows: a
 * bulk INSERT has millions, each heavier than its text. To leave such a text unread would be simpler; but then nobody
 * would know how many statements it holds and what it does to the transaction.
 */
export class SqlStatement {
  /** The first tokens, from the verb on: a query may begin with parentheses. */
  readonly head: string[] = [];
  /** The token that was read last. */
  latest = '';
  /** Whether it begins with a parenthesis. */
  isEnclosed = false;
  readonly #scanner: SqlScanner;
  readonly #tail: string[] = [];
  #count = 0;
  #inBody = false;

  constructor(scanner: SqlScanner) {
    this.#scanner = scanner;
  }

  /** The code of the character that the latest token begins with. */
  get code(): number {
    return this.#scanner.code;
  }

  /** Of one that has ended: the place of its semicolon, or the end of the text. */
  get end(): number {
    return this.#scanner.code === SEMICOLON ? this.#scanner.at - 1 : this.#scanner.at;
  }

  /** Whether the head is full: behind it, values are not told apart any more. */
  get isLong(): boolean {
    return this.head.length === HEAD_TOKENS;
  }

  /** The token so many places before the latest, at most seven, or '' before the first. */
  back(places: number): string {
    const at = this.#count - 1 - places;
    return (at < HEAD_TOKENS ? this.head[at] : this.#tail[at & (TAIL_TOKENS - 1)]) ?? '';
  }

  /** Reads the next token; false at the end of the statement. */
  advance(): boolean {
    const token = this.isLong ? this.#scanner.skim() : this.#scanner.next();
    if (token === '' || this.#endsWith(token)) return false;
    this.latest = token;
    if (this.#count > 0 || token !== '(') this.#keep(token);
    else this.isEnclosed = true;
    return true;
  }

  /** Reads to the end of the statement. */
  finish(): void {
    while (this.advance());
  }

  #keep(token: string): void {
    if (this.#count < HEAD_TOKENS) this.head.push(token);
    else this.#tail[this.#count & (TAIL_TOKENS - 1)] = token;
    this.#count++;
  }

  /** The actions of CREATE RULE lie in parentheses and may hold semicolons. */
  #endsWith(token: string): boolean {
    const { code, depth } = this.#scanner;
    if (depth > 0) return false;
    if (code === SEMICOLON) return !this.#inBody;
    if (this.#inBody) this.#inBody = !this.#endsBody(token);
    else if (token === 'ATOMIC') this.#inBody = this.#beginsBody();
    return false;
  }

  /** A body in standard SQL holds semicolons: https://www.postgresql.org/docs/current/sql-createfunction.html */
  #beginsBody(): boolean {
    const { head } = this;
    if (this.latest !== 'BEGIN' || head[0] !== 'CREATE') return false;
    const object = head[1] === 'OR' ? head[3] : head[1];
    return object === 'FUNCTION' || object === 'PROCEDURE';
  }

  /** No statement of a body begins with END; a CASE has its END elsewhere. */
  #endsBody(token: string): boolean {
    return token === 'END' && (this.latest === ';' || this.latest === 'ATOMIC');
  }
}

/** The statements that are not empty, each at its first token: whoever takes one advances to its end. */
export function* scanStatements(text: string): Generator<SqlStatement, void> {
  const scanner = new SqlScanner(text);
  while (!scanner.isDone) {
    const statement = new SqlStatement(scanner);
    if (statement.advance()) yield statement;
  }
}
