import type { Clock } from '../clock.ts';
import type { Limits } from './patience.ts';

/** For how long a unit of work may go on, as its caller says it. */
export interface TimeOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMillis?: number | undefined;
  /** An instant of the wall clock. */
  readonly deadline?: Date | number | undefined;
}

export const NO_LIMITS: Limits = Object.freeze({ signal: undefined, deadline: undefined });

/** The limits of something inside a unit of work: whichever comes first. */
export function within(outer: Limits, inner: TimeOptions, clock: Clock): Limits {
  const own = instantOf(inner, clock);
  if (own === undefined && inner.signal === undefined) return outer;
  const deadline = earlier(outer.deadline, own);
  const signal =
    outer.signal === undefined || inner.signal === undefined || outer.signal === inner.signal
      ? (inner.signal ?? outer.signal)
      : AbortSignal.any([outer.signal, inner.signal]);
  return { signal, deadline };
}

/** For what the house does on its own account. */
export function houseLimits(clock: Clock): Limits {
  return { signal: undefined, deadline: clock.now() + HOUSE_MILLIS };
}

const HOUSE_MILLIS = 2_000;

/** What is left of it; Infinity where there is no deadline. */
export function remaining({ deadline }: Limits, clock: Clock): number {
  return deadline === undefined ? Number.POSITIVE_INFINITY : Math.max(0, deadline - clock.now());
}

/** An instant on the pool's clock, which a changed wall clock does not move. */
function instantOf(given: TimeOptions, clock: Clock): number | undefined {
  const { timeoutMillis } = given;
  // Of a call that knows no deadline one may come from a polluted prototype.
  const deadline = Object.hasOwn(given, 'deadline') ? given.deadline : undefined;
  const byTime = timeoutMillis === undefined ? undefined : clock.now() + timeoutMillis;
  const byInstant = deadline === undefined ? undefined : clock.now() + (Number(deadline) - clock.wall());
  return earlier(byTime, byInstant);
}

export function earlier(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return Math.min(a, b);
}
