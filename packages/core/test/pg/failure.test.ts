import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { LifeguardError } from '../../src/errors.ts';
import { FAILURES, type Failure, type FailureRow, failureOf, mayBeAsked, type Phase } from '../../src/pg/failure.ts';
import { connectionLost } from '../../src/pg/loss.ts';
import { isPermanentDialFailure } from '../../src/pg/sqlstate.ts';

const PHASES: readonly Phase[] = ['dial', 'statement', 'in-transaction', 'commit'];

/** What poolers, the driver and the server say, word for word. */
const TEXTS: readonly string[] = [
  ...['query_wait_timeout', 'no more connections allowed (max_client_conn)', 'client_login_timeout (server down)'],
  ...['client connections exceeded (max_db_client_connections)', 'no such database: x', 'no such user', 'SSL required'],
  ...['server login has been failing, try again later (server_login_retry)', 'prepared statement did not exist'],
  ...['password authentication failed', 'unsupported startup parameter: options', 'client_idle_timeout'],
  ...['query timeout', 'idle transaction timeout', 'server conn crashed?', 'COPY from stdin failed: as planned'],
  ...['could not get connection from the pool - AllServersDown', 'cached plan must not change result type'],
  ...['(EMAXCONNSESSION) max clients reached in session mode', 'SASL: SCRAM-SERVER-FIRST-MESSAGE: client password'],
  ...['transaction blocks not allowed in statement pooling mode'],
  ...['The server does not support SSL connections', 'Received unexpected rowDescription message from backend.'],
  ...["Prepared statements must be unique - 'x' was used for a different statement"],
];

interface Said {
  readonly code?: string | undefined;
  readonly severity?: string;
  readonly routine?: string;
}

function said(message: string, fields: Said = {}): Error {
  return Object.assign(new Error(message), fields);
}

function answered(code: string, routine = 'exec'): Error {
  return said('as planned', { code, severity: 'ERROR', routine });
}

function ours(code: string, details: object = {}): LifeguardError {
  return Object.assign(new LifeguardError('ERR_LIFEGUARD_OPTION', 'as planned', details), { code });
}

function bouncer(message: string): Error {
  return connectionLost('may-have-run', said(message, { code: '08P01', severity: 'FATAL' }));
}

/** The errors that a row was written for: one for each of its codes. */
function examplesOf(row: FailureRow): unknown[] {
  const codes = row.codes?.split(' ') ?? [row.from === 'server' ? 'MY001' : row.from === 'pooler' ? '08P01' : ''];
  return codes.map((code) => exampleOf(row, code.length === 2 ? `${code}ZZZ` : code));
}

function exampleOf(row: FailureRow, code: string): unknown {
  const { message, from, on, routine = 'exec' } = row;
  if (code.startsWith('ERR_LIFEGUARD_') || from === 'us') return ours(code === '' ? 'ERR_LIFEGUARD_OPTION' : code);
  const text = TEXTS.find((one) => message?.test(one)) ?? 'as planned';
  const isServers = from === 'server' || /^[0-9A-Z]{5}$/.test(code);
  const severity = on === 'answered' || on === 'dial' ? 'ERROR' : 'FATAL';
  const fields = isServers
    ? { code, severity, ...(from === 'pooler' ? {} : { routine }) }
    : code === ''
      ? {}
      : { code };
  const error = said(text, fields);
  return on === 'lost' ? connectionLost('may-have-run', error) : error;
}

describe('the table of failures', () => {
  for (const [index, row] of FAILURES.entries()) {
    const name = [row.on, row.from, row.codes, row.message, row.routine].filter(Boolean).join(' ');
    test(`reaches row ${index} by what it was written for: ${name}`, () => {
      const phase = row.on === 'dial' ? 'dial' : 'in-transaction';
      for (const error of examplesOf(row)) {
        const { kind, retry, effect } = failureOf(error, { phase });
        expect([kind, retry]).toEqual([row.kind, effect === 'unknown' ? 'never' : row.retry]);
      }
    });

    test(`says of row ${index} where it is from: ${name}`, () => {
      expect(row.source).toMatch(/^(https:\/\/[\w./#-]+|docs\/4-errors\.md)$/);
      if (row.message !== undefined) expect(TEXTS.filter((text) => row.message?.test(text))).not.toEqual([]);
      if (row.retry === 'asked') expect(row.askable).toMatch(/\.$/);
    });

    test(`never has an unknown effect tried again by row ${index}: ${name}`, () => {
      for (const phase of PHASES) {
        for (const error of examplesOf(row)) {
          const { effect, retry, connection } = failureOf(error, { phase });
          if (effect === 'unknown') expect(retry).toBe('never');
          if (phase === 'dial' && row.at !== 'commit') expect([effect, connection]).toEqual(['none', 'dead']);
        }
      }
    });
  }
});

const CONFLICT: Failure = { connection: 'fit', effect: 'rolled-back', retry: 'conflict', kind: 'conflict' };
const LOST_BEFORE: Failure = { connection: 'dead', effect: 'rolled-back', retry: 'connection', kind: 'lost' };
const UNKNOWN: Failure = { connection: 'dead', effect: 'unknown', retry: 'never', kind: 'unknown-commit' };

/** Rows of which the phase, or who said it, decides. */
const READINGS: readonly (readonly [string, unknown, Phase, Partial<Failure>])[] = [
  ['an ERROR 40001 that answers COMMIT', answered('40001'), 'commit', CONFLICT],
  ['an ERROR 40001 of a standby', answered('40001', 'ProcessRecoveryConflictInterrupt'), 'in-transaction', CONFLICT],
  [
    'a FATAL 40001 of a standby',
    connectionLost('may-have-run', said('…', { code: '40001', severity: 'FATAL', routine: 'x' })),
    'in-transaction',
    { ...LOST_BEFORE, kind: 'conflict' },
  ],
  ['a loss before COMMIT', connectionLost('may-have-run', said('read ECONNRESET')), 'in-transaction', LOST_BEFORE],
  ['a loss before COMMIT was sent', connectionLost('nothing-sent', undefined), 'commit', LOST_BEFORE],
  ['a loss after COMMIT was sent', connectionLost('may-have-run', undefined), 'commit', UNKNOWN],
  [
    'a shutdown that answers COMMIT',
    connectionLost('may-have-run', said('terminating', { code: '57P01', severity: 'WARNING' })),
    'commit',
    UNKNOWN,
  ],
  [
    'a deadline that passes during COMMIT',
    ours('ERR_LIFEGUARD_DEADLINE', { consequence: 'may-have-run' }),
    'commit',
    UNKNOWN,
  ],
  [
    'a loss during a statement',
    connectionLost('may-have-run', said('read ECONNRESET')),
    'statement',
    { connection: 'dead', effect: 'unknown', retry: 'never', kind: 'lost' },
  ],
  [
    'a loss before a statement was sent',
    connectionLost('nothing-sent', said('read ECONNRESET')),
    'statement',
    { connection: 'dead', effect: 'none', retry: 'connection', kind: 'lost' },
  ],
  [
    'our own limit that the server enforced',
    ours('ERR_LIFEGUARD_DEADLINE', { cause: answered('57014') }),
    'statement',
    { connection: 'fit', effect: 'rolled-back', retry: 'never', kind: 'deadline' },
  ],
  [
    'our own limit on an idle transaction',
    ours('ERR_LIFEGUARD_DEADLINE', { cause: answered('25P03'), consequence: 'nothing-sent' }),
    'in-transaction',
    { connection: 'dead', effect: 'rolled-back', retry: 'never' },
  ],
  [
    'a caller who leaves before it is his turn',
    ours('ERR_LIFEGUARD_ABORTED', { consequence: 'nothing-sent', cause: new Error('bye') }),
    'in-transaction',
    { connection: 'fit', retry: 'never', kind: 'cancelled' },
  ],
  [
    'load that was shed before the first statement',
    ours('ERR_LIFEGUARD_OVERLOADED', { consequence: 'nothing-sent' }),
    'in-transaction',
    { connection: 'dead', effect: 'none', retry: 'never', kind: 'overload' },
  ],
  [
    'a cached plan in another language',
    said('gecachter Plan darf den Ergebnistyp nicht ändern', {
      ...{ code: '0A000', severity: 'FEHLER', routine: 'RevalidateCachedQuery' },
    }),
    'statement',
    { connection: 'fit', effect: 'none', retry: 'stale-plan' },
  ],
  ['a feature that is absent', answered('0A000'), 'in-transaction', { retry: 'never', kind: 'unsupported' }],
  [
    'a name that is gone inside a transaction',
    answered('26000'),
    'in-transaction',
    { effect: 'rolled-back', retry: 'stale-plan' },
  ],
  ['a batch that met a conflict', ours('ERR_LIFEGUARD_BATCH', { cause: answered('40001') }), 'commit', CONFLICT],
  [
    'a batch whose connection was lost',
    ours('ERR_LIFEGUARD_BATCH', { cause: connectionLost('may-have-run', undefined) }),
    'commit',
    UNKNOWN,
  ],
  [
    'a COMMIT that was answered by ROLLBACK after a conflict',
    ours('ERR_LIFEGUARD_ROLLED_BACK', { cause: answered('40P01') }),
    'commit',
    CONFLICT,
  ],
  [
    'a statement after one that failed',
    ours('ERR_LIFEGUARD_TRANSACTION_FAILED', { cause: answered('23514') }),
    'in-transaction',
    { effect: 'rolled-back', retry: 'never', kind: 'constraint' },
  ],
  ["a wait in PgBouncer's line", bouncer('query_wait_timeout'), 'commit', { effect: 'none', retry: 'connection' }],
  ['a crash behind PgBouncer', bouncer('server conn crashed?'), 'commit', UNKNOWN],
  [
    'a name that PgBouncer does not know',
    bouncer('prepared statement did not exist'),
    'statement',
    { connection: 'dead', effect: 'none', retry: 'connection', kind: 'stale-plan' },
  ],
  [
    'a server that reads no sense in what was sent',
    connectionLost(
      'may-have-run',
      said('invalid frontend message', { code: '08P01', severity: 'FATAL', routine: 'x' }),
    ),
    'in-transaction',
    { effect: 'rolled-back', retry: 'never', kind: 'protocol' },
  ],
  [
    'a FATAL of pgcat, which goes on listening',
    said('error receiving data from server: x', { code: '58000', severity: 'FATAL' }),
    'commit',
    UNKNOWN,
  ],
  [
    'a FATAL of Supavisor about its own line',
    said('(ECHECKOUTTIMEOUT) unable to check out connection from the pool', { code: 'XX000', severity: 'FATAL' }),
    'statement',
    { connection: 'dead', effect: 'none', retry: 'connection' },
  ],
  [
    'a row that could not be read, of a statement that carried COMMIT',
    new Error('boom'),
    'commit',
    { connection: 'fit', effect: 'unknown', retry: 'never', kind: 'unknown-commit' },
  ],
  [
    'a failure of something else that the user asked meanwhile',
    said('read ECONNRESET', { code: 'ECONNRESET' }),
    'in-transaction',
    { connection: 'fit', effect: 'rolled-back', retry: 'never', kind: 'foreign' },
  ],
  ['what is no error at all', 'a string', 'in-transaction', { retry: 'never', kind: 'foreign' }],
];

describe('the reading of a failure', () => {
  for (const [what, error, phase, failure] of READINGS) {
    test(`in phase ${phase} knows ${what}`, () => {
      expect(failureOf(error, { phase })).toMatchObject(failure);
    });
  }

  test('does not retry what CockroachDB calls ambiguous', () => {
    for (const phase of ['statement', 'commit'] as const) {
      expect(failureOf(answered('40003'), { phase })).toMatchObject({ effect: 'unknown', retry: 'never' });
    }
  });
});

describe('the codes of retry.on', () => {
  for (const code of ['55P03', '53200', '25006', '55006', '57014', '57P01', '23505', '40001', 'P0001', 'MY001']) {
    test(`may be asked to hold ${code}`, () => expect(mayBeAsked(code)).toBe(true));
  }

  for (const code of [
    '08007',
    '40003',
    '57P05',
    '57P04',
    '25P02',
    '23503',
    '42601',
    '08006',
    'ECONNRESET',
    '4001',
    '',
  ]) {
    test(`may not be asked to hold "${code}"`, () => expect(mayBeAsked(code)).toBe(false));
  }
});

describe('a failure of the dial', () => {
  test('is permanent for the reasons that no time mends', () => {
    for (const code of ['28P01', '3D000', '42501', 'CERT_HAS_EXPIRED', 'EACCES']) {
      expect(isPermanentDialFailure(said('as planned', { code }))).toBe(true);
    }
    expect(isPermanentDialFailure(said('no such user: x', { code: '08P01', severity: 'FATAL' }))).toBe(true);
  });

  test('is not permanent where it may go by itself', () => {
    for (const code of ['53300', '57P03', 'ECONNREFUSED', 'ENOTFOUND', '42601', '57P04']) {
      expect(isPermanentDialFailure(said('as planned', { code }))).toBe(false);
    }
    expect(isPermanentDialFailure(undefined)).toBe(false);
  });

  test('is not permanent when it is one of another pool that was asked for the password', () => {
    expect(isPermanentDialFailure(ours('ERR_LIFEGUARD_REJECTED'))).toBe(false);
  });
});
