import { isLifeguardError, LifeguardError } from '../errors.ts';
import { codeOf } from './sqlstate.ts';

/**
 * The error of a statement, or of its connection, said in our own words where a limit has ended it that *we* gave the
 * server at login. A 57014 before that time is somebody's cancel, or a limit of the user's own, and stays what it is.
 */
export function asOwnLimit(
  error: unknown,
  { millis: ranMillis, armedMillis }: Ran,
  limits: ReadonlyMap<string, number>,
): unknown {
  const lost = isLifeguardError(error, 'ERR_LIFEGUARD_CONNECTION_LOST');
  const reason = lost ? error.cause : error;
  const setting = SETTING_BY_CODE[codeOf(reason) ?? ''];
  const carried = setting === 'statement_timeout' ? armedMillis : undefined;
  const limit = setting === undefined ? undefined : (carried ?? limits.get(setting));
  if (setting === undefined || limit === undefined) return error;
  if (setting === 'statement_timeout' && ranMillis < limit) return error;
  const whose = carried === undefined ? "at the pool's limit of" : 'at its deadline, after';
  const remedy = carried === undefined ? REMEDIES[setting] : 'Nothing of it remains.';
  const message = `The server ended ${SUBJECTS[setting]} ${whose} ${limit} ms (${setting}). ${remedy}`;
  const consequence = lost ? error.consequence : undefined;
  return new LifeguardError('ERR_LIFEGUARD_DEADLINE', message, {
    cause: reason,
    ...(consequence === undefined ? {} : { consequence }),
  });
}

/** How long it ran, and the limit that it carried itself. */
interface Ran {
  readonly millis: number;
  readonly armedMillis: number | undefined;
}

type Setting = 'statement_timeout' | 'idle_in_transaction_session_timeout' | 'transaction_timeout';

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const SETTING_BY_CODE: Readonly<Record<string, Setting | undefined>> = Object.assign(Object.create(null), {
  '57014': 'statement_timeout',
  '25P03': 'idle_in_transaction_session_timeout',
  '25P04': 'transaction_timeout',
});

const SUBJECTS: Readonly<Record<Setting, string>> = {
  statement_timeout: 'the statement',
  idle_in_transaction_session_timeout: 'the session of an idle transaction',
  transaction_timeout: 'the session of a transaction',
};

const REMEDIES: Readonly<Record<Setting, string>> = {
  statement_timeout: 'Nothing of it remains. Look at its plan before you raise statementTimeoutMillis.',
  idle_in_transaction_session_timeout:
    'The transaction was rolled back. Do other work before it begins or after it ends, not while it holds its locks.',
  transaction_timeout: 'Unless its COMMIT was on the way, the transaction was rolled back. Make it shorter.',
};
