import { describeFigures, LifeguardError, nameOf, type PoolFigures } from '../errors.ts';

/** The errors of those who get no connection: what happened, the numbers, and what to do about it. */

const UNSENT = { consequence: 'nothing-sent' } as const;

export function timedOut(figures: PoolFigures, { waited, limit, lateMillis, failure }: Wait): LifeguardError {
  const head = `No connection of pool "${figures.pool}" within ${Math.round(waited)} ms (${limit === 'pool' ? 'acquireTimeoutMillis' : "the caller's deadline"})`;
  const late =
    lateMillis > 0
      ? ` The event loop was blocked for about ${Math.round(lateMillis)} ms, so part of the wait is our own process's.`
      : '';
  const message = `${head}; ${describeFigures(figures)}.${late} ${advice(figures, failure)}`;
  const code = limit === 'pool' ? 'ERR_LIFEGUARD_ACQUIRE_TIMEOUT' : 'ERR_LIFEGUARD_DEADLINE';
  return new LifeguardError(code, message, { ...UNSENT, figures, cause: failure });
}

export interface Wait {
  readonly waited: number;
  /** Which limit ended it. */
  readonly limit: 'pool' | 'caller';
  readonly lateMillis: number;
  /** What dials fail with at present. */
  readonly failure: unknown;
}

export function aborted(pool: string, cause: unknown): LifeguardError {
  return new LifeguardError('ERR_LIFEGUARD_ABORTED', `The caller gave up waiting for a connection of pool "${pool}".`, {
    ...UNSENT,
    cause,
  });
}

export function pastDeadline(pool: string): LifeguardError {
  const message = `The caller's deadline had passed before a connection of pool "${pool}" was asked for. Nothing was sent.`;
  return new LifeguardError('ERR_LIFEGUARD_DEADLINE', message, UNSENT);
}

export function lineFull(figures: PoolFigures, retryAfterSeconds: number): LifeguardError {
  const message = `The line of pool "${figures.pool}" is full (maxWaiting); ${describeFigures(figures)}. Answer 503 and let the caller come back; more places in the line would only make everybody later.`;
  return new LifeguardError('ERR_LIFEGUARD_LINE_FULL', message, { ...UNSENT, figures, retryAfterSeconds });
}

export function overloaded(figures: PoolFigures, waited: number, retryAfterSeconds: number): LifeguardError {
  const message = `Pool "${figures.pool}" is overloaded and takes no newcomers (waited ${Math.round(waited)} ms); ${describeFigures(figures)}. Answer 503 with Retry-After: what was begun is finished first.`;
  return new LifeguardError('ERR_LIFEGUARD_OVERLOADED', message, { ...UNSENT, figures, retryAfterSeconds });
}

/** The server cannot be reached, or will not have us. */
export function unavailable(figures: PoolFigures, failure: unknown, permanent: boolean): LifeguardError {
  const todo = permanent
    ? 'This will not mend itself: read the cause.'
    : 'A prober goes on dialling; the cause is attached.';
  const message = `Pool "${figures.pool}" gets no connections (${nameOf(failure)}); ${describeFigures(figures)}. ${todo}`;
  if (permanent) return new LifeguardError('ERR_LIFEGUARD_REJECTED', message, { ...UNSENT, figures, cause: failure });
  return new LifeguardError('ERR_LIFEGUARD_UNAVAILABLE', message, {
    ...UNSENT,
    figures,
    cause: failure,
    retryAfterSeconds: 1,
  });
}

export function poolClosed(pool: string): LifeguardError {
  return new LifeguardError('ERR_LIFEGUARD_POOL_CLOSED', `Pool "${pool}" is closed: close() was called.`, UNSENT);
}

/** A statement that close() has cut off when the grace was over. */
export function closedMeanwhile(pool: string, cause: unknown): LifeguardError {
  const message = `Pool "${pool}" was closed while the statement ran. It was cancelled, and may have run to its end.`;
  return new LifeguardError('ERR_LIFEGUARD_POOL_CLOSED', message, { cause, consequence: 'may-have-run' });
}

export function unknownGroup(pool: string, group: string, known: readonly string[]): LifeguardError {
  const list = known.length === 0 ? 'none is declared' : `declared are ${known.map((name) => `"${name}"`).join(', ')}`;
  const message = `Group "${group}" is not among the groups of pool "${pool}": ${list}. Declare it with createPool({ groups: { … } }).`;
  return new LifeguardError('ERR_LIFEGUARD_ARGUMENT', message, UNSENT);
}

export function notReady(figures: PoolFigures, millis: number, cause: unknown): LifeguardError {
  const why =
    cause === undefined
      ? 'Is the server up, and does it accept this user?'
      : `Dials fail (${nameOf(cause)}): see the cause.`;
  const message = `Pool "${figures.pool}" was not ready within ${millis} ms; ${describeFigures(figures)}. ${why}`;
  const details = { figures, cause, consequence: 'nothing-sent', retryAfterSeconds: 1 } as const;
  return new LifeguardError('ERR_LIFEGUARD_UNAVAILABLE', message, details);
}

function advice({ leased, lanes, tending, idle, connecting, max, size }: PoolFigures, failure: unknown): string {
  if (failure !== undefined) return `New connections fail at present (${nameOf(failure)}, attached as the cause).`;
  if (idle > 0) return 'Connections are idle: the pool is paused, or the group of the caller is at its limit.';
  if (connecting > 0 && leased + lanes === 0) return 'No connection is open yet: the server takes long to accept them.';
  if (leased + lanes >= max)
    return `All are ${lanes > 0 ? 'leased or shared' : 'leased'}: look for what holds them without querying (snapshot().held), then for slow statements; a greater max comes last.`;
  if (tending > 0)
    return 'Connections are being checked, cleaned or interrupted: look for statements that are given up while they run, and for a network that loses answers.';
  return `Of ${size} places some are still being closed by the server.`;
}
