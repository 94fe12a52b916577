import { DeadlineEntry } from '../deadline-wheel.ts';
import type { Ground } from './ground.ts';
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
export class TimeWatch extends DeadlineEntry {
  readonly #ground: Ground;
  readonly #plan: Plan;
  readonly #watched: Watched;
  /** `slack`: the deadline has passed, and the server's word is waited for. */
  #stage: 'off' | 'watching' | 'slack' = 'off';

  constructor(ground: Ground, plan: Plan, watched: Watched) {
    super();
    this.#ground = ground;
    this.#plan = plan;
    this.#watched = watched;
  }

  start(): void {
    const { signal, deadline } = this.#plan.limits;
    if (signal === undefined && deadline === undefined) return;
    this.#stage = 'watching';
    if (signal?.aborted) return queueMicrotask(() => this.handleEvent());
    signal?.addEventListener('abort', this);
    if (deadline !== undefined) this.#ground.wheel.arm(this, deadline);
  }

  stop(): void {
    if (this.#stage === 'off') return;
    this.#stage = 'off';
    this.#plan.limits.signal?.removeEventListener('abort', this);
    this.#ground.wheel.disarm(this);
  }

  /** Time may have run out while a statement ran. */
  look(trouble?: unknown): void {
    const { limits, name } = this.#plan;
    const when = this.#watched.isRunning() ? 'while a statement ran' : 'between two statements';
    if (limits.signal?.aborted) this.#watched.expire(trouble ?? callerLeft(name, when, limits.signal.reason));
    else if (this.#isLate()) this.#watched.expire(trouble ?? timeIsUp(name, when));
  }

  /** The signal's own call. */
  handleEvent(): void {
    if (this.#stage !== 'off') this.look();
  }

  override expire(): void {
    // If the loop was blocked, the answer may lie in the socket: it is read first, and then wins.
    this.#ground.clock.afterInput(() => this.#due());
  }

  #due(): void {
    const { signal, deadline } = this.#plan.limits;
    if (this.#stage === 'off') return;
    if (this.#stage === 'slack' || signal?.aborted || !this.#watched.isRunning()) return this.look();
    this.#stage = 'slack';
    if (deadline !== undefined) this.#ground.wheel.arm(this, deadline + SLACK_MILLIS);
  }

  #isLate(): boolean {
    const { deadline } = this.#plan.limits;
    return deadline !== undefined && deadline <= this.#ground.clock.now();
  }
}
