import type { LifeguardError } from '../errors.ts';
import { hasEnded } from './transaction-errors.ts';

/** What became of a transaction. */
export type Ending =
  | { readonly kind: 'committed' }
  | { readonly kind: 'rolled-back'; readonly by: 'server' | 'caller'; readonly how: string; readonly error: unknown }
  | { readonly kind: 'unknown'; readonly error: unknown };

/** What a statement that comes after it is told. */
export function refusalAfter(ending: Ending, name: string): LifeguardError {
  switch (ending.kind) {
    case 'committed':
      return hasEnded(name, 'has committed');
    case 'rolled-back':
      return hasEnded(name, ending.how, ending.error);
    case 'unknown':
      return hasEnded(name, 'has ended, and how is not known', ending.error);
    default:
      return ending satisfies never;
  }
}

/** Whoever believes that all is well must hear that nobody knows. */
export function refuseUnknown(ending: Ending | undefined): void {
  if (ending?.kind === 'unknown') throw ending.error;
}
