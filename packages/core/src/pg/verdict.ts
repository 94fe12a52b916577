import type { Settings } from '../options.ts';
import type { Verdict } from '../pool/seam.ts';
import type { PgConnection } from './pg-connection.ts';

/**
 * How a session is put back as it was: as the option `resetOnRelease` says, or not at all, because it is not ours. Then
 * a connection that was changed is replaced.
 */
export type Reset = Settings['resetOnRelease'] | 'replace';

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
export function verdictOn(connection: PgConnection, reset: Reset): Verdict {
  if (connection.kind === 'running') return INTERRUPT;
  if (connection.kind !== 'ready') return LOST;
  // Fresh, because nothing runs: a statement counts as answered only when ReadyForQuery has been read.
  if (connection.transactionStatus !== 'I') return IN_TRANSACTION;
  if (reset === 'never') return KEEP;
  const { dirt } = connection.session;
  if (dirt === 'sticky') return DIRTY;
  if (dirt === 'none') return reset === 'always' ? CLEAN : KEEP;
  return reset === 'replace' ? DIRTY : CLEAN;
}
