import { type CallOptions, NO_OPTIONS } from './call-options.ts';
import { NO_LIMITS } from './deadline.ts';
import type { Limits } from './patience.ts';
import type { Setting } from './settings.ts';

/** How a statement outside a transaction is to be run. */
export interface SinglePlan {
  readonly call: CallOptions;
  readonly limits: Limits;
  readonly settings: readonly Setting[];
  readonly access: 'any' | 'read-only';
}

/** Nothing in particular. */
export const PLAIN: SinglePlan = Object.freeze({ call: NO_OPTIONS, limits: NO_LIMITS, settings: [], access: 'any' });

/** Whether a plan asks for more than time: then a statement that cannot carry it must not run without it. */
export function isBound({ settings, access }: SinglePlan): boolean {
  return settings.length > 0 || access === 'read-only';
}
