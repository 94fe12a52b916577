import { LifeguardError } from '../errors.ts';
import type { Work } from './nesting.ts';
import type { OpenTransaction } from './open-transaction.ts';

/** A transaction that is begun and ended by word, as a driver's BEGIN and COMMIT do it, and not by a function. */
export class Opened {
  readonly tx: OpenTransaction;
  readonly #body: PromiseWithResolvers<void>;
  readonly #whole: Promise<void>;
  #state: 'open' | 'ended' | 'evicted' = 'open';

  private constructor(tx: OpenTransaction, body: PromiseWithResolvers<void>, whole: Promise<void>) {
    this.tx = tx;
    this.#body = body;
    this.#whole = whole;
  }

  /** Resolves when it has its turn; `begin` runs a function in a transaction. */
  static begin(begin: (fn: Work<void>) => Promise<void>, leftOpen: (name: string) => void): Promise<Opened> {
    const body = Promise.withResolvers<void>();
    const whole = Promise.withResolvers<void>();
    // Whoever ends it hears of it; one that nobody ends has nobody to tell.
    whole.promise.catch(() => undefined);
    return new Promise((resolve, reject) => {
      begin((tx) => {
        const opened = new Opened(tx as OpenTransaction, body, whole.promise);
        opened.tx.level.occupy((around) => {
          if (opened.isOver) return;
          opened.#evict();
          if (around === 'goes on') leftOpen(tx.name);
        });
        resolve(opened);
        return body.promise;
      }).then(whole.resolve, (error: unknown) => {
        // Where it never began, nobody has it yet.
        reject(error);
        if (error === ASKED) whole.resolve();
        else whole.reject(error);
      });
    });
  }

  get isOver(): boolean {
    return this.#state !== 'open' || this.tx.isOver;
  }

  /** Whether it was ended by word, by whoever has it. */
  get wasEnded(): boolean {
    return this.#state === 'ended';
  }

  /** Resolves when it is true. Where one of its own statements had failed, it was rolled back, as the server would have done. */
  async commit(): Promise<'committed' | 'rolled back'> {
    this.#state = 'ended';
    this.#body.resolve();
    try {
      await this.#whole;
      return 'committed';
    } catch (error) {
      if (this.tx.level.stood === 'failed') return 'rolled back';
      throw error;
    }
  }

  async rollBack(): Promise<void> {
    this.#state = 'ended';
    this.#body.reject(ASKED);
    await this.#whole;
  }

  #evict(): void {
    this.#state = 'evicted';
    const message = `A transaction of a library inside "${this.tx.name}" was still open when the one around it ended, and was rolled back. Await it before the function returns.`;
    this.#body.reject(new LifeguardError('ERR_LIFEGUARD_TRANSACTION_ENDED', message));
  }
}

/** Nothing went wrong. */
const ASKED: unique symbol = Symbol('ROLLBACK');
