import { failureOf } from './failure.ts';
import type { PgWire } from './pg-subset.ts';
import type { Script, Scripts } from './scripts.ts';
import type { Shape } from './shape.ts';
import type { Statement } from './statement.ts';

/** A prepared statement of one connection. */
export interface Prepared {
  readonly name: string;
  readonly text: string;
  /** Who gave the name decides who may take the statement away. */
  readonly by: 'us' | 'user';
  /** `asked`: the server has been sent it, and will have it when it comes to what is sent next. */
  state: 'unsent' | 'asked' | 'parsed';
  shape: Shape | 'unknown' | 'asked';
  /** Statements that are taken away before it is parsed: what has its name perhaps, and what makes room for it. */
  readonly closes: readonly string[];
  /** The sweep before which it was used last. */
  sweep: number;
}

/** The prepared statements of one connection: those that we named ourselves are bounded in number. */
export class Repertoire {
  readonly #wire: PgWire;
  readonly #scripts: Scripts;
  readonly #all = new Map<string, Prepared>();
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
    return own === undefined ? undefined : this.#find(own, text, 'us');
  }

  /** It is not there, or not to be used any more. Harmless for one that another has taken the place of. */
  forget(prepared: Prepared): void {
    if (this.#all.get(prepared.name) === prepared) this.#all.delete(prepared.name);
    if (prepared.by === 'user') delete this.#wire.parsedStatements[prepared.name];
  }

  /** Whether an error says that the plan is out of date, or the statement was taken away: it is not used any more then. */
  outdates(prepared: Prepared, error: unknown): boolean {
    if (error === undefined || failureOf(error, { phase: 'statement' }).retry !== 'stale-plan') return false;
    this.forget(prepared);
    return true;
  }

  /** A flight was not sent: those that it was to prepare are not on their way. */
  dropUnsent(): void {
    for (const prepared of this.#all.values()) if (prepared.state === 'unsent') this.#all.delete(prepared.name);
  }

  /** Nobody knows any more what the session has. */
  clear(): void {
    this.#all.clear();
  }

  /** pg keeps account of users' names too, for what it sends itself. */
  #named(name: string, text: string): Prepared {
    const elsewhere = this.#wire.parsedStatements[name];
    const prepared = this.#find(name, text, 'user');
    if (prepared.text !== text || (elsewhere !== undefined && elsewhere !== text)) {
      throw new Error(`Prepared statements must be unique: "${name}" has another text`);
    }
    if (elsewhere !== undefined) prepared.state = 'parsed';
    return prepared;
  }

  #find(name: string, text: string, by: Prepared['by']): Prepared {
    const known = this.#all.get(name);
    if (known !== undefined) {
      known.sweep = this.#sweep;
      return known;
    }
    // One of ours that was forgotten may still be there.
    const closes = by === 'us' ? [name, ...this.#trimmed()] : [];
    const prepared: Prepared = { name, text, by, state: 'unsent', shape: 'unknown', closes, sweep: this.#sweep };
    this.#all.set(name, prepared);
    this.#added += 1;
    return prepared;
  }

  /** Where there are too many of ours, those go that were not used for long, and then the oldest. */
  #trimmed(): readonly string[] {
    if (this.#added < MOST / 2 || this.#all.size < MOST) return [];
    const ours = [...this.#all.values()].filter(({ by, state }) => by === 'us' && state === 'parsed');
    const unused = ours.filter(({ sweep }) => sweep < this.#sweep);
    const used = ours.filter(({ sweep }) => sweep === this.#sweep);
    const gone = [...unused, ...used.slice(0, Math.max(0, used.length - MOST))].map(({ name }) => name);
    for (const name of gone) this.#all.delete(name);
    this.#sweep += 1;
    this.#added = 0;
    return gone;
  }
}

/** Each costs the server some kilobytes and up to a hundred: https://www.postgresql.org/docs/current/sql-prepare.html */
const MOST = 200;
