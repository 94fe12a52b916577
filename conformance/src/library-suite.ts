import { describe } from '@lifeguard/testkit/vitest';
import { declareCrowds } from './crowds.ts';
import { declareJoining } from './joining.ts';
import type { Library } from './library.ts';
import { declareLimits } from './limits.ts';
import { declareNesting, declareOwnTransactions } from './own-transactions.ts';
import { declareStreams } from './streams.ts';

/** Declares the tests that every library passes on the façade: what it does is part of the transaction around it. */
export function describeLibrary(library: Library): void {
  describe(`${library.name} on the façade`, () => {
    declareJoining(library);
    declareLimits(library);
    declareCrowds(library);
    if (library.streams) declareStreams(library);
    if (library.transactions !== 'none') declareOwnTransactions(library);
    if (library.transactions === 'nested') declareNesting(library);
  });
}
