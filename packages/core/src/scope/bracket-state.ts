import type { QueryResult } from '../pg/statement.ts';
import type { Group, GroupAnswer } from '../pg/sync-group.ts';
import type { Ending } from './ending.ts';
import type { Hold } from './hold.ts';
import type { Place, Step } from './prelude.ts';

/**
 * ```
 *   fresh ──▶ held ──▶ open ◀──▶ failed         held: a connection, and BEGIN is not answered yet
 *     │         │        │          │           failed: the server takes nothing but a return to a savepoint
 *     └─────────┴────────┴──────────┴──▶ over
 * ```
 */
export type BracketState =
  | { readonly kind: 'fresh' }
  | { readonly kind: 'held'; readonly hold: Hold }
  | { readonly kind: 'open'; readonly hold: Hold }
  | { readonly kind: 'failed'; readonly hold: Hold; readonly error: unknown }
  | { readonly kind: 'over'; readonly ending: Ending };

/** From where a statement comes, and whether it goes back to a savepoint of the user's own. */
export interface Errand {
  readonly place: Place;
  readonly isReturn: boolean;
}

export function onlyResult<Row>({ results, failure }: GroupAnswer): QueryResult<Row> {
  if (failure !== undefined) throw failure.error;
  return results[0] as QueryResult<Row>;
}

/** What travels in one packet: our own steps, and the user's statements behind them. */
export type Trip = Pick<Group, 'statements'> & { readonly steps: readonly Step[] };

/** The answer without that to our own steps. A step that failed is a failure at a negative place. */
export function withoutSteps(answer: GroupAnswer, steps: number, error: unknown): GroupAnswer {
  const results = answer.results.slice(steps);
  if (answer.failure === undefined) return { results, failure: undefined };
  const unread = answer.unread?.map((one) => ({ ...one, index: one.index - steps })) ?? [];
  return { results, failure: { index: answer.failure.index - steps, error }, unread };
}
