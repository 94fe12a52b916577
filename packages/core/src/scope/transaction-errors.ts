import { isLifeguardError, LifeguardError, nameOf } from '../errors.ts';
import type { Evidence } from '../pg/commit-outcome.ts';
import type { TransactionWord } from '../pg/sql-words.ts';
import type { Limits } from './patience.ts';
import type { Setting } from './settings.ts';

/** The errors of transactions and scopes: what became of the work, and what to do about it. */

const UNSENT = { consequence: 'nothing-sent' } as const;

/** How a transaction ended, as a sentence goes on. */
export function hasEnded(name: string, how: string, cause?: unknown): LifeguardError {
  const message = `The transaction "${name}" ${how}. Nothing was sent. Await every statement before its transaction ends.`;
  return new LifeguardError('ERR_LIFEGUARD_TRANSACTION_ENDED', message, { ...UNSENT, cause });
}

/** The statement was on its way when its transaction was ended. */
export function cutShort(name: string, cause: unknown): LifeguardError {
  const message = `The transaction "${name}" was ended while the statement ran. It was cancelled, and nothing of it remains. Await every statement before its transaction ends.`;
  return new LifeguardError('ERR_LIFEGUARD_TRANSACTION_ENDED', message, { cause });
}

export function hasFailed(name: string, cause: unknown): LifeguardError {
  const message = `A statement of the transaction "${name}" failed before (${nameOf(cause)}: see the cause), so the server takes no others. Nothing was sent. Let the error leave the transaction, or put what may fail into a nested one.`;
  return new LifeguardError('ERR_LIFEGUARD_TRANSACTION_FAILED', message, { ...UNSENT, cause });
}

export function wasRolledBack(name: string, cause: unknown): LifeguardError {
  const why =
    cause === undefined
      ? 'The server answered COMMIT with ROLLBACK'
      : isLifeguardError(cause, 'ERR_LIFEGUARD_ROLLED_BACK')
        ? cause.message.replace(/\.$/, '')
        : `An error in it was caught and did not leave it (${nameOf(cause)}: see the cause)`;
  const message = `The transaction "${name}" was rolled back, although its function returned. ${why}. Nothing of it remains.`;
  return new LifeguardError('ERR_LIFEGUARD_ROLLED_BACK', message, { cause });
}

/** A part that joined a transaction does not end it, but can make it end that way. */
export function rollbackAsked(name: string): LifeguardError {
  const message = `A part that had joined the transaction "${name}" asked for its rollback.`;
  return new LifeguardError('ERR_LIFEGUARD_ROLLED_BACK', message);
}

/** The answer to COMMIT was lost, and all the same it is known that nothing remains. */
export function notCommitted(name: string, cause: unknown): LifeguardError {
  const message = `The transaction "${name}" lost its connection while it committed (${nameOf(cause)}: see the cause), and did not commit: nothing of it remains. It may be tried again.`;
  return new LifeguardError('ERR_LIFEGUARD_ROLLED_BACK', message, { cause, retryable: true });
}

export function outcomeUnknown(name: string, evidence: Evidence | undefined, cause: unknown): LifeguardError {
  const which = evidence === undefined ? '' : ` It was transaction ${evidence.xid} of backend ${evidence.pid}.`;
  const message = `The COMMIT of the transaction "${name}" was sent and its answer never came (${nameOf(cause)}): it may have committed.${which} Look before you try it again; commitOutcome "resolve" or "token" lets the pool look.`;
  return new LifeguardError('ERR_LIFEGUARD_COMMIT_UNKNOWN', message, { cause, consequence: 'may-have-run' });
}

/** The outcome is known, and the rows that came with it are not. */
export function answerLost(name: string, cause: unknown): LifeguardError {
  const message = `The transaction "${name}" has committed, as the server confirmed afterwards; the answer of its last statement was lost with the connection.`;
  return new LifeguardError('ERR_LIFEGUARD_TRANSACTION_ENDED', message, { cause, consequence: 'may-have-run' });
}

/** Whether something was on its way. */
type Moment = 'between two statements' | 'while a statement ran';

export function timeIsUp(name: string, when: Moment): LifeguardError {
  const message = `The deadline of the transaction "${name}" passed ${when}, so it was rolled back. Do slow work before it begins or after it ends.`;
  return new LifeguardError('ERR_LIFEGUARD_DEADLINE', message, sentOrNot(when));
}

export function callerLeft(name: string, when: Moment, cause: unknown): LifeguardError {
  const message = `The caller of the transaction "${name}" gave up ${when}, so it was rolled back.`;
  return new LifeguardError('ERR_LIFEGUARD_ABORTED', message, { cause, ...sentOrNot(when) });
}

/** Throws where its time is up, or its caller has left, and nothing runs. */
export function refuseOverdue({ name, limits }: { name: string; limits: Limits }, now: number): void {
  const when = 'between two statements';
  if (limits.signal?.aborted) throw callerLeft(name, when, limits.signal.reason);
  if (limits.deadline !== undefined && limits.deadline <= now) throw timeIsUp(name, when);
}

function sentOrNot(when: Moment): typeof UNSENT | undefined {
  return when === 'between two statements' ? UNSENT : undefined;
}

/** A COMMIT that was stopped at the deadline, and said so: that is a definite answer. */
export function commitStopped(name: string, cause: unknown): LifeguardError {
  const message = `The deadline of the transaction "${name}" passed while it committed. The COMMIT was cancelled, and nothing of it remains.`;
  // It was our cancel, whatever else of ours might have ended it.
  const reason = isLifeguardError(cause, 'ERR_LIFEGUARD_DEADLINE') ? cause.cause : cause;
  return new LifeguardError('ERR_LIFEGUARD_DEADLINE', message, { cause: reason });
}

export function leftOpen(name: string): LifeguardError {
  const message = `A cursor or a stream was left open at the end of the transaction "${name}", and could not be closed: it was rolled back, and its connection is closed. Read it to its end, or close it.`;
  return new LifeguardError('ERR_LIFEGUARD_ROLLED_BACK', message);
}

/** A library's transaction held the turn, and others worked inside it because it seemed to wait for them. */
export function guestLost(name: string): LifeguardError {
  const message = `A library's transaction inside "${name}" was rolled back, and with it work that others had been told was done: they had waited for it and were let in. Do not run transactions of a library in parallel with others, or say which belong together with nestable() of @lifeguard/core/orms.`;
  return new LifeguardError('ERR_LIFEGUARD_INTERLEAVED', message);
}

/** A library's transaction may wait for it, and it cannot be done inside that. */
export function notLetIn(name: string): LifeguardError {
  const message = `Nothing was sent: a library's transaction inside "${name}" has the connection and did nothing for a second while this waited, so one may be waiting for the other. This cannot be done inside of it: it has failed, set something for itself, or is read-only, or what waits is a cursor. Do it with the library's own handle, after it, or say with nestable() of @lifeguard/core/orms that it belongs together.`;
  return new LifeguardError('ERR_LIFEGUARD_INTERLEAVED', message, UNSENT);
}

/** It was asked for behind a cursor whose reader may be the one who waits. */
export function cursorIsOpen(text: string): LifeguardError {
  const message = `Nothing was sent: a cursor, a stream or a COPY has the connection of the transaction to itself, and whoever has it did nothing for half a second while this statement waited (${text.slice(0, 100)}). Read it to its end first, close it, or use another connection: pool.outside(() => …).`;
  return new LifeguardError('ERR_LIFEGUARD_CURSOR_OPEN', message, UNSENT);
}

export function ownControl(name: string, word: TransactionWord): LifeguardError {
  const message = `Nothing was sent: the text holds a ${word.toUpperCase()}, and the transaction "${name}" begins and ends by itself. Return from its function to commit, throw or call tx.rollback() to roll back, and nest with tx.transaction().`;
  return new LifeguardError('ERR_LIFEGUARD_TRANSACTION_CONTROL', message, UNSENT);
}

export function endedBehindOurBack(name: string): LifeguardError {
  const message = `The transaction "${name}" was ended by a statement inside it, and not by Lifeguard: what ran before that statement may be committed. Leave BEGIN, COMMIT and ROLLBACK to Lifeguard.`;
  return new LifeguardError('ERR_LIFEGUARD_TRANSACTION_CONTROL', message, { consequence: 'may-have-run' });
}

/** What is no word about the settings, a limit or a conflict on the way, is passed on as it is. */
export function settingsRefused(
  { name, settings }: { name: string; settings: readonly Setting[] },
  cause: unknown,
): unknown {
  if (isLifeguardError(cause) || PASSED_ON.test(nameOf(cause))) return cause;
  const names = settings.map((setting) => `"${setting.name}"`).join(', ');
  const message = `The server refused what "${name}" sets (${names}): ${nameOf(cause)}, see the cause. Nothing else was run.`;
  return new LifeguardError('ERR_LIFEGUARD_SETTING', message, { ...UNSENT, cause });
}

/** Class 40, cancelled, lock not available. */
const PASSED_ON = /^(40|57|55P03)/;

export function evidenceRefused(name: string, cause: unknown): unknown {
  if (nameOf(cause) !== '42P01') return cause;
  const message = `The transaction "${name}" wants commitOutcome "token", and the table for it is not there: call pool.createCommitTokens() once. Nothing else was run.`;
  return new LifeguardError('ERR_LIFEGUARD_SETTING', message, { ...UNSENT, cause });
}

export function calledFromInside(name: string): LifeguardError {
  const message = `Nothing was sent: the transaction "${name}" has a nested one open, and this call was made inside that. It would wait for itself. Use the handle of the nested one.`;
  return new LifeguardError('ERR_LIFEGUARD_PROPAGATION', message, UNSENT);
}

/** The server has done its part; a type parser has not. */
export function batchUnread(index: number, count: number, cause: unknown): LifeguardError {
  const message = `The rows of statement ${index} of a batch of ${count} could not be read (${nameOf(cause)}: see the cause; counted from 0). All of the batch has run.`;
  return new LifeguardError('ERR_LIFEGUARD_BATCH', message, { cause, index, consequence: 'may-have-run' });
}

export function batchFailed(index: number, count: number, cause: unknown): LifeguardError {
  const message = `Statement ${index} of a batch of ${count} failed (${nameOf(cause)}: see the cause; counted from 0). Nothing of the batch remains.`;
  return new LifeguardError('ERR_LIFEGUARD_BATCH', message, { cause, index });
}

export function cannotCarry(name: string, word: string): LifeguardError {
  const message = `Nothing was sent: ${word} cannot run, or may not be able to run, in a transaction, and the scope "${name}" has settings or is read-only, which last for a transaction. Run it outside of the scope.`;
  return new LifeguardError('ERR_LIFEGUARD_SETTING', message, { consequence: 'nothing-sent' });
}
