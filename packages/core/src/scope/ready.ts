import type { Clock } from '../clock.ts';
import type { Pool } from '../pool/pool.ts';
import { notReady } from '../pool/refusal.ts';
import { checkLimits, type LimitOptions } from './call-options.ts';

/** Waits until a pool is ready, or until its caller's time is up. */
export async function awaitReady<C>(pool: Pool<C & object>, options: LimitOptions, clock: Clock): Promise<void> {
  const { timeoutMillis = READY_MILLIS, signal } = checkLimits(options);
  const late = new AbortController();
  const timer = clock.after(timeoutMillis, () => late.abort(notReady(pool.figures(), timeoutMillis, pool.failure)));
  try {
    await pool.ready(signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]));
  } catch (error) {
    // To the pool it was a caller who left; here it is known that it was the time.
    throw late.signal.aborted && signal?.aborted !== true ? late.signal.reason : error;
  } finally {
    timer.cancel();
  }
}

const READY_MILLIS = 30_000;
