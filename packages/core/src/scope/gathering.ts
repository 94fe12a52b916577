import { isLifeguardError } from '../errors.ts';
import type { QueryResult, Statement } from '../pg/statement.ts';
import type { GroupAnswer } from '../pg/sync-group.ts';
import type { Bracket } from './bracket.ts';
import type { Server } from './ground.ts';
import type { Place } from './prelude.ts';

/** The level that asks. */
export interface Site extends Place {
  readonly bracket: Bracket;
  /** Throws where it has ended. */
  refuseEnded(): void;
}

interface Member {
  readonly statement: Statement;
  readonly resolve: (result: QueryResult<never>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Statements of one level that were asked for in the same breath, or while something else had the turn. They travel
 * together, and each ends as it would behind those before it: all are under one Sync, so behind one that fails the
 * server runs nothing. With a Sync for each, those behind a BEGIN that failed would run outside of the transaction.
 */
export class Gathering {
  /** Mostly the only one, so it costs nothing more than itself. */
  readonly first: Statement;
  readonly #others: Member[] = [];

  constructor(first: Statement) {
    this.first = first;
  }

  get isAlone(): boolean {
    return this.#others.length === 0;
  }

  get statements(): readonly Statement[] {
    return [this.first, ...this.#others.map(({ statement }) => statement)];
  }

  add<Row>(statement: Statement): Promise<QueryResult<Row>> {
    return new Promise((resolve, reject) => void this.#others.push({ statement, resolve, reject }));
  }

  /** Its turn will not come. */
  refuseOthers(error: unknown): void {
    for (const { reject } of this.#others) reject(error);
  }

  /** Each for itself, where somebody else has the turn for long. The answer is that to the first one. */
  visit(ask: (statement: Statement) => Promise<QueryResult<never>>): Promise<QueryResult<never>> {
    for (const { statement, resolve, reject } of this.#others) ask(statement).then(resolve, reject);
    return ask(this.first);
  }

  /** Whoever calls has the turn, and lets nobody join any more. The answer is that to the first one. */
  travel(site: Site, over: () => void): Promise<QueryResult<never>> {
    const { promise, resolve, reject } = Promise.withResolvers<QueryResult<never>>();
    void send([{ statement: this.first, resolve, reject }, ...this.#others], site).then(over);
    return promise;
  }
}

/**
 * Whether it may travel with others. What changes the transaction itself is read, answered and judged before anything
 * follows it; of a text that is too long to be read twice that is not known, and it fills a packet by itself.
 */
export function isGathered({ text }: Statement, server: Server): boolean {
  if (text.length > LONGEST) return false;
  const { statements, words, transaction, needsNoBlock } = server.read(text);
  return statements === 1 && words[0] !== 'COPY' && transaction.length === 0 && !needsNoBlock;
}

async function send(members: readonly Member[], site: Site): Promise<void> {
  for (let settled = 0; settled < members.length; ) {
    const group = groupFrom(members, settled);
    settled += group.length > 1 ? await together(group, site) : await oneByOne(group, site);
  }
}

function groupFrom(members: readonly Member[], start: number): readonly Member[] {
  let end = start;
  let weight = 0;
  while (end < members.length && end - start < MOST_STATEMENTS && weight < MOST_WEIGHT) {
    weight += weightOf((members[end] as Member).statement);
    end += 1;
  }
  return members.slice(start, end);
}

/** Nothing was sent, because of one of them: a value that cannot be converted, a text that is refused. Each goes for itself then. */
function isOfOne(error: unknown): boolean {
  if (!isLifeguardError(error)) return true;
  return error.code === 'ERR_LIFEGUARD_ARGUMENT' || error.code === 'ERR_LIFEGUARD_POOLER';
}

/** How many of them know what became of them. */
async function together(members: readonly Member[], site: Site): Promise<number> {
  const statements = members.map(({ statement }) => statement);
  let answer: GroupAnswer;
  try {
    site.refuseEnded();
    answer = await site.bracket.runAll(statements, site);
  } catch (error) {
    const { ending, isFresh } = site.bracket;
    if (ending === undefined && !isFresh && isOfOne(error)) return oneByOne(members, site);
    for (const { reject } of members) reject(error);
    return members.length;
  }
  return settle(members, answer);
}

async function oneByOne(members: readonly Member[], site: Site): Promise<number> {
  for (const { statement, resolve, reject } of members) {
    try {
      site.refuseEnded();
      resolve(await site.bracket.run<never>(statement, site));
    } catch (error) {
      reject(error);
    }
  }
  return members.length;
}

/** Those behind one that failed have not run. They are asked for again, and the transaction tells them why they cannot. */
function settle(members: readonly Member[], { results, failure, unread = [] }: GroupAnswer): number {
  if (failure === undefined) return resolveAll(members, results);
  // What failed was our own, and travelled with the first one.
  const failed = Math.max(0, failure.index);
  members[failed]?.reject(failure.error);
  // These have run, and only their rows could not be read.
  for (const { index, error } of unread) members[index]?.reject(error);
  if (failure.index >= 0 && failure.index < results.length) return resolveAll(members, results);
  return resolveAll(members.slice(0, failed), results) + 1;
}

/** One that was rejected stays so. */
function resolveAll(members: readonly Member[], results: GroupAnswer['results']): number {
  for (const [index, { resolve }] of members.entries()) resolve(results[index] as QueryResult<never>);
  return members.length;
}

/** Of the text and the values that are long. */
function weightOf({ text, values = [] }: Statement): number {
  let weight = text.length;
  for (const value of values) {
    if (typeof value === 'string') weight += value.length;
    else if (ArrayBuffer.isView(value)) weight += value.byteLength;
  }
  return weight;
}

/** Between two groups the deadline, the caller and an end of the level are looked at. */
const MOST_STATEMENTS = 256;
/** A packet is made before it is sent, so its values are twice in memory. */
const MOST_WEIGHT = 1_048_576;
const LONGEST = 16_384;
