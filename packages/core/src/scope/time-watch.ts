import type { Ground } from './ground.ts';
import type { Plan } from './prelude.ts';
import { callerLeft, timeIsUp } from './transaction-errors.ts';

/**
 * The deadline and the caller of a transaction, between its statements: nothing else would notice there that time is
 * up, and the connection would be held for nothing.
 */
export class TimeWatch {
  readonly #ground: Ground;
  readonly #plan: Plan;
  readonly #expire: (error: unknown) => void;
  readonly #over = Promise.withResolvers<void>();

  constructor(ground: Ground, plan: Plan, expire: (error: unknown) => void) {
    this.#ground = ground;
    this.#plan = plan;
    this.#expire = expire;
  }

  start(): void {
    const { limits } = this.#plan;
    if (limits.deadline === undefined && limits.signal === undefined) return;
    const awaited = { begin: () => this.#over.promise, wasSent: () => false };
    this.#ground.patience(awaited, limits).catch(() => this.look());
  }

  stop(): void {
    this.#over.resolve();
  }

  /** Time may have run out while a statement ran: that has a watch of its own. */
  look(trouble?: unknown): void {
    const { limits, name } = this.#plan;
    if (limits.signal?.aborted) this.#expire(trouble ?? callerLeft(name, limits.signal.reason));
    else if (limits.deadline !== undefined && limits.deadline <= this.#ground.clock.now()) {
      this.#expire(trouble ?? timeIsUp(name));
    }
  }
}
