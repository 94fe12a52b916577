import type { QueryResult, Statement } from '../pg/statement.ts';
import { Gathering } from './gathering.ts';
import type { Ground } from './ground.ts';
import type { Level } from './level.ts';
import {
  A_SECOND,
  type Exclusive,
  FIVE_SECONDS,
  Occupancy,
  type Occupant,
  type Purpose,
  purposeOf,
} from './occupancy.ts';
import type { Limits } from './patience.ts';
import { Turns } from './turns.ts';

/** A piece of work that needs the turn, and how it is done inside a level that has the turn meanwhile. */
export interface Job<T> {
  readonly here: () => Promise<T>;
  /** By a host that welcomes such visitors. */
  readonly inside: Inside<T>;
  /** Of the level that it was asked of; undefined where that is this one. */
  readonly guestOf?: Level | undefined;
  /** A statement of whoever holds the level open. */
  readonly isOwner?: boolean | undefined;
  /** It lasts, and most of the time nothing runs in it. */
  readonly isNested?: boolean;
}

export type Inside<T> =
  | { readonly purpose: 'reads' | 'writes'; readonly visit: (host: Level) => Promise<T> }
  /** It needs the turn itself, or ends everything. */
  | { readonly purpose: 'turn' | 'end' };

/** A statement: how it is done with the turn, and for whom. */
export interface Asked<Row> {
  readonly here: () => Promise<QueryResult<Row>>;
  readonly guestOf?: Level | undefined;
  readonly isOwner?: boolean | undefined;
}

export const FOR_THE_TURN = { purpose: 'turn' } as const;
export const AT_THE_END = { purpose: 'end' } as const;

/** What is asked of a level, in the order in which it was asked for: one thing at a time, and statements together. */
export class Intake {
  readonly #ground: Ground;
  readonly #site: Level;
  readonly #turns = new Turns();
  /** Where no library can have the turn, nobody looks for one. */
  #occupancy: Occupancy | undefined = undefined;
  /** The one that is last in the order: it takes in what is asked for next, until something else is. */
  #gathering: Gathering | undefined = undefined;

  constructor(ground: Ground, site: Level) {
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

  /** Does a job of the level's, or of a guest in it, unless that has ended. */
  async perform<T>(limits: Limits, { here, inside, guestOf, isOwner, isNested = false }: Job<T>): Promise<T> {
    const { bracket, visits } = this.#site;
    const refuse = (): void => {
      if (guestOf !== undefined && !this.#site.isActive) throw GONE;
      this.#site.refuseEnded();
    };
    const run = (): Promise<T> => (isNested ? here() : visits.noisily(here));
    const job = (): Promise<T> => {
      refuse();
      if (guestOf === undefined) return run();
      const before = bracket.writes;
      // Before the turn is left: who comes next may undo it.
      const served = (value: T): T => {
        if (bracket.writes > before) visits.serve(guestOf.visits);
        return value;
      };
      return run().then(served);
    };
    refuse();
    return this.take(limits, { here: job, inside, isOwner });
  }

  /** Does a job when all before it is through; at once where there is nothing. */
  async take<T>(limits: Limits, { here, inside, isOwner }: Job<T>): Promise<T> {
    this.#gathering = undefined;
    const turn = this.#turns.take();
    if (turn !== undefined) {
      const host = await this.#wait(turn, limits, {
        purpose: () => inside.purpose,
        looks: this.#looksFor(inside.purpose, isOwner),
      });
      // It may have ended in the meantime; then the turn is free, or somebody else's.
      if (host !== undefined && 'visit' in inside) {
        const visited = await visit(host, inside.visit);
        return visited === GONE ? this.take(limits, { here, inside, isOwner }) : visited;
      }
    }
    try {
      return await here();
    } finally {
      this.#turns.leave();
    }
  }

  /** Who has the turn is a library, until it leaves. */
  occupied(occupant: Occupant): void {
    this.#watchful().take(occupant);
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
    return this.#ground.facade.inUse ? this.#watchful().lend(to) : NOTHING;
  }

  evict(): void {
    this.#occupancy?.evict();
  }

  /** The answer to the first one. It begins a microtask later at the earliest: what is asked for in the same breath comes along. */
  async #travel(gathering: Gathering): Promise<QueryResult<never>> {
    const turn = this.#turns.take();
    let host: Level | undefined;
    try {
      host = await (turn === undefined
        ? undefined
        : this.#wait(turn, this.#site.limits, {
            purpose: () => purposeOf(this.#ground.server, gathering.statements),
            looks: this.#looksFor('reads', true),
          }));
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
    const isolate = (level: Level): Promise<QueryResult<never>> =>
      level.isolate<never>(statement, this.#site.limits, this.#site);
    return visit(host, isolate).then((visited) => (visited === GONE ? this.gather<never>(statement) : visited));
  }

  #wait(turn: Promise<void>, limits: Limits, wish: Parameters<Occupancy['visit']>[1]): Promise<Level | undefined> {
    const occupancy = this.#ground.facade.inUse ? this.#watchful() : undefined;
    if (occupancy === undefined) return this.#turns.wait(turn, this.#patience<undefined>(limits));
    const { host, over } = occupancy.visit(turn, wish);
    const patience = this.#patience<Level | undefined>(limits);
    const invited = (level: Level | undefined): Level | undefined => {
      if (level !== undefined) this.#turns.giveUp(turn);
      return level;
    };
    return this.#turns.wait(turn, () => patience(host).then(invited)).finally(over);
  }

  /** What a library ends by its own word may have guests, who are not left behind. */
  #looksFor(purpose: Purpose, isOwner: boolean | undefined): number {
    // Of what is rolled back nothing remains, whatever its guests do.
    if (!this.#site.visits.isOpen || !this.#site.isActive) return 1;
    return purpose === 'end' ? FIVE_SECONDS : isOwner ? A_SECOND : 1;
  }

  #watchful(): Occupancy {
    this.#occupancy ??= new Occupancy(this.#ground.clock);
    return this.#occupancy;
  }

  #patience<T>(limits: Limits): (begun: Promise<unknown>) => Promise<T> {
    return (begun) => this.#ground.patience({ begin: () => begun as Promise<T>, wasSent: () => false }, limits);
  }
}

/** As a guest; where the host has ended before the guest's turn in it came, nothing was done. */
async function visit<T>(host: Level, job: (host: Level) => Promise<T>): Promise<T | typeof GONE> {
  try {
    return host.isActive ? await job(host) : GONE;
  } catch (error) {
    if (error === GONE) return GONE;
    throw error;
  }
}

/** Thrown for a guest whose host has ended: it is not his affair. */
export const GONE: unique symbol = Symbol('the host has ended');
const NOTHING = (): void => undefined;
