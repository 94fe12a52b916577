import type { Isolation } from '../scope/transaction-options.ts';
import type { Constraints } from './constraints.ts';
import type { Wire } from './wire.ts';

/** What holds for the whole of a sandbox. */
export interface Enclosing {
  readonly wire: Wire;
  readonly isolation: Isolation;
  readonly constraints: Constraints;
  readonly tally: Tally;
}

/** Inner transactions, by how they ended. */
export interface Tally {
  committed: number;
  rolledBack: number;
}
