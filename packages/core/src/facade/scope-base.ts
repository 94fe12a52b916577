import type { PgClient } from '../pg/pg-subset.ts';
import type { Modes } from '../pg/sql-script.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import type { Ground } from '../scope/ground.ts';
import type { Work } from '../scope/nesting.ts';
import { Opened } from '../scope/opened.ts';
import type { Scope } from '../scope/scope.ts';
import { modesOf } from '../scope/transaction-options.ts';
import type { Base } from './base.ts';
import type { Mark } from './mark.ts';
import { NOTHING } from './nothing.ts';
import { isolationOf, warnLeftOpen } from './transaction-base.ts';

/**
 * A scope whose settings, role or one connection must hold for libraries as well: each statement goes through it, and
 * what a library begins is a transaction of the scope.
 */
export class ScopeBase implements Base {
  readonly #ground: Ground;
  readonly #scope: Scope;
  readonly #mark: Mark | undefined;
  /** Each statement has a transaction for itself, and a cursor would end with its DECLARE. */
  readonly keepsCursors = false;
  readonly client: PgClient | undefined = undefined;
  #begunWith: Modes = {};

  constructor(ground: Ground, scope: Scope, mark: Mark | undefined) {
    this.#ground = ground;
    this.#scope = scope;
    this.#mark = mark;
  }

  run(statement: Statement, timeoutMillis: number | undefined): Promise<QueryResult> {
    return this.#scope.query(statement, undefined, timeoutMillis === undefined ? undefined : { timeoutMillis });
  }

  /** In a transaction for itself: the settings last as long as one. It hears that all is well when that has committed. */
  async submit(submittable: Submittable): Promise<void> {
    const tell = heldBack(submittable);
    const own = { hasFailed: false };
    const failed = (error: unknown): never => {
      own.hasFailed = true;
      throw error;
    };
    const work: Work<void> = async (tx) => {
      await tx.query(submittable);
      // Its turn comes when the cursor is through.
      await tx.query('SELECT').catch(failed);
    };
    try {
      await this.#scope.transaction(work, ONCE);
    } catch (error) {
      // Of its own failure it was told by the server.
      if (own.hasFailed) return;
      throw error;
    }
    tell();
  }

  /** Where nothing was sent yet, one that is like that from its BEGIN on; else the server says what it thinks of it. */
  async agree(modes: Modes, opened: Opened): Promise<Opened> {
    const { tx } = opened;
    if (tx.level.bracket.isFresh) {
      await opened.rollBack();
      return this.begin({ ...this.#begunWith, ...modes });
    }
    const said = modesOf(modes).join(', ');
    if (said !== '') await tx.level.query({ text: `SET TRANSACTION ${said}` }, tx.limits);
    return opened;
  }

  async begin(modes: Modes): Promise<Opened> {
    this.#begunWith = modes;
    const { readOnly, deferrable } = modes;
    const options = { ...ONCE, isolation: isolationOf(modes), readOnly, deferrable };
    // Outside of the context of the statement: it is not this call that the transaction belongs to.
    const begin = (fn: Work<void>): Promise<void> =>
      this.#ground.ambient.run(this.#scope, () => this.#scope.transaction(fn, options));
    const opened = await Opened.begin(begin, warnLeftOpen(this.#ground));
    this.#mark?.claim(opened);
    return opened;
  }
}

/** What a library does in it cannot be done again from here. */
const ONCE = Object.freeze({ retry: false, propagation: 'requires-new' } as const);

/** Keeps the last word from a cursor or a COPY, until the answer is called: what it takes for done may still fail at COMMIT. */
function heldBack(submittable: Submittable): () => void {
  const answering = submittable as { handleReadyForQuery?: (...args: unknown[]) => void };
  const { handleReadyForQuery } = answering;
  if (handleReadyForQuery === undefined) return NOTHING;
  let said: unknown[] | undefined;
  answering.handleReadyForQuery = (...args) => {
    said = args;
  };
  return () => {
    answering.handleReadyForQuery = handleReadyForQuery;
    if (said !== undefined) handleReadyForQuery.apply(submittable, said);
  };
}
