import { isLifeguardError, type LifeguardError } from '../errors.ts';
import { isFarewell } from './loss.ts';
import type { ServerMessage } from './pg-subset.ts';

/**
 * Where the failed thing was: a login; a statement that is a transaction of its own; a statement (BEGIN and SAVEPOINT
 * too) of an open transaction before COMMIT was written; a COMMIT that was written, or rode in the same Sync.
 */
export type Phase = 'dial' | 'statement' | 'in-transaction' | 'commit';

/** An answer was read to its ReadyForQuery, or the connection went away, before or after bytes were written. */
export type Ending = 'answered' | 'nothing-sent' | 'may-have-run';

/** A pooler signs with nothing but a code. The driver is Node too, and whatever users throw. */
export type Sender = 'server' | 'pooler' | 'driver' | 'us';

/** What an error tells of what happened. */
export interface Symptoms {
  readonly phase: Phase;
  readonly ending: Ending;
  readonly connection: 'fit' | 'dead';
  readonly sender: Sender;
  readonly code: string;
  readonly message: string;
  /** The server's C function, which is not translated as messages are. */
  readonly routine: string | undefined;
}

export function symptomsOf(error: unknown, phase: Phase): Symptoms {
  if (!isLifeguardError(error)) return plain(error, phase);
  const open = ENVELOPES.get(error.code) ?? ours;
  return open(error, phase);
}

/** Errors of ours that only say of another one where it happened. */
const ENVELOPES: ReadonlyMap<string, (error: LifeguardError, phase: Phase) => Symptoms> = new Map([
  ['ERR_LIFEGUARD_CONNECTION_LOST', lost],
  ['ERR_LIFEGUARD_BATCH', ({ cause }: LifeguardError, phase: Phase) => symptomsOf(cause, phase)],
  ['ERR_LIFEGUARD_TRANSACTION_FAILED', ofOpenTransaction],
  // COMMIT was answered by ROLLBACK: how far the statement before it came is no question any more.
  ['ERR_LIFEGUARD_ROLLED_BACK', ofOpenTransaction],
]);

function lost({ cause, consequence = 'may-have-run' }: LifeguardError, phase: Phase): Symptoms {
  return { ...plain(cause, phase), ending: consequence, connection: 'dead' };
}

function ofOpenTransaction({ cause }: LifeguardError): Symptoms {
  return symptomsOf(cause, 'in-transaction');
}

function ours(error: LifeguardError, phase: Phase): Symptoms {
  const { code, message, cause, consequence } = error;
  // A limit that we gave the server has a cause and, unless the connection went with it, no consequence.
  const ending = consequence ?? (cause === undefined ? 'nothing-sent' : 'answered');
  // Given up while it ran, it is not ours any more; and the server ends a session with a farewell.
  const isDead = ending === 'may-have-run' || (ending === 'nothing-sent' && isFarewell(cause));
  return { phase, ending, connection: isDead ? 'dead' : 'fit', sender: 'us', code, message, routine: undefined };
}

/** What is rejected bare was answered, but for poolers that go on listening after they have said FATAL. */
function plain(error: unknown, phase: Phase): Symptoms {
  const isLost = isFarewell(error);
  const fields = fieldsOf(error);
  const { code, message, routine } = fields;
  const facts = { phase, sender: senderOf(fields), code, message, routine };
  return isLost
    ? { ...facts, ending: 'may-have-run', connection: 'dead' }
    : { ...facts, ending: 'answered', connection: 'fit' };
}

function senderOf({ code, routine, severity }: Fields): Sender {
  if (severity === undefined) return 'driver';
  // PgBouncer's own, whatever it wants to say.
  return code === '08P01' && routine === undefined ? 'pooler' : 'server';
}

interface Fields {
  readonly code: string;
  readonly message: string;
  readonly routine: string | undefined;
  readonly severity: string | undefined;
}

function fieldsOf(error: unknown): Fields {
  const { code, message, routine, severity }: Partial<ServerMessage> = error instanceof Error ? error : {};
  return { code: typeof code === 'string' ? code : '', message: message ?? '', routine, severity };
}
