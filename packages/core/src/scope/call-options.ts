import { LifeguardError } from '../errors.ts';
import type { Owner, Priority } from '../pool/waiters.ts';

/** How a single call wants to be treated. */
export interface CallOptions {
  /** Gives up: in the line, or while the statement runs, which is then cancelled on the server. */
  readonly signal?: AbortSignal | undefined;
  /** Time limit of the whole call, in milliseconds. For a lease: of the wait for it. */
  readonly timeoutMillis?: number | undefined;
  /** In errors, leak reports and `snapshot().held`: a route or a job, not data of a request. */
  readonly name?: string | undefined;
  /** A bulkhead declared in the pool's `groups`. */
  readonly group?: string | undefined;
  /** Who goes first when there is a line. @default normal */
  readonly priority?: Priority | undefined;
  /** The unit of work that asks: once it was given a connection, it goes ahead of newcomers. */
  readonly owner?: Owner | undefined;
}

const KEYS: ReadonlySet<string> = new Set(['signal', 'timeoutMillis', 'name', 'group', 'priority', 'owner']);
const PRIORITIES: ReadonlySet<unknown> = new Set(['high', 'normal', 'low', undefined]);

export function checkCall(options: CallOptions): CallOptions {
  if (typeof options !== 'object' || options === null) refuse(`options are an object, not ${typeof options}`);
  for (const key of Object.keys(options)) if (!KEYS.has(key)) refuse(`there is no option "${key}"`);
  const { timeoutMillis, signal, priority } = options;
  if (timeoutMillis !== undefined && !(Number.isFinite(timeoutMillis) && timeoutMillis > 0)) {
    refuse(`timeoutMillis must be a number above 0, not ${timeoutMillis}; leave it out for no limit`);
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) refuse('signal must be an AbortSignal');
  if (!PRIORITIES.has(priority)) refuse('priority must be "high", "normal" or "low"');
  return options;
}

function refuse(message: string): never {
  throw new LifeguardError('ERR_LIFEGUARD_ARGUMENT', `Nothing was sent: ${message}.`, { consequence: 'nothing-sent' });
}
