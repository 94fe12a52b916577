import { nameOf } from '../errors.ts';
import { statementEnded, statementStarted } from '../events.ts';
import type { Statement } from '../pg/statement.ts';

/** Whose statements they are, and where they run. */
export interface Origin {
  readonly pool: string;
  readonly name: string;
  readonly slot: number;
}

/** How those ended that travelled together. */
export interface StatementEnd {
  readonly millis: number;
  readonly error: unknown;
  /** Which one has failed, and how many have run. Absent: what befell one befell all. */
  readonly at: { readonly index: number; readonly ran: number } | undefined;
}

export function tellStarted(origin: Origin, statements: readonly Statement[]): void {
  for (const { text } of statements) statementStarted.publish({ ...origin, text });
}

export function tellEnded(origin: Origin, statements: readonly Statement[], { millis, error, at }: StatementEnd): void {
  for (const [index, { text }] of statements.entries()) {
    const event = { ...origin, text, millis };
    if (error === undefined) statementEnded.publish(event);
    else if (at === undefined || index === at.index) statementEnded.publish({ ...event, error: nameOf(error) });
    else statementEnded.publish(index < at.ran ? event : { ...event, error: SKIPPED });
  }
}

/** Behind one that failed the server runs nothing. */
const SKIPPED = 'ERR_LIFEGUARD_TRANSACTION_FAILED';
