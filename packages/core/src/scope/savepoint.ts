import { randomBytes } from 'node:crypto';
import type { Step } from './prelude.ts';
import { formerSettings, formerStatement, type Setting, settingsStatement } from './settings.ts';

/**
 * The savepoint of a nested level, and what is set for it. It is made with the level's first statement. RELEASE would
 * leave its settings to the transaction around it, so what they were before is asked, to be put back.
 */
export class Savepoint {
  readonly name: string;
  readonly #settings: readonly Setting[];
  #state: 'unset' | 'set' | 'unsure' = 'unset';
  #former: readonly Setting[] = [];

  constructor(depth: number, settings: readonly Setting[]) {
    this.name = `${PREFIX}_${depth}`;
    this.#settings = settings;
  }

  get isSet(): boolean {
    return this.#state !== 'unset';
  }

  /** What must be sent before the next statement. */
  opening(): readonly Step[] {
    if (this.#state === 'set') return NONE;
    return this.#state === 'unset' ? this.#making() : this.#setting('set');
  }

  /** The user's own text has gone back to a savepoint of its own: what was set since then is not set any more. */
  returned(): void {
    if (this.#state === 'set' && this.#settings.length > 0) this.#state = 'unsure';
  }

  /** It was rolled back, or let go. */
  gone(): void {
    this.#state = 'unset';
  }

  /** What lets it go. */
  closing(): readonly Step[] {
    const release: Step = { kind: 'release', statement: `RELEASE SAVEPOINT ${this.name}` };
    if (this.#former.length === 0) return [release];
    return [release, { kind: 'settings', statement: settingsStatement(inOrder(this.#former)) }];
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

/** The role first: under the nested one the others may not be allowed. */
function inOrder(former: readonly Setting[]): readonly Setting[] {
  const role = former.filter(({ name }) => name === 'role');
  return [...role, ...former.filter(({ name }) => name !== 'role')];
}

/** A name that no user's own savepoint has; made here and nowhere else, so there is nothing to inject. */
const PREFIX = `lifeguard_${randomBytes(4).toString('hex')}`;
const NONE: readonly Step[] = Object.freeze([]);
