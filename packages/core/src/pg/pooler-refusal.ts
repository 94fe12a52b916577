import { LifeguardError } from '../errors.ts';
import type { PoolerProfile } from './pooler-profiles.ts';
import type { SqlReading, StatementWords } from './sql-words.ts';

/** A statement that would change a session which is not ours for longer than this transaction. */
export function sessionRefusal({ label }: PoolerProfile, { words }: SqlReading): LifeguardError {
  const message = `${named(words)} may change the session, and behind ${label} the session is not ours: our next statement may run in another one, and other clients would find there what was changed. Nothing was sent. ${advice(words)}`;
  return new LifeguardError('ERR_LIFEGUARD_POOLER', message, { consequence: 'nothing-sent' });
}

/** Where every statement goes its own way. With a cause, the pooler said so itself and has hung up. */
export function transactionRefusal({ label }: PoolerProfile, cause?: unknown): LifeguardError {
  const sent = cause === undefined ? 'Nothing was sent.' : 'It has ended the connection, and what was begun on it.';
  const message = `There are no transactions behind ${label}: each statement may run in another session. ${sent} Use a pooler in transaction mode, or a connection to the server itself.`;
  const consequence = cause === undefined ? 'nothing-sent' : 'may-have-run';
  return new LifeguardError('ERR_LIFEGUARD_POOLER', message, { cause, consequence });
}

/** A named statement was not found where it was sent to, or something else was found under its name. */
export function nameRefusal({ label, names = 'it has to carry them' }: PoolerProfile, cause: unknown): LifeguardError {
  const message = `The name of a prepared statement is not known, or is taken, in the session that ${label} has given us this time. It did not run. Leave the name out, or mind the pooler: ${names}.`;
  return new LifeguardError('ERR_LIFEGUARD_POOLER', message, { cause });
}

/** "SET", "SELECT; LISTEN": no text of the user's, which may hold data. */
function named(words: readonly StatementWords[]): string {
  const known = words.filter((word) => word !== '');
  const shown = known.slice(0, 3).join('; ');
  return known.length === 0 ? 'The statement' : `"${shown}${known.length > 3 ? '; …' : ''}"`;
}

function advice(words: readonly StatementWords[]): string {
  const known = words.find((word) => word in ADVICE);
  return `${known === undefined ? ADVICE_OTHERWISE : ADVICE[known]} Or use a connection to the server itself.`;
}

const AS_SETTING = 'Give it as settings or role of a scope or transaction, or write SET LOCAL in a transaction.';
const AS_TEXT = 'Send its text with values instead.';

/** By the words of a statement: what does the same and ends with its transaction. */
const ADVICE: Readonly<Record<StatementWords, string>> = Object.assign(Object.create(null), {
  SET: AS_SETTING,
  'SET SESSION': AS_SETTING,
  'SET LOCAL': 'A search path with pg_temp makes temporary tables that outlive their transaction.',
  RESET: 'What ends with its transaction needs no RESET.',
  LISTEN: 'Notifications come only to a session that stays: take a lease of a pool that goes to the server directly.',
  'CREATE TEMP': 'Create it in a transaction, with ON COMMIT DROP.',
  DECLARE: 'Declare it in a transaction, without HOLD.',
  PREPARE: AS_TEXT,
  EXECUTE: AS_TEXT,
  DEALLOCATE: AS_TEXT,
  DISCARD: 'What ends with its transaction needs no DISCARD.',
  'DISCARD ALL': 'What ends with its transaction needs no DISCARD.',
  SELECT:
    'What ends with its transaction may be used in one: pg_advisory_xact_lock for pg_advisory_lock, set_config(…, true) for set_config(…, false).',
});

const ADVICE_OTHERWISE = 'Use what ends with its transaction, in a transaction: SET LOCAL, ON COMMIT DROP.';
