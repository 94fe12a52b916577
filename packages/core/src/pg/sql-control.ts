import { inBlock } from './sql-block.ts';
import { isTwoPhase } from './sql-dirt.ts';
import type { SqlStatement } from './sql-statement.ts';

/** What is asked of a transaction: https://www.postgresql.org/docs/current/sql-set-transaction.html */
export interface Modes {
  readonly isolation?: 'read uncommitted' | 'read committed' | 'repeatable read' | 'serializable';
  readonly readOnly?: boolean;
  readonly deferrable?: boolean;
}

/** What a statement wants of the transaction, or of the session, around it. */
export type Control =
  | { readonly kind: 'begin'; readonly modes: Modes }
  | { readonly kind: 'modes'; readonly modes: Modes }
  | { readonly kind: 'commit' | 'rollback' }
  | { readonly kind: 'refused'; readonly what: string };

type Tokens = readonly string[];
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

const MODES: readonly (readonly [words: Tokens, modes: Modes])[] = [
  [['ISOLATION', 'LEVEL', 'READ', 'UNCOMMITTED'], { isolation: 'read uncommitted' }],
  [['ISOLATION', 'LEVEL', 'READ', 'COMMITTED'], { isolation: 'read committed' }],
  [['ISOLATION', 'LEVEL', 'REPEATABLE', 'READ'], { isolation: 'repeatable read' }],
  [['ISOLATION', 'LEVEL', 'SERIALIZABLE'], { isolation: 'serializable' }],
  [['READ', 'ONLY'], { readOnly: true }],
  [['READ', 'WRITE'], { readOnly: false }],
  [['DEFERRABLE'], { deferrable: true }],
  [['NOT', 'DEFERRABLE'], { deferrable: false }],
];

/**
 * What a statement that has ended wants, if it is not an ordinary one. Savepoints are ordinary, and so is whatever the
 * server's grammar does not accept: it is the server that complains best.
 */
export function controlOf(statement: SqlStatement): Control | undefined {
  const { head, isEnclosed, isLong } = statement;
  if (isEnclosed) return undefined; // no command stands in parentheses
  if (isLong) return refusal(head);
  const words = new Words(head);
  switch (words.take()) {
    case 'BEGIN':
      skipNoise(words);
      return beginning(words);
    case 'START':
      return words.skip('TRANSACTION') ? beginning(words) : undefined;
    case 'COMMIT':
    case 'END':
      return ending('commit', words);
    case 'ROLLBACK':
    case 'ABORT':
      return ending('rollback', words);
    case 'SET':
      return setting(words);
    case 'RESET':
      return resetting(words);
    default:
      return refusal(head);
  }
}

/** A reader of words, one behind the other. */
class Words {
  readonly #head: Tokens;
  #at = 0;

  constructor(head: Tokens) {
    this.#head = head;
  }

  get isDone(): boolean {
    return this.#at === this.#head.length;
  }

  take(): string {
    return this.#head[this.#at++] ?? '';
  }

  /** Goes behind these words, if they come next. */
  skip(...words: Tokens): boolean {
    const isNext = words.every((word, place) => this.#head[this.#at + place] === word);
    if (isNext) this.#at += words.length;
    return isNext;
  }
}

function beginning(words: Words): Control | undefined {
  return words.isDone ? { kind: 'begin', modes: {} } : withModes('begin', words);
}

function ending(kind: 'commit' | 'rollback', words: Words): Control | undefined {
  if (words.skip('PREPARED')) return refused(`${kind.toUpperCase()} PREPARED`);
  skipNoise(words);
  const chains = words.skip('AND', 'CHAIN');
  if (!chains) words.skip('AND', 'NO', 'CHAIN');
  if (!words.isDone) return undefined;
  return chains ? refused(`${kind.toUpperCase()} AND CHAIN`) : { kind };
}

function skipNoise(words: Words): void {
  if (!words.skip('WORK')) words.skip('TRANSACTION');
}

/** In any order, with or without commas; the last one of a kind holds, as it does for the server. */
function withModes(kind: 'begin' | 'modes', words: Words): Control | undefined {
  const modes: Mutable<Modes> = {};
  do {
    const next = MODES.find(([wish]) => words.skip(...wish));
    if (next === undefined) return undefined;
    Object.assign(modes, next[1]);
  } while (words.skip(',') || !words.isDone);
  return { kind, modes };
}

/** LOCAL and SESSION may stand before every form of SET, also of those that begin with SESSION themselves. */
function setting(words: Words): Control | undefined {
  const isLocal = words.skip('LOCAL');
  const isSession = words.skip('SESSION');
  const isTwice = isSession && (isLocal || words.skip('SESSION'));
  if (isSession && words.skip('CHARACTERISTICS', 'AS')) return refused('SET SESSION CHARACTERISTICS');
  if (isSession && !isLocal && words.skip('AUTHORIZATION')) return refused('SET SESSION AUTHORIZATION');
  if (isTwice || !words.skip('TRANSACTION')) return undefined;
  return words.skip('SNAPSHOT') ? refused('SET TRANSACTION SNAPSHOT') : withModes('modes', words);
}

/** RESET ALL takes away what the transaction around it has set up. */
function resetting(words: Words): Control | undefined {
  if (words.skip('ALL')) return refused('RESET ALL');
  return words.skip('SESSION', 'AUTHORIZATION') ? refused('RESET SESSION AUTHORIZATION') : undefined;
}

function refusal(head: Tokens): Control | undefined {
  const [verb = '', object = ''] = head;
  if (verb === 'LISTEN' || verb === 'UNLISTEN' || verb === 'VACUUM') return refused(verb);
  if (verb === 'DISCARD') return refused(`DISCARD ${object}`.trimEnd());
  if (verb === 'PREPARE') return isTwoPhase(head, 0) ? refused('PREPARE TRANSACTION') : undefined;
  return inBlock(head) === 'refused' ? refused(blockless(head)) : undefined;
}

/** The words of what runs in no block. */
function blockless([verb, next, ...rest]: Tokens): string {
  const object = next === 'UNIQUE' ? 'INDEX' : next;
  if (rest.includes('CONCURRENTLY')) return `${verb} ${object} CONCURRENTLY`;
  return verb === 'ALTER' && object === 'DATABASE' ? 'ALTER DATABASE SET TABLESPACE' : `${verb} ${object}`;
}

function refused(what: string): Control {
  return { kind: 'refused', what };
}
