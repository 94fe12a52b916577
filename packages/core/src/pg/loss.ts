import { type Consequence, LifeguardError } from '../errors.ts';
import type { ServerMessage } from './pg-subset.ts';

/** With this message the server ends the session. Severities are translated, so the codes that say it count too. */
export function isFarewell(error: unknown): error is ServerMessage {
  if (!(error instanceof Error)) return false;
  const { severity, code = '' } = error as ServerMessage;
  return severity === 'FATAL' || severity === 'PANIC' || FAREWELLS.test(code);
}

/** Shutdown, crash, dropped database, idle session; idle in a transaction, and a transaction that lasted too long. */
const FAREWELLS = /^(57P0[1-5]|25P0[34])$/;

export function connectionLost(consequence: Consequence, cause: unknown): LifeguardError {
  const message =
    consequence === 'nothing-sent'
      ? 'The connection was lost before the statement was sent. Nothing of it has run: it may be tried again.'
      : 'The connection was lost while the statement ran. It may have run to its end: look before you try it again.';
  return new LifeguardError('ERR_LIFEGUARD_CONNECTION_LOST', message, {
    cause,
    consequence,
    retryable: consequence === 'nothing-sent',
  });
}
