import type { QueryResult, Statement } from '../pg/statement.ts';
import { Gathering, type Site } from './gathering.ts';
import type { Ground } from './ground.ts';
import type { Level } from './level.ts';
import { type Exclusive, Occupancy, type Occupant, type Purpose } from './occupancy.ts';
import type { Limits } from './patience.ts';
import { Turns } from './turns.ts';

/** A piece of work that needs the turn, and how it is done inside a level that has the turn meanwhile. */
export interface Job<T> {
  readonly here: () => Promise<T>;
  readonly inside: ((host: Level) => Promise<T>) | 'nowhere';
}

/** What is asked of a level, in the order in which it was asked for: one thing at a time, and statements together. */
export class Intake {
  readonly #ground: Ground;
  readonly #site: Site;
  readonly #turns = new Turns();
  /** Where no library can have the turn, nobody looks for one. */
  readonly #occupancy: Occupancy | undefined;
  /** The one that is last in the order: it takes in what is asked for next, until something else is. */
  #gathering: Gathering | undefined = undefined;

  constructor(ground: Ground, site: Site) {
    this.#ground = ground;
    this.#site = site;
    this.#occupancy = ground.facade.inUse ? new Occupancy(ground.clock) : undefined;
  }

  /** A statement with the limits of the level. */
  gather<Row>(statement: Statement): Promise<QueryResult<Row>> {
    if (this.#gathering !== undefined) return this.#gathering.add(statement);
    const gathering = new Gathering(statement);
    this.#gathering = gathering;
    return this.#travel(gathering);
  }

  /** Does a job when all before it is through; at once where there is nothing. */
  async take<T>(limits: Limits, { here, inside }: Job<T>): Promise<T> {
    this.#gathering = undefined;
    const turn = this.#turns.take();
    if (turn !== undefined) {
      const host = await this.#wait(turn, limits, inside === 'nowhere' ? 'end' : 'guest');
      // It may have ended in the meantime; then the turn is free, or somebody else's.
      if (host?.isActive && inside !== 'nowhere') return inside(host);
      if (host !== undefined) return this.take(limits, { here, inside });
    }
    try {
      return await here();
    } finally {
      this.#turns.leave();
    }
  }

  /** Who has the turn is a library, until it leaves. */
  occupied(occupant: Occupant): void {
    this.#occupancy?.take(occupant);
  }

  vacated(level: Level): void {
    this.#occupancy?.leave(level);
  }

  /** Something runs in the occupant, until the answer is called. */
  began(): () => void {
    return this.#occupancy?.began() ?? NOTHING;
  }

  /** What has the turn has the connection to itself, until the answer is called. */
  lent(to: Exclusive): () => void {
    return this.#occupancy?.lend(to) ?? NOTHING;
  }

  evict(): void {
    this.#occupancy?.evict();
  }

  /** The answer to the first one. It begins a microtask later at the earliest: what is asked for in the same breath comes along. */
  async #travel(gathering: Gathering): Promise<QueryResult<never>> {
    const turn = this.#turns.take();
    let host: Level | undefined;
    try {
      host = await (turn === undefined ? undefined : this.#wait(turn, this.#site.limits, 'guest'));
    } catch (error) {
      gathering.refuseOthers(error);
      throw error;
    } finally {
      if (this.#gathering === gathering) this.#gathering = undefined;
    }
    if (host !== undefined) return gathering.visit((statement) => this.#visit(host, statement));
    if (!gathering.isAlone) return gathering.travel(this.#site, () => this.#turns.leave());
    try {
      this.#site.refuseEnded();
      return await this.#site.bracket.run(gathering.first, this.#site);
    } finally {
      this.#turns.leave();
    }
  }

  #visit(host: Level, statement: Statement): Promise<QueryResult<never>> {
    return host.isActive ? host.isolate<never>(statement, this.#site.limits, 'guest') : this.gather<never>(statement);
  }

  #wait(turn: Promise<void>, limits: Limits, purpose: Purpose): Promise<Level | undefined> {
    const occupancy = this.#occupancy;
    if (occupancy === undefined) return this.#turns.wait(turn, this.#patience<undefined>(limits));
    const { host, over } = occupancy.visit(turn, purpose);
    const patience = this.#patience<Level | undefined>(limits);
    const invited = (level: Level | undefined): Level | undefined => {
      if (level !== undefined) this.#turns.giveUp(turn);
      return level;
    };
    return this.#turns.wait(turn, () => patience(host).then(invited)).finally(over);
  }

  #patience<T>(limits: Limits): (begun: Promise<unknown>) => Promise<T> {
    return (begun) => this.#ground.patience({ begin: () => begun as Promise<T>, wasSent: () => false }, limits);
  }
}

const NOTHING = (): void => undefined;
