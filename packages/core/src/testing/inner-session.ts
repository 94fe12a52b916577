import type { Modes, Part } from '../pg/sql-script.ts';
import type { SqlReading } from '../pg/sql-words.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Submittable } from '../pg/submittable.ts';
import type { Group, GroupAnswer, HouseStatement } from '../pg/sync-group.ts';
import { formerStatement } from '../scope/settings.ts';
import { ISOLATIONS } from '../scope/transaction-options.ts';
import { travelsAlone } from '../scope/travel.ts';
import { DEFERRED_CHECK } from './constraints.ts';
import type { Enclosing } from './enclosing.ts';
import { Itinerary, NOBODY } from './itinerary.ts';
import { cannotWork, endedBehindOurBack, tooWeak } from './refusals.ts';
import { BACK, HARMLESS, NO_BLOCK, RELEASE, SAVEPOINT, STATUS, TIDYING } from './savepoint-words.ts';
import { SettingsAccount } from './settings-account.ts';
import type { Wire } from './wire.ts';

/**
 * A session as the code under test sees it, inside the one transaction of its sandbox: BEGIN is a savepoint, COMMIT lets
 * it go after it has done what only COMMIT does, and a statement that stands for itself has a savepoint for itself, so
 * that its failure is its own affair.
 *
 * ```
 *   idle ──▶ open ◀──▶ failed        failed: the server takes nothing but the end, or a return to a savepoint
 *    ▲         └──────────┤
 *    └────────────────────┘
 * ```
 */
export class InnerSession {
  readonly #around: Enclosing;
  readonly #settings = new SettingsAccount();
  #state: 'idle' | 'open' | 'failed' = 'idle';
  #traces: 'clean' | 'wrote' = 'clean';
  #session: 'clean' | 'dirty' = 'clean';

  constructor(around: Enclosing) {
    this.#around = around;
  }

  get transactionStatus(): 'I' | 'T' | 'E' {
    return STATUS[this.#state];
  }

  get isTidy(): boolean {
    return this.#state === 'idle' && this.#session === 'clean';
  }

  async query<Row>(statement: Statement): Promise<QueryResult<Row>> {
    const reading = this.#read(statement.text);
    if (reading.hasControl) return this.#script<Row>(statement);
    if (this.#state === 'idle' && !travelsAlone(reading)) {
      const { results, failure } = await this.group({ before: [], statements: [statement], after: [] });
      if (failure !== undefined) throw failure.error;
      return results[0] as QueryResult<Row>;
    }
    return this.#alone([statement], () => this.#wire.query<Row>(statement));
  }

  submit(submittable: Submittable): Promise<void> {
    const { text } = submittable as { readonly text?: unknown };
    if (typeof text !== 'string') return this.#alone([], () => this.#wire.submit(submittable));
    // It speaks with the server by itself, so nothing could be said in the place of a COMMIT.
    if (this.#read(text).hasControl) return Promise.reject(cannotWork(this.#wire.name, 'BEGIN or COMMIT in a cursor'));
    return this.#alone([{ text }], () => this.#wire.submit(submittable));
  }

  /** Statements under one Sync: a transaction of ours begins and ends in such groups, and a batch is one. */
  async group(given: Group): Promise<GroupAnswer> {
    const { before, statements, after } = given;
    const opening = this.#state === 'idle' ? this.#openingOf(before[0]) : undefined;
    const forSession = await this.#prepare([...before, ...statements]);
    const isFenced = this.#state === 'idle' && opening === undefined;
    const trip = new Itinerary(given);
    if (opening !== undefined) trip.before(0, ...opening);
    if (isFenced) trip.before(NOBODY, SAVEPOINT);
    for (const [at, one] of before.entries()) if (at > 0 || opening === undefined) trip.before(at, one);
    const count = before.length + statements.length;
    for (const at of after.keys()) trip.after(count + at, ...this.#closing());
    if (isFenced) trip.after(NOBODY, ...this.#closing());
    const answer = trip.answer(await this.#wire.group(trip.group));
    const ends = isFenced ? 'a fence' : after.length > 0 ? 'a commit' : 'nothing';
    await this.#landed(answer, { ends, commitAt: count });
    if (forSession.length > 0) await this.#keepForSession(forSession);
    return ends === 'a commit' ? withTag(answer, count) : this.#inOurWords(answer, isFenced);
  }

  /** Rolls back what is open, and puts the session back as it was. */
  async clean(): Promise<void> {
    if (this.#state !== 'idle') await this.#goBack();
    if (this.#session === 'clean') return;
    await this.#send([SAVEPOINT, ...this.#settings.leaving(), ...TIDYING, RELEASE]).catch(async (error: unknown) => {
      await this.#goBack();
      throw error;
    });
    this.#settings.left();
    this.#session = 'clean';
  }

  get #wire(): Wire {
    return this.#around.wire;
  }

  /** Null where there is no connection any more. */
  get #serverStatus(): 'I' | 'T' | 'E' | null {
    return this.#wire.connection?.transactionStatus ?? null;
  }

  #read(text: string): SqlReading {
    return this.#wire.ground.server.read(text);
  }

  /** Takes note of what will run, and asks what settings are before they are set. The answer: those for the session. */
  async #prepare(statements: readonly HouseStatement[]): Promise<readonly string[]> {
    const forSession: string[] = [];
    for (const one of statements) {
      const statement = typeof one === 'string' ? { text: one } : one;
      const reading = this.#read(statement.text);
      this.#around.constraints.runs(reading);
      if (!reading.isPlainRead) this.#traces = 'wrote';
      if (reading.dirt !== 'none') this.#session = 'dirty';
      const names = this.#wire.ground.server.localSettings(statement);
      if (names.length === 0 || this.#state === 'failed') continue;
      await this.#learn(names);
      if (reading.dirt === 'none') this.#settings.set(names);
      else forSession.push(...names);
    }
    return forSession;
  }

  async #learn(names: readonly string[]): Promise<void> {
    const unknown = this.#settings.unknown(names);
    if (unknown.length === 0) return;
    const { results } = await this.#wire.group({ before: [formerStatement(unknown)], statements: [], after: [] });
    if (results[0] !== undefined) this.#settings.learn(unknown, results[0]);
  }

  async #keepForSession(names: readonly string[]): Promise<void> {
    if (this.#state === 'failed') return;
    const settings = names.map((name) => ({ name, value: '' }));
    const { results } = await this.#wire.group({ before: [formerStatement(settings)], statements: [], after: [] });
    if (results[0] !== undefined) this.#settings.setForSession(names, results[0]);
  }

  /** What cannot travel with others: several statements in one text, a COPY, a cursor. */
  async #alone<T>(statements: readonly Statement[], run: () => Promise<T>): Promise<T> {
    const forSession = await this.#prepare(statements);
    const isFenced = this.#state === 'idle';
    if (isFenced) await this.#send([SAVEPOINT]);
    try {
      const result = await run();
      if (isFenced) await this.#send(this.#closing());
      return result;
    } catch (error) {
      throw isFenced ? this.#explained(error) : error;
    } finally {
      await this.#observe(isFenced ? 'a fence' : 'nothing');
      if (forSession.length > 0) await this.#keepForSession(forSession);
    }
  }

  /** A text that begins or ends transactions by itself, part after part. */
  async #script<Row>(statement: Statement): Promise<QueryResult<Row>> {
    const results: unknown[] = [];
    for (const part of this.#wire.ground.server.script(statement.text)) results.push(await this.#part(part, statement));
    return (results.length === 1 ? results[0] : results.flat()) as QueryResult<Row>;
  }

  async #part(part: Part, statement: Statement): Promise<unknown> {
    switch (part.kind) {
      case 'statements':
        return this.query({ ...statement, text: part.text });
      case 'begin':
        if (this.#state === 'idle') await this.#open(part.modes);
        return tagged('BEGIN');
      case 'modes':
        if (this.#state !== 'idle') await this.#send(this.#modes(part.modes));
        return tagged('SET');
      case 'commit':
      case 'rollback':
        return tagged(await this.#endBy(part.kind));
      case 'refused':
        if (!HARMLESS.test(part.what)) throw cannotWork(this.#wire.name, part.what);
        return this.#alone([{ text: part.text }], () => this.#wire.query({ text: part.text }));
      default:
        return part satisfies never;
    }
  }

  async #open(modes: Modes): Promise<void> {
    await this.#send([SAVEPOINT, ...this.#modes(modes)]);
    this.#state = 'open';
  }

  async #endBy(how: 'commit' | 'rollback'): Promise<string> {
    if (this.#state === 'idle') return how.toUpperCase();
    if (how === 'rollback' || this.#state === 'failed') {
      await this.#goBack();
      return 'ROLLBACK';
    }
    const answer = await this.group({ before: [], statements: [], after: ['COMMIT'] });
    if (answer.failure !== undefined) throw answer.failure.error;
    return 'COMMIT';
  }

  #openingOf(first: HouseStatement | undefined): readonly HouseStatement[] | undefined {
    if (typeof first !== 'string' || !first.startsWith('BEGIN')) return undefined;
    const [part] = this.#wire.ground.server.script(first);
    return part?.kind === 'begin' ? [SAVEPOINT, ...this.#modes(part.modes)] : undefined;
  }

  /** Of a savepoint it can be said that it only reads, and not how it is isolated. To wait for a good snapshot needs none. */
  #modes({ isolation, readOnly }: Modes): readonly HouseStatement[] {
    const wanted = isolation === 'read uncommitted' ? 'read committed' : isolation;
    const { isolation: given } = this.#around;
    if (wanted !== undefined && ISOLATIONS.indexOf(wanted) > ISOLATIONS.indexOf(given))
      throw tooWeak(this.#wire.name, wanted, given);
    return readOnly === true ? ['SET TRANSACTION READ ONLY'] : [];
  }

  #closing(): readonly HouseStatement[] {
    const check = this.#traces === 'wrote' && this.#around.constraints.mustBeChecked ? [DEFERRED_CHECK] : [];
    return [...check, ...this.#settings.closing(), RELEASE];
  }

  async #landed({ failure }: GroupAnswer, { ends, commitAt }: { ends: Ends; commitAt: number }): Promise<void> {
    const isRefused = ends === 'a commit' && failure !== undefined && failure.index >= commitAt;
    const status = this.#serverStatus;
    if (isRefused && status === 'E') return this.#goBack();
    if (ends === 'a commit' && status === 'T') this.#around.tally.committed += 1;
    await this.#observe(ends);
  }

  /** What the server's own word is about the transaction, now that nothing runs. */
  async #observe(ends: Ends): Promise<void> {
    const status = this.#serverStatus;
    if (status === null) return;
    if (status === 'I') this.#wire.broke(endedBehindOurBack());
    if (status === 'E') {
      if (ends === 'a fence') return this.#goBack();
      this.#state = 'failed';
    } else if (ends === 'nothing') this.#state = 'open';
    else this.#closed();
  }

  #closed(): void {
    this.#state = 'idle';
    this.#traces = 'clean';
    this.#settings.closed();
  }

  async #goBack(): Promise<void> {
    if (this.#state !== 'idle') this.#around.tally.rolledBack += 1;
    // A cancel request that came too late for its statement may hit this instead, once.
    await this.#send(BACK)
      .catch(() => this.#send(BACK))
      .catch((error: unknown) => {
        this.#wire.broke(error);
        throw error;
      });
    this.#closed();
  }

  async #send(before: readonly HouseStatement[]): Promise<void> {
    if (before.length === 0) return;
    const { failure } = await this.#wire.group({ before, statements: [], after: [] });
    if (failure !== undefined) throw failure.error;
  }

  #inOurWords(answer: GroupAnswer, isFenced: boolean): GroupAnswer {
    if (answer.failure === undefined || !isFenced) return answer;
    return { ...answer, failure: { ...answer.failure, error: this.#explained(answer.failure.error) } };
  }

  /** Where it is the sandbox that a statement cannot run in. */
  #explained(error: unknown): unknown {
    const { code } = (error ?? {}) as { code?: unknown };
    return typeof code === 'string' && NO_BLOCK.has(code) ? cannotWork(this.#wire.name, 'The statement', error) : error;
  }
}

/** What a trip ends, if all goes well. */
type Ends = 'a fence' | 'a commit' | 'nothing';

/** The server answered the end of a savepoint, and COMMIT was asked for. */
function withTag(answer: GroupAnswer, at: number): GroupAnswer {
  const commit = answer.results[at];
  if (commit === undefined) return answer;
  return { ...answer, results: answer.results.with(at, { ...commit, command: 'COMMIT' }) };
}

function tagged(command: string): QueryResult<never> {
  return { command, rowCount: null, oid: null, rows: [], fields: [] };
}
