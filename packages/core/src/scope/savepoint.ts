import { randomBytes } from 'node:crypto';
import type { Step } from './prelude.ts';
import {
  backStatement,
  formerSettings,
  formerStatement,
  guessedStatement,
  type Setting,
  settingsStatement,
} from './settings.ts';

/**
 * The savepoint of a nested level, and what is set for it. It is made with the level's first statement. RELEASE would
 * leave its settings to the transaction around it, so what they were before is asked, to be put back.
 */
export class Savepoint {
  readonly name: string;
  readonly #settings: readonly Setting[];
  #state: 'unset' | 'set' | 'unsure' = 'unset';
  #former: readonly Setting[] = [];
  /** What statements of a library set in it, by name, and what that was before. */
  readonly #borrowed = new Map<string, string | undefined>();

  constructor(depth: number, settings: readonly Setting[]) {
    this.name = `${PREFIX}_${depth}`;
    this.#settings = settings;
  }

  get isSet(): boolean {
    return this.#state !== 'unset';
  }

  /** What must be sent before the next statement. */
  opening(): readonly Step[] {
    const asking = this.#asking();
    if (this.#state === 'set') return asking;
    return [...(this.#state === 'unset' ? this.#making() : this.#setting('set')), ...asking];
  }

  /** The next statement sets these until the end of the transaction, and they are to end with the savepoint. */
  borrow(names: readonly string[]): void {
    for (const name of names) if (!this.#borrowed.has(name)) this.#borrowed.set(name, undefined);
  }

  /** The user's own text has gone back to a savepoint of its own: what was set since then is not set any more. */
  returned(): void {
    if (this.#state === 'set' && this.#settings.length > 0) this.#state = 'unsure';
  }

  /** It was rolled back, or let go. */
  gone(): void {
    this.#state = 'unset';
  }

  /** What lets it go. `declared` holds around it, and what a library did unseen must not outlast its own part. */
  closing(declared: readonly Setting[]): readonly Step[] {
    const steps: Step[] = [{ kind: 'release', statement: `RELEASE SAVEPOINT ${this.name}` }];
    const borrowed = [...this.#borrowed].flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]));
    if (borrowed.length > 0) steps.push({ kind: 'settings', statement: backStatement(inOrder(borrowed)) });
    if (declared.length > 0) steps.push({ kind: 'settings', statement: settingsStatement(inOrder(declared)) });
    if (this.#former.length > 0) steps.push({ kind: 'settings', statement: settingsStatement(inOrder(this.#former)) });
    return steps;
  }

  #asking(): readonly Step[] {
    const unknown = [...this.#borrowed].flatMap(([name, value]) => (value === undefined ? [{ name, value: '' }] : []));
    if (unknown.length === 0) return NONE;
    const done: Step['done'] = ({ rows }) => {
      for (const [index, { name, value }] of formerSettings(unknown, rows[0] ?? {}).entries()) {
        // No setting, or one that must not be looked at: then it cannot be set either.
        if ((rows[0]?.[`s${index}`] ?? null) === null && !name.includes('.')) this.#borrowed.delete(name);
        else this.#borrowed.set(name, value);
      }
    };
    return [{ kind: 'settings', statement: guessedStatement(unknown), done }];
  }

  #making(): readonly Step[] {
    const made = (): void => {
      this.#state = 'set';
    };
    const savepoint: Step = { kind: 'savepoint', statement: `SAVEPOINT ${this.name}`, done: made };
    if (this.#settings.length === 0) return [savepoint];
    const former: Step = {
      kind: 'settings',
      statement: formerStatement(this.#settings),
      done: ({ rows }) => {
        this.#former = formerSettings(this.#settings, rows[0] ?? {});
      },
    };
    return [savepoint, former, ...this.#setting('set')];
  }

  #setting(then: 'set'): readonly Step[] {
    const done = (): void => {
      this.#state = then;
    };
    return [{ kind: 'settings', statement: settingsStatement(this.#settings), done }];
  }
}

/** What undoes all since a savepoint was set, and lets it go. */
export function backTo(name: string): readonly Step[] {
  const texts = [`ROLLBACK TO SAVEPOINT ${name}`, `RELEASE SAVEPOINT ${name}`];
  return texts.map((statement) => ({ kind: 'savepoint', statement }));
}

/** Who it is comes first: as the nested one, the others may not be allowed. */
export function inOrder(former: readonly Setting[]): readonly Setting[] {
  const rank = ({ name }: Setting): number => (name === 'session_authorization' ? 0 : name === 'role' ? 1 : 2);
  return former.toSorted((one, other) => rank(one) - rank(other));
}

/** A name that no user's own savepoint has; made here and nowhere else, so there is nothing to inject. */
export const PREFIX: string = `lifeguard_${randomBytes(4).toString('hex')}`;
/** Of a savepoint that is for one statement alone. */
export const FENCE: string = `${PREFIX}_s`;
const NONE: readonly Step[] = Object.freeze([]);
