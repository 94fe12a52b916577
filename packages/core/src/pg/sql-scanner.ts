/**
 * Cuts SQL text into tokens, and tokens into statements, where the server cuts them:
 * https://www.postgresql.org/docs/current/sql-syntax-lexical.html, with `standard_conforming_strings` on.
 *
 * The functions take the text and a place in it and say where something ends. What is never closed ends with the text,
 * and nothing throws: the server refuses such a text as a whole.
 */

const TAB = 9;
const CARRIAGE_RETURN = 13;
const NEWLINE = 10;
const SPACE = 32;
const DOUBLE_QUOTE = 34;
const DOLLAR = 36;
const AMPERSAND = 38;
const QUOTE = 39;
const STAR = 42;
const DASH = 45;
const SLASH = 47;
const BACKSLASH = 92;
const UNDERSCORE = 95;
const ASCII_END = 128;

/** A token is a piece of the text: words in upper case, strings and quoted names with their quotes. */
export class SqlScanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The next token, or '' at the end: `SELECT`, `"Name"`, `'string'`, `$$string$$`, `$1`, `42`, and symbols one by one. */
  next(): string {
    const text = this.#text;
    const start = blankEnd(text, this.#at);
    const code = text.charCodeAt(start);
    if (startsWord(code)) return this.#word(start);
    if (code === QUOTE) return this.#cut(start, quotedEnd(text, start, "'"));
    if (code === DOUBLE_QUOTE) return this.#cut(start, quotedEnd(text, start, '"'));
    if (code === DOLLAR) return this.#cut(start, dollarEnd(text, start));
    if (isDigit(code)) return this.#cut(start, digitsEnd(text, start));
    return this.#cut(start, start + 1);
  }

  #cut(start: number, end: number): string {
    this.#at = end;
    return this.#text.slice(start, end);
  }

  #word(start: number): string {
    const text = this.#text;
    const end = wordEnd(text, start);
    if (end === start + 1 && isPrefix(text, start)) return this.#prefixed(start);
    const word = this.#cut(start, end);
    // A letter beyond ASCII may become an ASCII one in upper case ('ſ' becomes 'S'); the server leaves it alone.
    return isAscii(word) ? word.toUpperCase() : word;
  }

  /** E'…' with its backslashes, U&'…' and U&"…"; B, N and X change nothing about where a string ends. */
  #prefixed(start: number): string {
    const text = this.#text;
    if (text.charCodeAt(start + 1) === QUOTE) return this.#cut(start + 1, escapedEnd(text, start + 1));
    if (text.charCodeAt(start + 2) === QUOTE) return this.#cut(start + 2, quotedEnd(text, start + 2, "'"));
    this.#cut(start, quotedEnd(text, start + 2, '"'));
    return 'U&""';
  }
}

/** The tokens of each statement that is not empty, one statement at a time: a text may hold very many. */
export function* scanStatements(text: string): Generator<string[], void> {
  const scanner = new SqlScanner(text);
  let tokens: string[] = [];
  let depth = 0;
  let inBody = false;
  for (let token = scanner.next(); token !== ''; token = scanner.next()) {
    if (token === ';' && depth === 0 && !inBody) {
      if (tokens.length > 0) yield tokens;
      tokens = [];
      continue;
    }
    // The actions of CREATE RULE lie in parentheses and may hold semicolons.
    if (token === '(') depth++;
    else if (token === ')') depth = Math.max(0, depth - 1);
    else if (depth === 0) inBody = inBody ? !endsBody(tokens, token) : beginsBody(tokens, token);
    tokens.push(token);
  }
  if (tokens.length > 0) yield tokens;
}

/** A body in standard SQL holds semicolons: https://www.postgresql.org/docs/current/sql-createfunction.html */
function beginsBody(before: readonly string[], token: string): boolean {
  if (token !== 'ATOMIC' || before.at(-1) !== 'BEGIN' || before[0] !== 'CREATE') return false;
  const object = before[1] === 'OR' ? before[3] : before[1];
  return object === 'FUNCTION' || object === 'PROCEDURE';
}

/** No statement of a body begins with END; a CASE has its END elsewhere. */
function endsBody(before: readonly string[], token: string): boolean {
  return token === 'END' && (before.at(-1) === ';' || before.at(-1) === 'ATOMIC');
}

/** Whether a token is a string, in plain or dollar quotes. */
export function isString(token: string | undefined): boolean {
  return token !== undefined && /^(?:'|\$[^0-9])/.test(token);
}

/** Whether the letter belongs to the quote behind it: `e'`, `u&'` or `u&"`. */
function isPrefix(text: string, at: number): boolean {
  const letter = text.charCodeAt(at) | 32;
  const next = text.charCodeAt(at + 1);
  if (letter === 101 /* e */) return next === QUOTE;
  if (letter !== 117 /* u */ || next !== AMPERSAND) return false;
  const quote = text.charCodeAt(at + 2);
  return quote === QUOTE || quote === DOUBLE_QUOTE;
}

/** Skips white space and comments; `--` and `/*` begin a comment even inside a run of operator characters. */
function blankEnd(text: string, from: number): number {
  let at = from;
  for (;;) {
    const code = text.charCodeAt(at);
    if (isBlank(code)) at++;
    else if (code === DASH && text.charCodeAt(at + 1) === DASH) at = lineEnd(text, at);
    else if (code === SLASH && text.charCodeAt(at + 1) === STAR) at = commentEnd(text, at);
    else return at;
  }
}

function lineEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && !isNewline(text.charCodeAt(at))) at++;
  return at;
}

/** Comments nest: https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-COMMENTS */
function commentEnd(text: string, open: number): number {
  let depth = 1;
  let at = open + 2;
  while (depth > 0 && at < text.length) {
    const code = text.charCodeAt(at++);
    const next = text.charCodeAt(at);
    const step = code === SLASH && next === STAR ? 1 : code === STAR && next === SLASH ? -1 : 0;
    if (step !== 0) at++;
    depth += step;
  }
  return at;
}

/** A string without escapes, or a quoted name: a doubled quote is one character of it. */
function quotedEnd(text: string, open: number, quote: string): number {
  let close = text.indexOf(quote, open + 1);
  while (close >= 0 && text[close + 1] === quote) close = text.indexOf(quote, close + 2);
  return close < 0 ? text.length : close + 1;
}

/** An E'…' string, also one that goes on behind a line break: there, backslashes go on escaping. */
function escapedEnd(text: string, open: number): number {
  let at = open + 1;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) at += 2;
    else if (code !== QUOTE) at++;
    else if (text.charCodeAt(at + 1) === QUOTE) at += 2;
    else {
      const reopened = continuation(text, at + 1);
      if (reopened < 0) return at + 1;
      at = reopened + 1;
    }
  }
  return text.length;
}

/** The quote that continues a string: only white space with a line break, and `--` comments, may lie between. */
function continuation(text: string, from: number): number {
  let at = from;
  let broken = false;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return broken ? at : -1;
    if (code === DASH && text.charCodeAt(at + 1) === DASH) at = lineEnd(text, at);
    else if (isBlank(code)) at++;
    else return -1;
    broken ||= isNewline(code);
  }
}

/** A `$1`, a `$tag$…$tag$`, or a lone `$`; inside a word a `$` is a letter and never gets here. */
function dollarEnd(text: string, open: number): number {
  if (isDigit(text.charCodeAt(open + 1))) return digitsEnd(text, open + 1);
  const tagEnd = dollarTagEnd(text, open);
  if (text.charCodeAt(tagEnd) !== DOLLAR) return open + 1;
  const tag = text.slice(open, tagEnd + 1);
  const close = text.indexOf(tag, tagEnd + 1);
  return close < 0 ? text.length : close + tag.length;
}

function dollarTagEnd(text: string, open: number): number {
  let at = open + 1;
  while (startsWord(text.charCodeAt(at)) || (isDigit(text.charCodeAt(at)) && at > open + 1)) at++;
  return at;
}

function wordEnd(text: string, from: number): number {
  let at = from + 1;
  while (continuesWord(text.charCodeAt(at))) at++;
  return at;
}

function digitsEnd(text: string, from: number): number {
  let at = from + 1;
  while (isDigit(text.charCodeAt(at))) at++;
  return at;
}

/** The server takes every byte above ASCII for a letter, a no-break space and a byte order mark too. */
function startsWord(code: number): boolean {
  const letter = code | 32;
  return (letter >= 97 && letter <= 122) || code === UNDERSCORE || code >= ASCII_END;
}

function continuesWord(code: number): boolean {
  return startsWord(code) || isDigit(code) || code === DOLLAR;
}

function isDigit(code: number): boolean {
  return code >= 48 && code <= 57;
}

function isBlank(code: number): boolean {
  return code === SPACE || (code >= TAB && code <= CARRIAGE_RETURN);
}

function isNewline(code: number): boolean {
  return code === NEWLINE || code === CARRIAGE_RETURN;
}

function isAscii(word: string): boolean {
  for (let at = 0; at < word.length; at++) if (word.charCodeAt(at) >= ASCII_END) return false;
  return true;
}
