import { LifeguardError } from '../errors.ts';
import type { Modes } from '../pg/sql-script.ts';
import type { Priority } from '../pool/waiters.ts';
import { ownOptions, refuseBadCall } from './call-options.ts';
import { type Propagation, ROUTES } from './propagation.ts';
import { type RetryOptions, type RetryPolicy, readRetry } from './retry.ts';
import { readSettings, type Setting, type SettingsOption } from './settings.ts';

export type Isolation = 'read committed' | 'repeatable read' | 'serializable';

/** How a transaction is to be. Every part may be absent, and an unknown one is refused. */
export interface TransactionOptions {
  /** @default the server's `default_transaction_isolation`, which is read committed */
  readonly isolation?: Isolation | undefined;
  /** @default the server's `default_transaction_read_only`, which is false */
  readonly readOnly?: boolean | undefined;
  /** Waits for a snapshot that needs no retry; with `serializable` and `readOnly` only. @default the server's `default_transaction_deferrable`, which is false */
  readonly deferrable?: boolean | undefined;
  /** Time limit of all of it, waiting and retries included, in milliseconds above 0. Then `ERR_LIFEGUARD_DEADLINE`. @default none */
  readonly timeoutMillis?: number | undefined;
  /** Gives up with `ERR_LIFEGUARD_ABORTED`. */
  readonly signal?: AbortSignal | undefined;
  /** Wait for one lock at most, in milliseconds above 0. @default the pool's `lockTimeoutMillis` */
  readonly lockTimeoutMillis?: number | undefined;
  /** Settings that last until its end. */
  readonly settings?: SettingsOption | undefined;
  /** The role that its statements run as. */
  readonly role?: string | undefined;
  /** Retries of the whole of it after a serialization failure, a deadlock or a connection lost before COMMIT; `false` for none. Counts where it begins one of its own. @default { attempts: 10 } */
  readonly retry?: number | false | RetryOptions | undefined;
  /** What it does where a transaction is open already. @default 'required', and 'nested' on a transaction */
  readonly propagation?: Propagation | undefined;
  /** What is done about a COMMIT whose answer was lost. Counts where it begins one of its own. @default 'report' */
  readonly commitOutcome?: 'report' | 'resolve' | 'token' | undefined;
  /** In errors, events and `snapshot().held`. @default 'transaction' */
  readonly name?: string | undefined;
  /** A bulkhead declared in the pool's `groups`. */
  readonly group?: string | undefined;
  readonly priority?: Priority | undefined;
}

const ABSENT: { readonly [Part in keyof Required<TransactionOptions>]: undefined } = Object.freeze({
  isolation: undefined,
  readOnly: undefined,
  deferrable: undefined,
  timeoutMillis: undefined,
  signal: undefined,
  lockTimeoutMillis: undefined,
  settings: undefined,
  role: undefined,
  retry: undefined,
  propagation: undefined,
  commitOutcome: undefined,
  name: undefined,
  group: undefined,
  priority: undefined,
});

/** The same, checked. */
export interface Wish extends Omit<TransactionOptions, 'settings' | 'role' | 'retry' | 'lockTimeoutMillis'> {
  readonly settings: readonly Setting[];
  readonly retry: RetryPolicy;
}

export const ISOLATIONS: readonly Isolation[] = ['read committed', 'repeatable read', 'serializable'];
const OUTCOMES: readonly unknown[] = ['report', 'resolve', 'token', undefined];

export function readTransactionOptions(given: TransactionOptions, mayBeAsked: (code: string) => boolean): Wish {
  const options: TransactionOptions = ownOptions<TransactionOptions>(given, ABSENT, refuse);
  const { isolation, readOnly, deferrable, propagation, commitOutcome, lockTimeoutMillis } = options;
  const { timeoutMillis, signal, name, group, priority } = options;
  refuseBadCall({ timeoutMillis, signal, name, group, priority, owner: undefined, lane: undefined });
  if (isolation !== undefined && !ISOLATIONS.includes(isolation)) refuse(`isolation is one of ${list(ISOLATIONS)}`);
  if (readOnly !== undefined && typeof readOnly !== 'boolean') refuse('readOnly must be true or false');
  if (deferrable !== undefined && typeof deferrable !== 'boolean') refuse('deferrable must be true or false');
  if (deferrable === true && !(isolation === 'serializable' && readOnly === true)) {
    refuse('deferrable has an effect only with isolation "serializable" and readOnly');
  }
  if (propagation !== undefined && !Object.hasOwn(ROUTES, propagation))
    refuse(`propagation is one of ${list(Object.keys(ROUTES))}`);
  if (!OUTCOMES.includes(commitOutcome)) refuse('commitOutcome is "report", "resolve" or "token"');
  if (lockTimeoutMillis !== undefined && !(Number.isFinite(lockTimeoutMillis) && lockTimeoutMillis > 0)) {
    refuse(`lockTimeoutMillis must be a number above 0, not ${String(lockTimeoutMillis)}`);
  }
  const lock =
    lockTimeoutMillis === undefined
      ? []
      : [{ name: 'lock_timeout', value: String(Math.min(Math.ceil(lockTimeoutMillis), 2_147_483_647)) }];
  const settings = [...lock, ...readSettings(options.settings, options.role)];
  return { ...options, settings, retry: readRetry(options.retry, mayBeAsked) };
}

/** https://www.postgresql.org/docs/current/sql-begin.html */
export function beginStatement(wish: Wish): string {
  return ['BEGIN', ...modesOf(wish)].join(' ');
}

/** As the server is told them. https://www.postgresql.org/docs/current/sql-set-transaction.html */
export function modesOf({ isolation, readOnly, deferrable }: Said): readonly string[] {
  return [
    ...(isolation === undefined ? [] : [`ISOLATION LEVEL ${isolation.toUpperCase()}`]),
    ...(readOnly === undefined ? [] : [readOnly ? 'READ ONLY' : 'READ WRITE']),
    ...(deferrable === undefined ? [] : [deferrable ? 'DEFERRABLE' : 'NOT DEFERRABLE']),
  ];
}

/** Absent is as good as undefined. */
type Said = { readonly [Mode in keyof Modes]: Modes[Mode] | undefined };

function list(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}

function refuse(complaint: string): never {
  throw new LifeguardError('ERR_LIFEGUARD_ARGUMENT', `Nothing was sent: ${complaint}.`, {
    consequence: 'nothing-sent',
  });
}
