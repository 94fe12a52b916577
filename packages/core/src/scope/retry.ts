import { LifeguardError } from '../errors.ts';

/** How often the whole unit of work is tried again, and what for. */
export interface RetryOptions {
  /** Attempts in all, the first one included. */
  readonly attempts?: number | undefined;
  /** The pause before the nth retry is random, between 0 and `baseMillis × 2ⁿ⁻¹`, at most `maxMillis`. */
  readonly backoff?: { readonly baseMillis?: number | undefined; readonly maxMillis?: number | undefined } | undefined;
  /** SQLSTATEs to retry beside serialization failures and deadlocks: `['55P03']`. */
  readonly on?: readonly string[] | undefined;
}

export interface RetryPolicy {
  readonly attempts: number;
  readonly baseMillis: number;
  readonly maxMillis: number;
  readonly on: ReadonlySet<string>;
}

export const DEFAULT_RETRY: RetryPolicy = Object.freeze({
  attempts: 10,
  baseMillis: 10,
  maxMillis: 1_000,
  on: new Set<string>(),
});

export function readRetry(given: unknown, mayBeAsked: (code: string) => boolean): RetryPolicy {
  if (given === undefined) return DEFAULT_RETRY;
  if (given === false) return { ...DEFAULT_RETRY, attempts: 1 };
  if (typeof given === 'number') return { ...DEFAULT_RETRY, attempts: checkedCount('retry', given, 0) + 1 };
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    refuse(`retry must be false, a number of retries or an object, not ${String(given)}`);
  const {
    attempts = DEFAULT_RETRY.attempts,
    backoff = {},
    on = [],
  } = known<RetryOptions>(given, ['attempts', 'backoff', 'on']);
  if (typeof backoff !== 'object' || backoff === null || Array.isArray(backoff))
    refuse('retry.backoff must be { baseMillis, maxMillis }');
  const { baseMillis = DEFAULT_RETRY.baseMillis, maxMillis = DEFAULT_RETRY.maxMillis } = known<
    NonNullable<RetryOptions['backoff']>
  >(backoff, ['baseMillis', 'maxMillis']);
  checkedMillis('retry.backoff.baseMillis', baseMillis);
  checkedMillis('retry.backoff.maxMillis', maxMillis);
  if (!Array.isArray(on)) refuse('retry.on must be an array of SQLSTATEs');
  for (const code of on as readonly unknown[]) {
    if (typeof code !== 'string' || !mayBeAsked(code))
      refuse(`retry.on cannot hold ${JSON.stringify(code)}: trying again is unsafe or pointless after it`);
  }
  return { attempts: checkedCount('retry.attempts', attempts, 1), baseMillis, maxMillis, on: new Set(on) };
}

/**
 * Full jitter: those who met must not meet again.
 * https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export function pauseBefore(retry: number, { baseMillis, maxMillis }: RetryPolicy): number {
  return Math.random() * Math.min(maxMillis, baseMillis * 2 ** (retry - 1));
}

/**
 * How many retries after lost connections a pool allows: every one takes a token, and every success brings back a part of
 * one. When the server is in trouble, retries cannot add more than a tenth to the load.
 */
export class RetryBudget {
  #tokens = FULL;

  /** Whether one more is allowed. */
  take(): boolean {
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  succeeded(): void {
    this.#tokens = Math.min(FULL, this.#tokens + PER_SUCCESS);
  }
}

const FULL = 10;
const PER_SUCCESS = 0.1;

function known<Part extends object>(given: object, names: readonly string[]): Part {
  for (const name of Object.keys(given))
    if (!names.includes(name)) refuse(`retry has no part "${name}"; it takes ${names.join(', ')}`);
  return { __proto__: null, ...given } as unknown as Part;
}

function checkedCount(name: string, value: unknown, least: number): number {
  if (!Number.isInteger(value) || (value as number) < least)
    refuse(`${name} must be a whole number of at least ${least}, not ${String(value)}`);
  return value as number;
}

function checkedMillis(name: string, value: unknown): void {
  if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
    refuse(`${name} must be a number of at least 0, not ${String(value)}`);
}

function refuse(complaint: string): never {
  throw new LifeguardError('ERR_LIFEGUARD_ARGUMENT', `Nothing was sent: ${complaint}.`, {
    consequence: 'nothing-sent',
  });
}
