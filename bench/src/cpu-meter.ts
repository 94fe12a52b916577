import { setTimeout as pause } from 'node:timers/promises';

export interface Cost {
  /** CPU of the whole process, its collector's threads included, in nanoseconds per operation. */
  readonly cpuNanos: number;
  readonly wallNanos: number;
}

/**
 * What `operations` operations cost, done by `work`. The rubbish of whoever came before is cleared first, but only the
 * young: a full collection also throws away compiled code whose objects are all dead, and would measure the compiler.
 */
export async function measureCost(operations: number, work: () => Promise<void> | void): Promise<Cost> {
  // Loops of microtasks keep all timers waiting, and a pool whose timers are late takes its connections for suspect.
  await pause(1);
  globalThis.gc?.({ type: 'minor' });
  const wall = process.hrtime.bigint();
  const cpu = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(cpu);
  const wallNanos = Number(process.hrtime.bigint() - wall) / operations;
  return { cpuNanos: ((user + system) * 1_000) / operations, wallNanos };
}
