import { LifeguardError } from '../errors.ts';

export type Hook = () => unknown;

/** What is to be called when it is known what became of a level of a transaction: after the connection has gone back. */
export class Hooks {
  readonly #afterCommit: Hook[] = [];
  readonly #afterRollback: Hook[] = [];

  get isEmpty(): boolean {
    return this.#afterCommit.length === 0 && this.#afterRollback.length === 0;
  }

  add(when: 'commit' | 'rollback', hook: Hook): void {
    if (typeof hook !== 'function') {
      const message = `afterCommit and afterRollback take a function, not ${typeof hook}.`;
      throw new LifeguardError('ERR_LIFEGUARD_ARGUMENT', message);
    }
    (when === 'commit' ? this.#afterCommit : this.#afterRollback).push(hook);
  }

  /** A nested level has ended well: what becomes of it is decided with the level around it. */
  adopt(nested: Hooks): void {
    for (const hook of nested.#afterCommit) this.#afterCommit.push(hook);
    for (const hook of nested.#afterRollback) this.#afterRollback.push(hook);
  }

  /** A nested level was rolled back: that is so whatever becomes of the level around it. */
  settle(nested: Hooks): void {
    for (const hook of nested.#afterRollback) this.#afterCommit.push(hook);
    for (const hook of nested.#afterRollback) this.#afterRollback.push(hook);
  }

  /** One after the other. One that throws does not keep the others from running, nor change what has happened. */
  async run(outcome: 'commit' | 'rollback', failed: (error: unknown) => void): Promise<void> {
    for (const hook of outcome === 'commit' ? this.#afterCommit : this.#afterRollback) {
      try {
        await hook();
      } catch (error) {
        failed(error);
      }
    }
  }
}
