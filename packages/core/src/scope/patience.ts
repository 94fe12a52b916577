import type { Clock } from '../clock.ts';
import { DeadlineEntry, type DeadlineWheel } from '../deadline-wheel.ts';
import { LifeguardError } from '../errors.ts';

/** How long a caller waits for an answer. */
export interface Limits {
  readonly signal: AbortSignal | undefined;
  /** An instant on the pool's clock. */
  readonly deadline: number | undefined;
}

/** The answer, or the reason why the caller no longer waits for it. What was asked goes on until somebody stops it. */
export function withPatience<T>(
  answer: Promise<T>,
  limits: Limits,
  time: { wheel: DeadlineWheel; clock: Clock },
): Promise<T> {
  if (limits.signal === undefined && limits.deadline === undefined) return answer;
  return new Promise((resolve, reject) => {
    const patience = new Patience(limits, time, reject);
    answer.then(resolve, reject).finally(() => patience.end());
  });
}

class Patience extends DeadlineEntry {
  readonly #limits: Limits;
  readonly #time: { readonly wheel: DeadlineWheel; readonly clock: Clock };
  readonly #reject: (error: unknown) => void;

  constructor(limits: Limits, time: { wheel: DeadlineWheel; clock: Clock }, reject: (error: unknown) => void) {
    super();
    this.#limits = limits;
    this.#time = time;
    this.#reject = reject;
    limits.signal?.addEventListener('abort', this);
    if (limits.signal?.aborted === true) this.handleEvent();
    if (limits.deadline !== undefined) time.wheel.arm(this, limits.deadline);
  }

  /** The signal's own call. */
  handleEvent(): void {
    const message = 'The caller gave up while its statement ran. It is being cancelled, and may have run to its end.';
    this.#reject(
      new LifeguardError('ERR_LIFEGUARD_ABORTED', message, {
        cause: this.#limits.signal?.reason,
        consequence: 'may-have-run',
      }),
    );
  }

  override expire(): void {
    // If the loop was blocked, the answer may lie in the socket: it is read first, and then wins.
    this.#time.clock.afterInput(() => {
      const message =
        'The deadline passed while the statement ran. It is being cancelled, and may have run to its end.';
      this.#reject(new LifeguardError('ERR_LIFEGUARD_DEADLINE', message, { consequence: 'may-have-run' }));
    });
  }

  end(): void {
    this.#limits.signal?.removeEventListener('abort', this);
    this.#time.wheel.disarm(this);
  }
}
