import { isLifeguardError } from '../errors.ts';

/** The classes that slonik's own driver makes, and its users match on. */
export const SLONIK_ERRORS = [
  'BackendTerminatedError',
  'BackendTerminatedUnexpectedlyError',
  'CheckExclusionConstraintViolationError',
  'CheckIntegrityConstraintViolationError',
  'ForeignKeyIntegrityConstraintViolationError',
  'IdleTransactionTimeoutError',
  'InputSyntaxError',
  'InvalidInputError',
  'NotNullIntegrityConstraintViolationError',
  'StatementCancelledError',
  'StatementTimeoutError',
  'UniqueIntegrityConstraintViolationError',
] as const;

type Name = (typeof SLONIK_ERRORS)[number];

export type ErrorClasses = Readonly<Record<Name, new (error: unknown, query?: unknown) => Error>>;

export interface SlonikQuery {
  readonly sql: string;
  readonly values: readonly unknown[] | undefined;
}

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const BY_STATE: Readonly<Record<string, Name>> = {
  '23502': 'NotNullIntegrityConstraintViolationError',
  '23503': 'ForeignKeyIntegrityConstraintViolationError',
  '23505': 'UniqueIntegrityConstraintViolationError',
  '23514': 'CheckIntegrityConstraintViolationError',
  '23P01': 'CheckExclusionConstraintViolationError',
  '25P03': 'IdleTransactionTimeoutError',
  '57014': 'StatementTimeoutError',
  '57P01': 'BackendTerminatedError',
};

/** As slonik's own driver would say it. Ours stay as they are: they have a code to match on. */
export function slonikError(error: unknown, classes: ErrorClasses, query: SlonikQuery | undefined): unknown {
  if (!(error instanceof Error) || isLifeguardError(error)) return error;
  const { code, message } = error as Error & { readonly code?: unknown };
  if (/connection terminated unexpectedly/i.test(message)) return new classes.BackendTerminatedUnexpectedlyError(error);
  if (/connection terminated/i.test(message)) return new classes.BackendTerminatedError(error);
  if (code === '22P02') return new classes.InvalidInputError(message);
  if (code === '42601' && query !== undefined) return new classes.InputSyntaxError(error, query);
  // The code alone does not tell a limit from a wish.
  if (code === '57014' && message.includes('due to user request')) return new classes.StatementCancelledError(error);
  const name = typeof code === 'string' ? BY_STATE[code] : undefined;
  return name === undefined ? error : new classes[name](error);
}
