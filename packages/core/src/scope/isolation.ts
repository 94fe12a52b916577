import type { Statement } from '../pg/statement.ts';
import type { Bracket } from './bracket.ts';
import type { Ground } from './ground.ts';
import type { Place, Step } from './prelude.ts';
import { FENCE } from './savepoint.ts';

/**
 * Runs something behind a savepoint of its own: when it fails, the transaction goes on, as a pool goes on for whoever
 * takes every statement to stand for itself. The savepoint travels with it, and its RELEASE with what comes next.
 */
export async function isolated<T>(bracket: Bracket, place: Place, run: (behind: Place) => Promise<T>): Promise<T> {
  const fence = { isSet: false };
  const set = (): void => {
    fence.isSet = true;
  };
  const step: Step = { kind: 'savepoint', statement: `SAVEPOINT ${FENCE}`, done: set };
  const behind: Place = {
    limits: place.limits,
    opening: () => [...place.opening(), step],
    returned: () => place.returned(),
  };
  try {
    return await run(behind);
  } finally {
    // Of rows that cannot be read the server knows nothing: there the statement stands.
    const hasFailed = bracket.trouble !== undefined;
    // Where that fails, the connection is lost, and the transaction says so; the first error is the one to hear of.
    if (fence.isSet && hasFailed) await bracket.returnTo(FENCE).catch(() => undefined);
    else if (fence.isSet && bracket.ending === undefined) bracket.prelude.owe([RELEASE]);
  }
}

/**
 * How many statements of one transaction had a savepoint of their own. A session remembers 64 parts of a transaction that
 * wrote; past that, every other session has to look them up, and the whole server slows down.
 * https://www.postgresql.org/docs/current/subxacts.html
 */
export class Fences {
  readonly #ground: Ground;
  readonly #name: string;
  #writes = 0;

  constructor(ground: Ground, name: string) {
    this.#ground = ground;
    this.#name = name;
  }

  /** Whether this statement may have one. */
  admit({ text }: Statement): boolean {
    const { isPlainRead, words } = this.#ground.server.read(text);
    if (this.#writes > MOST_WRITES) return false;
    if (isPlainRead || OF_CURSORS.has(words[0])) return true;
    this.#writes += 1;
    if (this.#writes <= MOST_WRITES) return true;
    const message = `the transaction "${this.#name}" has more than ${MOST_WRITES} writing statements of a library, so from here on a statement that fails is not undone by itself: the transaction fails with it. Use fewer and larger statements, or let the library begin a transaction of its own`;
    this.#ground.warnings.warn('LIFEGUARD_MANY_SAVEPOINTS', message, { name: this.#name });
    return false;
  }
}

const MOST_WRITES = 64;
/** They write nothing, so the server has nothing to remember. */
const OF_CURSORS: ReadonlySet<string | undefined> = new Set(['DECLARE', 'FETCH', 'MOVE', 'CLOSE']);
const RELEASE: Step = Object.freeze({ kind: 'release', statement: `RELEASE SAVEPOINT ${FENCE}` });
