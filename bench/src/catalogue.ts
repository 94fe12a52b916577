import { acquire } from './acquire.ts';
import type { Benchmark } from './benchmark.ts';
import { contention } from './contention.ts';
import { outage } from './outage.ts';
import { overload } from './overload.ts';
import { queue } from './queue.ts';
import { roundtrips } from './roundtrips.ts';
import { spike } from './spike.ts';
import { transaction } from './transaction.ts';

/** Every question that is asked, in the order of DESIGN.md §6. */
export const catalogue: readonly Benchmark[] = [
  ...[acquire, queue, transaction, roundtrips],
  ...[overload, spike, outage, contention],
];
