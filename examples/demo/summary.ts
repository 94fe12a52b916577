import type { PoolSnapshot } from '@lifeguard/core';
import { byStatus, closedByReason } from './picture.ts';
import type { Tally } from './tally.ts';

/** What it came to, in a few lines. */
export function summarise(pool: PoolSnapshot, tally: Tally, seconds: number): string[] {
  const server = tally.count((status) => status >= 500);
  const statuses = byStatus(tally.totals).map(([status, count]) => `${status || 'no answer'}: ${count}`);
  return [
    '',
    `In ${seconds.toFixed(0)} s the service answered ${tally.requests} requests, ${server} of them with 5xx.`,
    `  by status    ${statuses.join(', ')}`,
    `  leases       ${pool.acquired} given; ${pool.shed} shed, ${pool.timeouts} timed out, ${pool.cancels} cancelled`,
    `  connections  ${pool.opened} opened, ${pool.failedDials} dials failed`,
    `  closed       ${closedByReason(pool)}`,
    `  left         ${pool.size === 0 ? 'nothing: the server has closed every connection' : `${pool.size} connections!`}`,
  ];
}
