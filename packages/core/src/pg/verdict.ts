import type { Settings } from '../options.ts';
import type { Verdict } from '../pool/seam.ts';
import type { PgConnection } from './pg-connection.ts';

const KEEP: Verdict = { kind: 'keep' };
const CLEAN: Verdict = { kind: 'clean' };
const INTERRUPT: Verdict = { kind: 'interrupt' };
const LOST: Verdict = { kind: 'discard', reason: 'lost' };
const IN_TRANSACTION: Verdict = { kind: 'discard', reason: 'in-transaction' };
const DIRTY: Verdict = { kind: 'discard', reason: 'dirty' };

/**
 * What may be done with a connection that comes back. It is kept only if it is open, nothing runs on it, it is in no
 * transaction and nothing visible is left in its session. An error of a statement is no reason to give it up.
 */
export function verdictOn(connection: PgConnection, reset: Settings['resetOnRelease']): Verdict {
  if (connection.kind === 'running') return INTERRUPT;
  if (connection.kind !== 'ready') return LOST;
  // Fresh, because nothing runs: a statement counts as answered only when ReadyForQuery has been read.
  if (connection.transactionStatus !== 'I') return IN_TRANSACTION;
  if (reset === 'never') return KEEP;
  if (connection.dirt === 'sticky') return DIRTY;
  return connection.dirt === 'resettable' || reset === 'always' ? CLEAN : KEEP;
}
