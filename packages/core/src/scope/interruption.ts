import type { Ending } from './ending.ts';
import { cutShort } from './transaction-errors.ts';

/**
 * What a statement is told that was answered after the end of its transaction. Where the server or the house has ended
 * that, the reason is its answer; what the caller's own code threw is not.
 */
export function interruption(ending: Ending, failure: unknown, name: string): unknown {
  const isByCaller = ending.kind === 'rolled-back' && ending.by === 'caller';
  if (failure === undefined || ending.kind === 'committed' || isByCaller) return cutShort(name, failure);
  return ending.error;
}
