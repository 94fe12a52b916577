import { LifeguardError } from '../errors.ts';

/** What the network may take beyond the server's own limit before the client stops waiting for its word. */
export const SLACK_MILLIS = 250;

/** The server never spoke of a statement again. */
export function fellSilent(name: string, millis: number, limitMillis: number): LifeguardError {
  const message = `The server has not answered a statement of "${name}" for ${Math.round(millis)} ms, and should have ended it after ${limitMillis} ms (statement_timeout): it cannot be reached any more, or its answer cannot. The statement may have run to its end.`;
  return new LifeguardError('ERR_LIFEGUARD_DEADLINE', message, { consequence: 'may-have-run' });
}
