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
  /** Others may depend on its connection: then it is left to run. Absent: it is cancelled. */
  readonly ends?: 'by itself';
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
    return Promise.reject(gaveUp('ERR_LIFEGUARD_ABORTED', 'unsent', limits.signal.reason));
  }
  return new Promise((resolve, reject) => {
    const giveUp = (code: LifeguardErrorCode, cause?: unknown): void =>
      reject(gaveUp(code, awaited.wasSent() ? (awaited.ends ?? 'cancelled') : 'unsent', cause));
    const patience = new Patience(limits, time, giveUp);
    const answered = (answer: T): void => {
      patience.end();
      resolve(answer);
    };
    const failed = (error: unknown): void => {
      patience.end();
      reject(error);
    };
    awaited.begin().then(answered, failed);
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

function gaveUp(code: LifeguardErrorCode, end: keyof typeof ENDS, cause: unknown): LifeguardError {
  const who = code === 'ERR_LIFEGUARD_DEADLINE' ? 'The deadline passed' : 'The caller gave up';
  const consequence = end === 'unsent' ? 'nothing-sent' : 'may-have-run';
  return new LifeguardError(code, `${who} ${ENDS[end]}`, { cause, consequence });
}

const ENDS = {
  unsent: 'before it was the turn of the statement. Nothing of it was sent.',
  cancelled: 'while the statement ran. It is being cancelled, and may have run to its end.',
  'by itself': 'while the statement ran. It shares its connection with others, and runs to its end.',
} as const;
