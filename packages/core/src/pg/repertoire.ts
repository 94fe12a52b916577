import { failureOf } from './failure.ts';
import type { PgWire } from './pg-subset.ts';
import type { Script, Scripts } from './scripts.ts';
import type { Shape } from './shape.ts';
import { codeOf } from './sqlstate.ts';
import type { Statement } from './statement.ts';

/** What the server has told of a prepared statement. */
export interface Definition {
  shape: Shape | 'unknown' | 'asked';
}

/** A prepared statement of one connection. */
export interface Prepared {
  readonly name: string;
  readonly text: string;
  /** Who gave the name; `pg`: what has it was prepared by pg itself, for a submittable of the user's. */
  readonly by: 'us' | 'user' | 'pg';
  /**
   * `asked`: the server has been sent it, and will have it when it comes to what is sent next. `outdated`: it has it, or may
   * have it, and it is parsed anew when it is used again.
   */
  state: 'unsent' | 'asked' | 'parsed' | 'outdated';
  /** Made anew each time that it is parsed: what is under way keeps that which it was sent with. */
  definition: Definition;
  /** Statements that are taken away before it is parsed: what has its name perhaps, and what makes room for it. */
  closes: readonly string[];
  /** The sweep before which it was used last. */
  sweep: number;
}

/** The prepared statements of one connection: those that we named ourselves are bounded in number. */
export class Repertoire {
  readonly #wire: PgWire;
  readonly #scripts: Scripts;
  readonly #all = new Map<string, Prepared>();
  /** Names of users, of what the server still has and that is not to be used any more. */
  readonly #stale = new Set<string>();
  /** Names of ours that were to be taken away, and were not. */
  readonly #leftOver: string[] = [];
  #sweep = 0;
  /** Since the last sweep. */
  #added = 0;

  constructor(wire: PgWire, scripts: Scripts) {
    this.#wire = wire;
    this.#scripts = scripts;
  }

  /** Undefined for one that is not prepared. Throws where a name means another text already. */
  of({ name, text }: Statement, script: Script): Prepared | undefined {
    if (name !== undefined) return this.#named(name, text);
    const own = this.#scripts.nameOf(script);
    const prepared = own === undefined ? undefined : this.#find(own, text, 'us');
    // A user may have taken the name for another one.
    return prepared?.text === text ? prepared : undefined;
  }

  /** It is not there, or not to be used any more. Harmless for one that another has taken the place of. */
  forget(prepared: Prepared): void {
    if (prepared.by === 'us') return this.#outdate(prepared);
    if (this.#all.get(prepared.name) === prepared) this.#all.delete(prepared.name);
    delete this.#wire.parsedStatements[prepared.name];
    const mayBeThere = prepared.state === 'parsed' || prepared.closes.length > 0;
    if (prepared.by === 'user' && mayBeThere) this.#stale.add(prepared.name);
  }

  /**
   * Whether an error before anything ran may be due to how it was prepared: the plan is out of date, the statement was
   * taken away, or its parameters have the types of columns as they were. Then it is not used any more.
   */
  outdates(prepared: Prepared, error: unknown): boolean {
    if (error === undefined) return false;
    const isStale = failureOf(error, { phase: 'statement' }).retry === 'stale-plan';
    if (!isStale && !(prepared.by === 'us' && /^(22|42)/.test(codeOf(error) ?? ''))) return false;
    this.forget(prepared);
    return true;
  }

  /** A flight was not sent: those that it was to prepare are not on their way. */
  dropUnsent(): void {
    for (const { state, name, by, closes } of this.#all.values()) {
      if (state !== 'unsent') continue;
      this.#all.delete(name);
      if (by === 'us') this.#leftOver.push(...closes);
      else if (closes.length > 0) this.#stale.add(name);
    }
  }

  /** Nobody knows any more what the session has, or what it means there. Of users' names pg's own account is believed. */
  clear(): void {
    for (const prepared of this.#all.values()) {
      // Whoever was given one that is not sent yet goes on with it; those who come now begin anew.
      if (prepared.by !== 'us' || prepared.state === 'unsent') this.#all.delete(prepared.name);
      else this.#outdate(prepared);
    }
  }

  #outdate(prepared: Prepared): void {
    if (prepared.state === 'unsent') return;
    // It was skipped, and what was to go before it too.
    if (prepared.state === 'asked') this.#leftOver.push(...prepared.closes.slice(1));
    prepared.state = 'outdated';
    prepared.closes = [prepared.name];
  }

  /** pg keeps account of users' names too, for what it sends itself. */
  #named(name: string, text: string): Prepared {
    const elsewhere = this.#wire.parsedStatements[name];
    const prepared = this.#find(name, text, elsewhere === undefined ? 'user' : 'pg');
    if (prepared.text !== text || (elsewhere !== undefined && elsewhere !== text)) {
      throw new Error(`Prepared statements must be unique: "${name}" has another text`);
    }
    if (prepared.by === 'pg') prepared.state = 'parsed';
    return prepared;
  }

  #find(name: string, text: string, by: Prepared['by']): Prepared {
    const known = this.#all.get(name);
    // One that is out of date stays with those who were given it: what they rely on must not change under them.
    if (known !== undefined && known.state !== 'outdated') {
      known.sweep = this.#sweep;
      return known;
    }
    // One of ours that was forgotten may still be there.
    const closes = by === 'us' ? [name, ...this.#trimmed(), ...this.#leftBehind()] : this.#staleOf(name);
    const prepared: Prepared = {
      name,
      text,
      by,
      state: 'unsent',
      definition: { shape: 'unknown' },
      closes,
      sweep: this.#sweep,
    };
    this.#all.set(name, prepared);
    this.#added += 1;
    return prepared;
  }

  /** What has come back under its name meanwhile is to stay. */
  #leftBehind(): readonly string[] {
    return this.#leftOver.splice(0).filter((name) => !this.#all.has(name));
  }

  #staleOf(name: string): readonly string[] {
    return this.#stale.delete(name) ? [name] : NONE;
  }

  /** Where there are too many of ours, those go that were not used for long, and then the oldest. */
  #trimmed(): readonly string[] {
    if (this.#added < MOST / 2 || this.#all.size < MOST) return [];
    const ours = [...this.#all.values()].filter(({ by, state }) => by === 'us' && state !== 'asked');
    const unused = ours.filter(({ sweep }) => sweep < this.#sweep);
    const used = ours.filter(({ sweep }) => sweep === this.#sweep);
    const gone = [...unused, ...used.slice(0, Math.max(0, used.length - MOST))].map(({ name }) => name);
    for (const name of gone) this.#all.delete(name);
    this.#sweep += 1;
    this.#added = 0;
    return gone;
  }
}

const NONE: readonly string[] = Object.freeze([]);
/** Each costs the server some kilobytes and up to a hundred: https://www.postgresql.org/docs/current/sql-prepare.html */
const MOST = 200;
