import type { Ending } from './ending.ts';
import type { Hold } from './hold.ts';

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
