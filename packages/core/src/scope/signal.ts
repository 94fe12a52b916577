import { LifeguardError } from '../errors.ts';
import type { Ground } from './ground.ts';
import type { Limits } from './patience.ts';

const SIGNALS = new WeakMap<Limits, AbortSignal>();

/** A signal that aborts when these limits are reached: made when somebody asks for it, once. */
export function signalOf(ground: Ground, limits: Limits): AbortSignal {
  if (limits.deadline === undefined) return limits.signal ?? new AbortController().signal;
  const known = SIGNALS.get(limits);
  if (known !== undefined) return known;
  const millis = limits.deadline - ground.clock.now();
  if (millis <= 0) return AbortSignal.abort(timeIsUp());
  const controller = new AbortController();
  ground.clock.after(millis, () => controller.abort(timeIsUp()), 'idle');
  const signal = limits.signal === undefined ? controller.signal : AbortSignal.any([controller.signal, limits.signal]);
  SIGNALS.set(limits, signal);
  return signal;
}

function timeIsUp(): LifeguardError {
  return new LifeguardError('ERR_LIFEGUARD_DEADLINE', 'The deadline of the unit of work has passed.');
}
