import { acquire } from './acquire.ts';
import type { Benchmark } from './benchmark.ts';
import { cls } from './cls.ts';
import { contention } from './contention.ts';
import { distance } from './distance.ts';
import { floor } from './floor.ts';
import { mixed } from './mixed.ts';
import { outage } from './outage.ts';
import { overload } from './overload.ts';
import { parallel } from './parallel.ts';
import { processes } from './processes.ts';
import { query } from './query.ts';
import { queue } from './queue.ts';
import { roundtrips } from './roundtrips.ts';
import { rows } from './rows.ts';
import { sandbox } from './sandbox.ts';
import { scale } from './scale.ts';
import { sizes } from './sizes.ts';
import { spike } from './spike.ts';
import { transaction } from './transaction.ts';

/** Every question that is asked: those of DESIGN.md §6 in its order, then the others. */
export const catalogue: readonly Benchmark[] = [
  ...[acquire, queue, query, transaction, roundtrips, overload, spike, outage, cls, mixed],
  ...[parallel, rows, floor, scale, sizes, processes, distance, contention, sandbox],
];
