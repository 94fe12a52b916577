import { isLifeguardError } from '../errors.ts';
import { failureOf } from './failure.ts';

/** Questions about one error. What errors mean for a unit of work is in the table of failure.ts. */

/** A dial that fails like this fails until somebody changes something. What a hook or a password function met is theirs. */
export function isPermanentDialFailure(error: unknown): boolean {
  return !isLifeguardError(error) && failureOf(error, { phase: 'dial' }).retry === 'never';
}

/** The server has ended sessions: this one's end may be that of others, which only a check can tell. */
export function isShutdown(error: unknown): boolean {
  const { code } = fieldsOf(error);
  return code === '57P01' || code === '57P02';
}

/** A write on a server that only reads: a failover, unless somebody asked for a read-only transaction. */
export function isReadOnlyRefusal(error: unknown): boolean {
  return fieldsOf(error).code === '25006';
}

/** The answer of a statement that a CancelRequest has hit. */
export function isCancelled(error: unknown): boolean {
  return fieldsOf(error).code === '57014';
}

/** The settings of the startup packet that this error refuses by name, or all of them where it names none. */
export function refusedParameter(error: unknown): string | undefined {
  const { code, message } = fieldsOf(error);
  if (code === '08P01') return /unsupported startup parameter(?: in options)?: (\w+)/.exec(message)?.[1];
  // Messages are translated, and the quotes with them: take the first word that looks like the name of a setting.
  if (code === '42704' || code === '22023' || code === '0A000')
    return /\b([a-z]+(?:_[a-z]+)+)\b/.exec(message)?.[1] ?? 'options';
  return undefined;
}

/** PgBouncer in statement mode, of a BEGIN: https://www.pgbouncer.org/features.html#sql-feature-map-for-pooling-modes */
export function isStatementMode(error: unknown): boolean {
  const { code, message } = fieldsOf(error);
  return code === '08P01' && message.includes('statement pooling mode');
}

/** A prepared statement that its session does not have, or has already: by the server's codes, or in PgBouncer's words. */
export function isNamelessOrTaken(error: unknown): boolean {
  const { code, message } = fieldsOf(error);
  if (code === '08P01') return message.includes('prepared statement did not exist');
  return code === '26000' || code === '42P05';
}

/** It names itself where it refuses the server's command line. */
export function isRdsProxy(error: unknown): boolean {
  return fieldsOf(error).message.includes('RDS Proxy');
}

export function codeOf(error: unknown): string | undefined {
  return fieldsOf(error).code;
}

function fieldsOf(error: unknown): { readonly code: string | undefined; readonly message: string } {
  if (!(error instanceof Error)) return { code: undefined, message: '' };
  const code: unknown = (error as { code?: unknown }).code;
  return { code: typeof code === 'string' ? code : undefined, message: error.message };
}
