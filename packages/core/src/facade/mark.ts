import type { OpenTransaction } from '../scope/open-transaction.ts';
import type { Opened } from '../scope/opened.ts';
import type { Scope } from '../scope/scope.ts';

/** A call of a library that was marked as one whole: what is asked for inside belongs to the transaction that it begins. */
export class Mark {
  #state: 'running' | 'over' = 'running';
  #opened: Opened | undefined = undefined;
  readonly #around: Mark | undefined;

  constructor(around: Mark | undefined) {
    this.#around = around;
  }

  get isOver(): boolean {
    return this.#state === 'over';
  }

  end(): void {
    this.#state = 'over';
    this.#opened = undefined;
  }

  /** The first transaction that is begun in it is the one; those inside are its nested ones. */
  claim(opened: Opened): void {
    if (this.#opened === undefined || this.#opened.wasEnded) this.#opened = opened;
  }

  /** The library's transaction, where it is one of this scope. */
  of(scope: Scope): OpenTransaction | undefined {
    const opened = this.#opened;
    if (opened === undefined || opened.wasEnded) return this.#around?.of(scope);
    return opened.tx.scope === scope ? opened.tx : undefined;
  }

  /** The library's transaction, where it is a part of that one, and not the other way round. */
  inside(current: OpenTransaction): OpenTransaction | undefined {
    const opened = this.#opened;
    // One that was put out is over for all that still runs in it.
    if (opened === undefined || opened.wasEnded) return this.#around?.inside(current);
    const { tx } = opened;
    return tx.level.bracket === current.level.bracket && tx.depth > current.depth ? tx : undefined;
  }
}
