import type { LifeguardPool } from '@lifeguard/core';
import { codesOf } from './error-codes.ts';
import type { Session } from './library.ts';
import { play, type RequestPlan, type Stage } from './request-plan.ts';

/** What many requests at once have come to. */
export interface CrowdReport {
  /** The rows of those that committed. */
  readonly acknowledged: readonly number[];
  /** The rows that a request has seen of another one. */
  readonly seen: ReadonlySet<number>;
  /** What requests rejected with whose plan says nothing of that. */
  readonly surprises: readonly unknown[];
}

/** Plays all requests at once. */
export async function playAll(
  plans: readonly RequestPlan[],
  pool: LifeguardPool,
  sessions: readonly Session[],
): Promise<CrowdReport> {
  const seen = new Set<number>();
  const outcomes = await Promise.all(plans.map((plan) => perform(plan, pool, { sessions, seen })));
  const acknowledged = outcomes.flatMap(({ ids }) => ids).toSorted((a, b) => a - b);
  return { acknowledged, seen, surprises: outcomes.flatMap(({ surprises }) => surprises) };
}

type Outcome = { readonly ids: readonly number[]; readonly surprises: readonly unknown[] };

async function perform(plan: RequestPlan, pool: LifeguardPool, stage: Omit<Stage, 'abort'>): Promise<Outcome> {
  const leaving = new AbortController();
  const abort = (): void => leaving.abort();
  try {
    const ids = await pool.transaction(() => play(plan, { ...stage, abort }), { signal: leaving.signal });
    return { ids, surprises: plan.end === 'return' ? [] : ['It was not to commit.'] };
  } catch (error) {
    return { ids: [], surprises: isPlanned(error, plan) ? [] : [error] };
  }
}

function isPlanned(error: unknown, { end }: RequestPlan): boolean {
  if (end === 'throw') return /the request failed/.test(String(error));
  if (end === 'return') return false;
  return (error as Error).name === 'AbortError' || codesOf(error).includes('ERR_LIFEGUARD_ABORTED');
}
