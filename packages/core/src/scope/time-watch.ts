import type { Ground } from './ground.ts';
import type { Limits } from './patience.ts';
import type { Plan } from './prelude.ts';
import { SLACK_MILLIS } from './silence.ts';
import { callerLeft, timeIsUp } from './transaction-errors.ts';

/** What the watch must know of the transaction, and what it does to it. */
interface Watched {
  isRunning(): boolean;
  expire(error: unknown): void;
}

/**
 * The deadline and the caller of a transaction: one watch for all its statements, and for the time between them, when
 * nothing else would notice that the connection is held for nothing. A statement that runs at the deadline was given the
 * same limit by the server, whose word is waited for a moment longer.
 */
export class TimeWatch {
  readonly #ground: Ground;
  readonly #plan: Plan;
  readonly #watched: Watched;
  readonly #over = Promise.withResolvers<void>();

  constructor(ground: Ground, plan: Plan, watched: Watched) {
    this.#ground = ground;
    this.#plan = plan;
    this.#watched = watched;
  }

  start(): void {
    const { limits } = this.#plan;
    if (limits.deadline !== undefined || limits.signal !== undefined) this.#watch(limits);
  }

  stop(): void {
    this.#over.resolve();
  }

  /** Time may have run out while a statement ran. */
  look(trouble?: unknown): void {
    const { limits, name } = this.#plan;
    const when = this.#watched.isRunning() ? 'while a statement ran' : 'between two statements';
    if (limits.signal?.aborted) this.#watched.expire(trouble ?? callerLeft(name, when, limits.signal.reason));
    else if (this.#isLate()) this.#watched.expire(trouble ?? timeIsUp(name, when));
  }

  #watch(limits: Limits): void {
    this.#ground
      .patience({ begin: () => this.#over.promise, wasSent: () => false }, limits)
      .catch(() => this.#due(limits));
  }

  #due({ signal, deadline }: Limits): void {
    const isFirst = deadline === this.#plan.limits.deadline;
    if (signal?.aborted || deadline === undefined || !isFirst || !this.#watched.isRunning()) return this.look();
    this.#watch({ signal, deadline: deadline + SLACK_MILLIS });
  }

  #isLate(): boolean {
    const { deadline } = this.#plan.limits;
    return deadline !== undefined && deadline <= this.#ground.clock.now();
  }
}
