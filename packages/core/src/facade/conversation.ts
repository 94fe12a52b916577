import { LifeguardError } from '../errors.ts';
import type { PgClient } from '../pg/pg-subset.ts';
import type { Modes, Part } from '../pg/sql-script.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import type { Ground } from '../scope/ground.ts';
import type { Opened } from '../scope/opened.ts';
import type { Base } from './base.ts';
import { CursorBridge } from './cursor-bridge.ts';
import { isReader, read } from './query-reading.ts';
import type { Seat } from './seat.ts';
import { blaming, limitsFor } from './transaction-base.ts';

type State =
  | { readonly kind: 'none' }
  /** The library's transaction, until it ends it; it may have ended by itself. */
  | { readonly kind: 'opened'; readonly opened: Opened }
  /** A BEGIN has failed: who did not wait for its answer must not go on without it. */
  | { readonly kind: 'refused'; readonly error: unknown };

/**
 * What one client of a library says inside somebody else's transaction. Its BEGIN, COMMIT and ROLLBACK never reach the
 * server: they open and end a savepoint, for which others wait, as they would wait for a connection.
 */
export class Conversation implements Seat {
  readonly #ground: Ground;
  readonly #base: Base;
  #state: State = NONE;
  /** The last word about a transaction: what is said after it waits for it. */
  #gate: Promise<void> | undefined = undefined;

  constructor(ground: Ground, base: Base) {
    this.#ground = ground;
    this.#base = base;
  }

  say(statement: Statement, timeoutMillis: number | undefined): Promise<QueryResult | QueryResult[]> {
    const { hasControl } = this.#ground.server.read(statement.text);
    if (!hasControl) return this.#inOrder(() => this.#plain(statement, timeoutMillis));
    const parts = this.#ground.server.script(statement.text);
    return this.#closing(() => this.#play(parts, statement, timeoutMillis));
  }

  submit(submittable: Submittable): Promise<unknown> {
    const ask = (statement: Statement): Promise<QueryResult | QueryResult[]> => this.say(statement, undefined);
    if (isReader(submittable)) return read(submittable, ask);
    return this.#inOrder(async () => {
      const opened = this.#inside();
      const lasts = opened !== undefined || this.#base.keepsCursors;
      const bridge = lasts ? CursorBridge.over(submittable, this.#ground.server, ask) : undefined;
      if (bridge !== undefined) return bridge.open();
      if (opened === undefined) return this.#base.submit(submittable);
      opened.tx.refuseFromInside();
      return opened.tx.level.submit(submittable, opened.tx.limits);
    });
  }

  get client(): PgClient | undefined {
    return this.#base.client;
  }

  /** What was left open is rolled back: nobody could commit it any more. */
  end(): void {
    void this.#closing(async () => {
      if (this.#state.kind !== 'opened') return;
      const { name } = this.#state.opened.tx;
      const message = `a client was given back inside "${name}" while the transaction that it had begun was open: that was rolled back. Commit or roll back before the release`;
      this.#ground.warnings.warn('LIFEGUARD_LEFT_OPEN', message, { name });
      await this.#rollBack();
    }).catch(() => undefined);
  }

  #inOrder<T>(run: () => Promise<T>): Promise<T> {
    return this.#gate === undefined ? run() : this.#gate.then(run);
  }

  #closing<T>(run: () => Promise<T>): Promise<T> {
    const answer = this.#inOrder(run);
    const over = (): void => {
      if (this.#gate === gate) this.#gate = undefined;
    };
    const gate = answer.then(over, over);
    this.#gate = gate;
    return answer;
  }

  /** The library's own, where it has begun one. */
  #inside(): Opened | undefined {
    switch (this.#state.kind) {
      case 'none':
        return undefined;
      case 'opened':
        return this.#state.opened;
      case 'refused':
        throw this.#state.error;
      default:
        return this.#state satisfies never;
    }
  }

  async #plain(statement: Statement, timeoutMillis: number | undefined): Promise<QueryResult> {
    const opened = this.#inside();
    if (opened === undefined) return this.#base.run(statement, timeoutMillis);
    const { tx } = opened;
    tx.refuseFromInside();
    if (this.#ground.server.read(statement.text).transaction.includes('savepoint')) tx.level.visits.savepointSet();
    tx.level.borrow(this.#ground.server.localSettings(statement));
    const answer: Promise<QueryResult> = tx.level.query(statement, limitsFor(this.#ground, tx, timeoutMillis));
    return answer.catch(blaming(tx.level.bracket));
  }

  async #play(
    parts: readonly Part[],
    statement: Statement,
    timeoutMillis: number | undefined,
  ): Promise<QueryResult | QueryResult[]> {
    if (parts.length > 1 && statement.values?.length) throw severalWithValues();
    // All of it or nothing, as for the server, which reads a text to its end first.
    refuseScript(parts, this.#state.kind);
    const results: QueryResult[] = [];
    for (const part of parts) {
      const answer =
        part.kind === 'statements'
          ? await this.#plain({ ...statement, text: part.text }, timeoutMillis)
          : { ...NO_ROWS, command: await this.#control(part) };
      results.push(...(Array.isArray(answer) ? answer : [answer]));
    }
    return results.length === 1 ? (results[0] as QueryResult) : results;
  }

  /** The tag that the server would answer with. */
  async #control(part: Exclude<Part, { kind: 'statements' }>): Promise<string> {
    switch (part.kind) {
      case 'begin':
        await this.#begin(part.modes);
        return 'BEGIN';
      case 'modes':
        await this.#setModes(part.modes);
        return 'SET';
      case 'commit':
        return this.#commit();
      case 'rollback':
        return this.#rollBack();
      case 'refused':
        throw refused(part.what);
      default:
        return part satisfies never;
    }
  }

  /** In a transaction the server warns, and goes on. */
  async #begin(modes: Modes): Promise<void> {
    if (this.#state.kind === 'opened') return;
    try {
      this.#state = { kind: 'opened', opened: await this.#base.begin(modes) };
    } catch (error) {
      this.#state = { kind: 'refused', error };
      throw error;
    }
  }

  /** Of one that has failed the server makes a ROLLBACK. Without one it warns, and goes on. */
  async #commit(): Promise<string> {
    const state = this.#state;
    if (state.kind === 'opened') state.opened.tx.refuseFromInside();
    this.#state = NONE;
    if (state.kind === 'none') return 'COMMIT';
    return state.kind === 'opened' && (await state.opened.commit()) === 'committed' ? 'COMMIT' : 'ROLLBACK';
  }

  async #rollBack(): Promise<string> {
    const state = this.#state;
    if (state.kind === 'opened') state.opened.tx.refuseFromInside();
    this.#state = NONE;
    if (state.kind === 'opened' && !state.opened.isOver) await state.opened.rollBack();
    return 'ROLLBACK';
  }

  /** SET TRANSACTION, which some libraries send behind a bare BEGIN. */
  async #setModes(modes: Modes): Promise<void> {
    const opened = this.#inside();
    if (opened === undefined) return;
    try {
      this.#state = { kind: 'opened', opened: await this.#base.agree(modes, opened) };
    } catch (error) {
      // It may have been given up for one that was then refused.
      if (opened.isOver) this.#state = { kind: 'refused', error };
      throw error;
    }
  }
}

const NONE: State = Object.freeze({ kind: 'none' });
const NO_ROWS = { rows: [], rowCount: null, oid: null, fields: [] };

function refused(what: string): LifeguardError {
  const message = `Nothing was sent: ${what} inside a transaction or a scope of Lifeguard would reach beyond it. Do it outside: pool.outside(() => …), or with a pool of its own.`;
  return new LifeguardError('ERR_LIFEGUARD_TRANSACTION_CONTROL', message, { consequence: 'nothing-sent' });
}

/** Some of it cannot be done here; and what stands before a ROLLBACK without a BEGIN would be undone on a pool, and not here. */
function refuseScript(parts: readonly Part[], state: State['kind']): void {
  let [isOpen, hasLoose] = [state === 'opened', false];
  for (const part of parts) {
    if (part.kind === 'refused') throw refused(part.what);
    if (part.kind === 'rollback' && hasLoose) throw refused('a ROLLBACK of statements before it without a BEGIN');
    if (part.kind === 'statements' && !isOpen) hasLoose = true;
    if (part.kind === 'begin') isOpen = true;
    if (part.kind === 'commit' || part.kind === 'rollback') [isOpen, hasLoose] = [false, false];
  }
}

function severalWithValues(): LifeguardError {
  const message = 'Nothing was sent: a text of several statements takes no values.';
  return new LifeguardError('ERR_LIFEGUARD_ARGUMENT', message, { consequence: 'nothing-sent' });
}
