import { LifeguardError } from '../errors.ts';
import type { Priority } from '../pool/waiters.ts';
import { checkCall, ownOptions } from './call-options.ts';
import { readSettings, type Setting, type SettingsOption } from './settings.ts';

/** What holds for a whole request or job. Every part may be absent, and an unknown one is refused. */
export interface ScopeOptions {
  /** A route or a job, not data of a request. @default 'scope' */
  readonly name?: string | undefined;
  /** Whatever waits or runs in it gives up with `ERR_LIFEGUARD_ABORTED`. */
  readonly signal?: AbortSignal | undefined;
  /** Time limit of all its work together, in milliseconds above 0. Then `ERR_LIFEGUARD_DEADLINE`. @default none */
  readonly timeoutMillis?: number | undefined;
  /** The same, as an instant: a Date, or milliseconds since 1970. The earlier of both counts. @default none */
  readonly deadline?: Date | number | undefined;
  /** Settings of each of its statements and transactions, for row-level security. They never outlast one. */
  readonly settings?: SettingsOption | undefined;
  /** The role that they run as. */
  readonly role?: string | undefined;
  /** The server refuses writes; in return a statement whose connection was lost is sent again. @default false */
  readonly readOnly?: boolean | undefined;
  /** A bulkhead declared in the pool's `groups`. */
  readonly group?: string | undefined;
  readonly priority?: Priority | undefined;
  /** `statement`: a connection for each statement. `pinned`: one for all, from the first statement to the end. @default 'statement' */
  readonly mode?: 'statement' | 'pinned' | undefined;
}

const ABSENT: { readonly [Part in keyof Required<ScopeOptions>]: undefined } = Object.freeze({
  name: undefined,
  signal: undefined,
  timeoutMillis: undefined,
  deadline: undefined,
  settings: undefined,
  role: undefined,
  readOnly: undefined,
  group: undefined,
  priority: undefined,
  mode: undefined,
});

/** The same, checked. */
export interface ScopeWish extends Omit<ScopeOptions, 'settings' | 'role'> {
  readonly settings: readonly Setting[];
}

export function readScopeOptions(given: ScopeOptions): ScopeWish {
  const options: ScopeOptions = ownOptions<ScopeOptions>(given, ABSENT, refuse);
  const { name, signal, timeoutMillis, group, priority, deadline, readOnly, mode } = options;
  checkCall({ name, signal, timeoutMillis, group, priority });
  // Read once: what is checked is what counts.
  const instant = deadline === undefined ? undefined : Number(deadline);
  if (deadline !== undefined && !isInstant(deadline, instant))
    refuse('deadline must be a Date, or milliseconds since 1970');
  if (readOnly !== undefined && typeof readOnly !== 'boolean') refuse('readOnly must be true or false');
  if (mode !== undefined && mode !== 'statement' && mode !== 'pinned') refuse('mode is "statement" or "pinned"');
  return { ...options, deadline: instant, settings: readSettings(options.settings, options.role) };
}

/** A number that is no instant of our time is most likely a duration. */
function isInstant(deadline: unknown, instant: number | undefined): boolean {
  if (typeof deadline !== 'number' && Object.prototype.toString.call(deadline) !== '[object Date]') return false;
  return instant !== undefined && Number.isFinite(instant) && instant > LONG_AGO;
}

/** September 2001. */
const LONG_AGO = 1_000_000_000_000;

function refuse(complaint: string): never {
  throw new LifeguardError('ERR_LIFEGUARD_ARGUMENT', `The scope was not opened: ${complaint}.`, {
    consequence: 'nothing-sent',
  });
}
