/**
 * Cuts SQL text into tokens where the server cuts it:
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
const OPEN = 40;
const CLOSE = 41;
const STAR = 42;
const COMMA = 44;
const DASH = 45;
const DOT = 46;
const SLASH = 47;
const ZERO = 48;
const BACKSLASH = 92;
const UNDERSCORE = 95;
const ASCII_END = 128;

/** Stands for tokens that were not cut out. */
const GAP = '0';
/** A power of two. */
const RECENT_WORDS = 64;

/** A token is a piece of the text: words in upper case, strings and quoted names with their quotes. */
export class SqlScanner {
  /**
   * The code of the character that the latest token begins with, a word in its own case; -1 at the end. Millions of
   * symbols are told apart by it more cheaply than as strings.
   */
  code = -1;
  /** How many parentheses are open. */
  depth = 0;
  /** Behind the latest token. */
  at = 0;
  readonly #text: string;
  /** By their letters: the words of a bulk text are few, and to look one up is cheaper than to cut it out anew. */
  readonly #words: string[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  get isDone(): boolean {
    return this.at >= this.#text.length;
  }

  /** The next token, or '' at the end: `SELECT`, `"Name"`, `'string'`, `$$string$$`, `$1`, `42`, and symbols one by one. */
  next(): string {
    const text = this.#text;
    const start = blankEnd(text, this.at);
    const code = codeAt(text, start);
    this.code = code;
    if (startsWord(code)) return this.#word(start);
    if (code === QUOTE) return this.#cut(start, quotedEnd(text, start, "'"));
    if (code === DOUBLE_QUOTE) return this.#cut(start, quotedEnd(text, start, '"'));
    if (code === DOLLAR) return this.#cut(start, dollarEnd(text, start));
    if (isDigit(code)) return this.#cut(start, digitsEnd(text, start));
    return this.#symbol(start);
  }

  /**
   * The same, but a run of values, commas and parentheses that call nothing comes as one token, like a number: bulk
   * consists of them, and cutting each out takes most of the time.
   */
  skim(): string {
    const end = this.#gapEnd(this.at);
    if (end === this.at) return this.next();
    this.at = end;
    this.code = ZERO;
    return GAP;
  }

  /** Behind the values and what lies between them. Strings with a prefix or in dollars are left to `next`. */
  #gapEnd(from: number): number {
    const text = this.#text;
    let end = from;
    for (let at = from; ; ) {
      const code = codeAt(text, at);
      if (isBlank(code)) at++;
      else if (code === COMMA || (code === OPEN && end > from) || code === CLOSE) {
        this.#nest(code);
        end = ++at;
      } else if (isDigit(code)) end = at = numberEnd(text, at);
      else if (code === QUOTE) end = at = quotedEnd(text, at, "'");
      else return end;
    }
  }

  #nest(code: number): void {
    if (code === OPEN) this.depth++;
    else if (code === CLOSE && this.depth > 0) this.depth--;
  }

  #symbol(start: number): string {
    const text = this.#text;
    this.#nest(codeAt(text, start));
    this.at = start + 1;
    return text.charAt(start);
  }

  #cut(start: number, end: number): string {
    this.at = end;
    return this.#text.slice(start, end);
  }

  #word(start: number): string {
    const text = this.#text;
    const end = wordEnd(text, start);
    if (end === start + 1 && isPrefix(text, start)) return this.#prefixed(start);
    this.at = end;
    const slot = (end - start + text.charCodeAt(start) * 5 + text.charCodeAt(end - 1) * 11) & (RECENT_WORDS - 1);
    const recent = this.#words[slot];
    if (recent !== undefined && recent.length === end - start && isSpelled(recent, text, start)) return recent;
    const word = upperCase(text.slice(start, end));
    this.#words[slot] = word;
    return word;
  }

  /** E'…' with its backslashes, U&'…' and U&"…"; B, N and X change nothing about where a string ends. */
  #prefixed(start: number): string {
    const text = this.#text;
    if (codeAt(text, start + 1) === QUOTE) return this.#cut(start + 1, escapedEnd(text, start + 1));
    if (codeAt(text, start + 2) === QUOTE) return this.#cut(start + 2, quotedEnd(text, start + 2, "'"));
    this.#cut(start, quotedEnd(text, start + 2, '"'));
    return 'U&""';
  }
}

/** Whether a token is a string, in plain or dollar quotes. */
export function isString(token: string | undefined): boolean {
  return token !== undefined && /^(?:'|\$[^0-9])/.test(token);
}

/** -1 behind the end: a single NaN from charCodeAt makes the engine reckon with all codes in floating point. */
function codeAt(text: string, at: number): number {
  return at < text.length ? text.charCodeAt(at) : -1;
}

/** Whether the letter belongs to the quote behind it: `e'`, `u&'` or `u&"`. */
function isPrefix(text: string, at: number): boolean {
  const letter = codeAt(text, at) | 32;
  const next = codeAt(text, at + 1);
  if (letter === 101 /* e */) return next === QUOTE;
  if (letter !== 117 /* u */ || next !== AMPERSAND) return false;
  const quote = codeAt(text, at + 2);
  return quote === QUOTE || quote === DOUBLE_QUOTE;
}

/** Skips white space and comments; `--` and `/*` begin a comment even inside a run of operator characters. */
function blankEnd(text: string, from: number): number {
  let at = from;
  for (;;) {
    const code = codeAt(text, at);
    if (isBlank(code)) at++;
    else if (code === DASH && codeAt(text, at + 1) === DASH) at = lineEnd(text, at);
    else if (code === SLASH && codeAt(text, at + 1) === STAR) at = commentEnd(text, at);
    else return at;
  }
}

function lineEnd(text: string, from: number): number {
  let at = from;
  while (at < text.length && !isNewline(codeAt(text, at))) at++;
  return at;
}

/** Comments nest: https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-COMMENTS */
function commentEnd(text: string, open: number): number {
  let depth = 1;
  let at = open + 2;
  while (depth > 0 && at < text.length) {
    const code = codeAt(text, at++);
    const next = codeAt(text, at);
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
    const code = codeAt(text, at);
    if (code === BACKSLASH) at += 2;
    else if (code !== QUOTE) at++;
    else if (codeAt(text, at + 1) === QUOTE) at += 2;
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
    const code = codeAt(text, at);
    if (code === QUOTE) return broken ? at : -1;
    if (code === DASH && codeAt(text, at + 1) === DASH) at = lineEnd(text, at);
    else if (isBlank(code)) at++;
    else return -1;
    broken ||= isNewline(code);
  }
}

/** A `$1`, a `$tag$…$tag$`, or a lone `$`; inside a word a `$` is a letter and never gets here. */
function dollarEnd(text: string, open: number): number {
  if (isDigit(codeAt(text, open + 1))) return digitsEnd(text, open + 1);
  const tagEnd = dollarTagEnd(text, open);
  if (codeAt(text, tagEnd) !== DOLLAR) return open + 1;
  const tag = text.slice(open, tagEnd + 1);
  const close = text.indexOf(tag, tagEnd + 1);
  return close < 0 ? text.length : close + tag.length;
}

function dollarTagEnd(text: string, open: number): number {
  let at = open + 1;
  while (startsWord(codeAt(text, at)) || (isDigit(codeAt(text, at)) && at > open + 1)) at++;
  return at;
}

function wordEnd(text: string, from: number): number {
  let at = from + 1;
  while (continuesWord(codeAt(text, at))) at++;
  return at;
}

function digitsEnd(text: string, from: number): number {
  let at = from + 1;
  while (isDigit(codeAt(text, at))) at++;
  return at;
}

/** With the dots in a number, which are not those between names. */
function numberEnd(text: string, from: number): number {
  let at = digitsEnd(text, from);
  while (codeAt(text, at) === DOT) at = digitsEnd(text, at);
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
  return code <= SPACE && (code === SPACE || (code >= TAB && code <= CARRIAGE_RETURN));
}

function isNewline(code: number): boolean {
  return code === NEWLINE || code === CARRIAGE_RETURN;
}

/** Whether a word in upper case is what the text says here in either case. */
function isSpelled(word: string, text: string, from: number): boolean {
  for (let at = 0; at < word.length; at++) {
    const code = text.charCodeAt(from + at);
    const upper = code >= 97 && code <= 122 ? code - 32 : code;
    if (upper !== word.charCodeAt(at)) return false;
  }
  return true;
}

/** A letter beyond ASCII may become an ASCII one in upper case ('ſ' becomes 'S'); the server leaves it alone. */
function upperCase(word: string): string {
  for (let at = 0; at < word.length; at++) if (word.charCodeAt(at) >= ASCII_END) return word;
  return word.toUpperCase();
}
