import type { QueryResult, Statement } from '../pg/statement.ts';
import { Gathering, type Site } from './gathering.ts';
import type { Ground } from './ground.ts';
import type { Limits } from './patience.ts';
import { Turns } from './turns.ts';

/** What is asked of a level, in the order in which it was asked for: one thing at a time, and statements together. */
export class Intake {
  readonly #ground: Ground;
  readonly #site: Site;
  readonly #turns = new Turns();
  /** The one that is last in the order: it takes in what is asked for next, until something else is. */
  #gathering: Gathering | undefined = undefined;

  constructor(ground: Ground, site: Site) {
    this.#ground = ground;
    this.#site = site;
  }

  /** A statement with the limits of the level. */
  gather<Row>(statement: Statement): Promise<QueryResult<Row>> {
    if (this.#gathering !== undefined) return this.#gathering.add(statement);
    const gathering = new Gathering(statement);
    this.#gathering = gathering;
    return this.#travel(gathering);
  }

  /** Runs `job` when all before it is through; at once where there is nothing. */
  async take<T>(limits: Limits, job: () => Promise<T>): Promise<T> {
    this.#gathering = undefined;
    const turn = this.#turns.take();
    if (turn !== undefined) await this.#wait(turn, limits);
    try {
      return await job();
    } finally {
      this.#turns.leave();
    }
  }

  /** The answer to the first one. It begins a microtask later at the earliest: what is asked for in the same breath comes along. */
  async #travel(gathering: Gathering): Promise<QueryResult<never>> {
    const turn = this.#turns.take();
    try {
      await (turn === undefined ? undefined : this.#wait(turn, this.#site.limits));
    } catch (error) {
      gathering.refuseOthers(error);
      throw error;
    } finally {
      if (this.#gathering === gathering) this.#gathering = undefined;
    }
    if (!gathering.isAlone) return gathering.travel(this.#site, () => this.#turns.leave());
    try {
      this.#site.refuseEnded();
      return await this.#site.bracket.run(gathering.first, this.#site);
    } finally {
      this.#turns.leave();
    }
  }

  #wait(turn: Promise<void>, limits: Limits): Promise<void> {
    const patience = (begun: Promise<void>): Promise<void> =>
      this.#ground.patience({ begin: () => begun, wasSent: () => false }, limits);
    return this.#turns.wait(turn, patience);
  }
}
