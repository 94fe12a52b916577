/** What errors mean. Facts: research of PostgreSQL's own codes, https://www.postgresql.org/docs/current/errcodes-appendix.html */

/** A dial that fails like this fails until somebody changes something. */
const PERMANENT_CODES: ReadonlySet<string> = new Set([
  '28000', // invalid authorization
  '28P01', // invalid password
  '3D000', // no such database
  '42501', // no CONNECT privilege
  '42704', // unknown setting in the startup packet
  '22023', // a value that the setting does not take
  '0A000', // a feature that the server or the pooler does not have
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'EACCES',
]);

/** Failures without a code: pg's own, and PgBouncer's, which says 08P01 for everything. */
const PERMANENT_MESSAGES: readonly RegExp[] = [
  /^The server does not support SSL connections/,
  /^SASL:/,
  /^Password must be a string/,
  /^no such (database|user)/,
  /authentication failed/,
  /^unsupported startup parameter/,
  /^SSL required/,
];

export function isPermanentDialFailure(error: unknown): boolean {
  const { code, message } = fieldsOf(error);
  if (code !== undefined && PERMANENT_CODES.has(code)) return true;
  return PERMANENT_MESSAGES.some((pattern) => pattern.test(message));
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

/** A prepared statement that the server does not have: DISCARD ALL or DEALLOCATE took it away. */
export function isUnknownStatement(error: unknown): boolean {
  return fieldsOf(error).code === '26000';
}

/** "cached plan must not change result type": a prepared statement from before a change of its table. */
export function isOutdatedPlan(error: unknown): boolean {
  return fieldsOf(error).code === '0A000';
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

export function codeOf(error: unknown): string | undefined {
  return fieldsOf(error).code;
}

function fieldsOf(error: unknown): { readonly code: string | undefined; readonly message: string } {
  if (!(error instanceof Error)) return { code: undefined, message: '' };
  const code: unknown = (error as { code?: unknown }).code;
  return { code: typeof code === 'string' ? code : undefined, message: error.message };
}
