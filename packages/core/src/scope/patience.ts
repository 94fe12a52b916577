import type { Clock } from '../clock.ts';
import { DeadlineEntry, type DeadlineWheel } from '../deadline-wheel.ts';
import { LifeguardError, type LifeguardErrorCode } from '../errors.ts';

/** How long a caller waits for an answer. */
export interface Limits {
  readonly signal: AbortSignal | undefined;
  /** An instant on the pool's clock. */
  readonly deadline: number | undefined;
}

/** What is awaited. */
export interface Awaited<T> {
  begin(): Promise<T>;
  /** Whether the statement was on its way: then nobody knows what became of it. */
  wasSent(): boolean;
}

/** Time as the callers of one pool share it. */
export interface SharedTime {
  readonly wheel: DeadlineWheel;
  readonly clock: Clock;
}

/** The answer, or the reason why the caller no longer waits for it. What was asked goes on until somebody stops it. */
export function withPatience<T>(awaited: Awaited<T>, limits: Limits, time: SharedTime): Promise<T> {
  if (limits.signal === undefined && limits.deadline === undefined) return awaited.begin();
  // Nothing is begun for a caller who has gone: it could not be taken back.
  if (limits.signal?.aborted === true) {
    return Promise.reject(gaveUp('ERR_LIFEGUARD_ABORTED', false, limits.signal.reason));
  }
  return new Promise((resolve, reject) => {
    const giveUp = (code: LifeguardErrorCode, cause?: unknown): void => reject(gaveUp(code, awaited.wasSent(), cause));
    const patience = new Patience(limits, time, giveUp);
    awaited
      .begin()
      .then(resolve, reject)
      .finally(() => patience.end());
  });
}

class Patience extends DeadlineEntry {
  readonly #limits: Limits;
  readonly #time: SharedTime;
  readonly #giveUp: (code: LifeguardErrorCode, cause?: unknown) => void;

  constructor(limits: Limits, time: SharedTime, giveUp: (code: LifeguardErrorCode, cause?: unknown) => void) {
    super();
    this.#limits = limits;
    this.#time = time;
    this.#giveUp = giveUp;
    limits.signal?.addEventListener('abort', this);
    if (limits.deadline !== undefined) time.wheel.arm(this, limits.deadline);
  }

  /** The signal's own call. */
  handleEvent(): void {
    this.#giveUp('ERR_LIFEGUARD_ABORTED', this.#limits.signal?.reason);
  }

  override expire(): void {
    // If the loop was blocked, the answer may lie in the socket: it is read first, and then wins.
    this.#time.clock.afterInput(() => this.#giveUp('ERR_LIFEGUARD_DEADLINE'));
  }

  end(): void {
    this.#limits.signal?.removeEventListener('abort', this);
    this.#time.wheel.disarm(this);
  }
}

function gaveUp(code: LifeguardErrorCode, wasSent: boolean, cause: unknown): LifeguardError {
  const who = code === 'ERR_LIFEGUARD_DEADLINE' ? 'The deadline passed' : 'The caller gave up';
  const what = wasSent
    ? 'while the statement ran. It is being cancelled, and may have run to its end.'
    : 'before it was the turn of the statement. Nothing of it was sent.';
  return new LifeguardError(code, `${who} ${what}`, { cause, consequence: wasSent ? 'may-have-run' : 'nothing-sent' });
}
