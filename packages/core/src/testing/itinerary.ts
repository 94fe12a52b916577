import type { QueryResult, Statement } from '../pg/statement.ts';
import type { Group, GroupAnswer, HouseStatement, Misfortune } from '../pg/sync-group.ts';

/** What is sent for nothing that was asked for. */
export const NOBODY = -1;

/** What is really sent for a group, and which answer of the server belongs to which of what was asked for. */
export class Itinerary {
  readonly #before: HouseStatement[] = [];
  readonly #after: HouseStatement[] = [];
  readonly #statements: readonly Statement[];
  /** Of each that is sent around the statements, the place of what it was sent for. */
  readonly #ownersBefore: number[] = [];
  readonly #ownersAfter: number[] = [];
  /** How many were asked for before the statements, and in all. */
  readonly #first: number;
  readonly #count: number;

  constructor({ before, statements, after }: Group) {
    this.#statements = statements;
    this.#first = before.length;
    this.#count = before.length + statements.length + after.length;
  }

  before(owner: number, ...statements: readonly HouseStatement[]): void {
    this.#before.push(...statements);
    this.#ownersBefore.push(...statements.map(() => owner));
  }

  after(owner: number, ...statements: readonly HouseStatement[]): void {
    this.#after.push(...statements);
    this.#ownersAfter.push(...statements.map(() => owner));
  }

  get group(): Group {
    return { before: this.#before, statements: this.#statements, after: this.#after };
  }

  /** The answer as if what was asked for had been sent. Of several that were sent for one, the last answer counts. */
  answer({ results, failure, unread }: GroupAnswer): GroupAnswer {
    const owners = [...this.#ownersBefore, ...this.#statements.map((_, at) => this.#first + at), ...this.#ownersAfter];
    const own: QueryResult<never>[] = [];
    for (const [index, result] of results.entries()) {
      const owner = owners[index] ?? NOBODY;
      if (owner !== NOBODY) own[owner] = result;
    }
    const moved = (one: Misfortune): Misfortune => ({ ...one, index: this.#blamed(owners, one.index) });
    if (failure === undefined) return { results: own, failure };
    const misfortune = moved(failure);
    // Where rows could not be read, the server has done its part, and the rest has its answers.
    const answered = results.length > failure.index ? own : own.slice(0, misfortune.index);
    return { results: answered, failure: misfortune, unread: unread?.map(moved) ?? [] };
  }

  /** Whose failure it is: what is sent for nobody fails whoever it stands next to. */
  #blamed(owners: readonly number[], index: number): number {
    const owner = owners[index] ?? NOBODY;
    if (owner !== NOBODY) return owner;
    return index < this.#before.length ? 0 : Math.max(0, this.#count - 1);
  }
}
