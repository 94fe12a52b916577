import { LifeguardError } from '../errors.ts';
import { isPlain, nearest } from '../option-rules.ts';
import { Owner, type Priority } from '../pool/waiters.ts';

/** How a single call wants to be treated. Every part may be absent, and an unknown one is refused. */
export interface CallOptions {
  /** Gives up with `ERR_LIFEGUARD_ABORTED`: in the line, or while the statement runs, which is then cancelled on the server; one that shares its connection runs to its end. */
  readonly signal?: AbortSignal | undefined;
  /** Time limit of the whole call, in milliseconds, above 0; then `ERR_LIFEGUARD_DEADLINE`. For a lease: of the wait for it. @default none; the line by `acquireTimeoutMillis`, the statement by the server's `statementTimeoutMillis` */
  readonly timeoutMillis?: number | undefined;
  /** In errors, leak reports and `snapshot().held`: a route or a job, not data of a request. @default 'query' or 'lease' */
  readonly name?: string | undefined;
  /** A bulkhead declared in the pool's `groups`. @default none */
  readonly group?: string | undefined;
  /** Who goes first when there is a line. @default normal */
  readonly priority?: Priority | undefined;
  /**
   * Whether it may share a connection with others. `true`: also where its text does not show that it only reads, takes no
   * locks and is quick, and a caller knows that it is harmless; where it cannot share, it has one to itself all the same.
   * `false`: never. @default as the pool's option `lane` and the text say
   */
  readonly lane?: boolean | undefined;
  /** The unit of work that asks: once it was given a connection, it goes ahead of newcomers, and is not shed. @default none */
  readonly owner?: Owner | undefined;
}

/** How long one statement on a lease, or `ready()`, may take. */
export type LimitOptions = Pick<CallOptions, 'signal' | 'timeoutMillis'>;

/** How one statement of a scope is run. */
export type StatementOptions = Pick<CallOptions, 'signal' | 'timeoutMillis' | 'lane'>;

/** All parts are own ones, so that a polluted prototype cannot fill an absent one. */
export const NO_OPTIONS: CallOptions = Object.freeze({
  signal: undefined,
  timeoutMillis: undefined,
  name: undefined,
  group: undefined,
  priority: undefined,
  lane: undefined,
  owner: undefined,
});

export const UNLIMITED: LimitOptions = Object.freeze({ signal: undefined, timeoutMillis: undefined });
export const ANYHOW: StatementOptions = Object.freeze({ ...UNLIMITED, lane: undefined });

const PRIORITIES: ReadonlySet<unknown> = new Set(['high', 'normal', 'low', undefined]);

/** What is left to say of a call that is part of a unit of work: that has its place already. */
export function limitsOf(options: CallOptions): LimitOptions {
  if (options === NO_OPTIONS) return UNLIMITED;
  const { signal, timeoutMillis } = checkCall(options);
  return { signal, timeoutMillis };
}

/** The same for a statement of a scope. */
export function callLimitsOf(options: CallOptions): StatementOptions {
  if (options === NO_OPTIONS) return ANYHOW;
  const { signal, timeoutMillis, lane } = checkCall(options);
  return { signal, timeoutMillis, lane };
}

export function checkCall(given: CallOptions): CallOptions {
  const options = ownOptions(given, NO_OPTIONS, refuse);
  refuseBadCall(options);
  return options;
}

/** What is wrong with parts that are own ones already. */
export function refuseBadCall(options: CallOptions): void {
  refuseBadLimits(options);
  const { name, group, priority, owner, lane } = options;
  if (name !== undefined && !isText(name)) refuse('name must be a string that is not empty');
  if (group !== undefined && !isText(group)) refuse('group must be a string that is not empty');
  if (!PRIORITIES.has(priority)) refuse('priority must be "high", "normal" or "low"');
  refuseBadLane({ lane });
  if (owner !== undefined && !(owner instanceof Owner)) refuse('owner must be an Owner: new Owner()');
}

/** Whose a statement on a lease is, and in which group, the lease has said: naming it again would be a mistake. */
export function checkLimits(given: LimitOptions): LimitOptions {
  const options = ownOptions(given, UNLIMITED, (complaint) =>
    refuse(`${complaint}; it takes signal and timeoutMillis`),
  );
  refuseBadLimits(options);
  return options;
}

export function checkStatement(given: StatementOptions): StatementOptions {
  if (given === ANYHOW) return given;
  const options = ownOptions(given, ANYHOW, (complaint) =>
    refuse(`${complaint}; it takes signal, timeoutMillis and lane`),
  );
  refuseBadLimits(options);
  refuseBadLane(options);
  return options;
}

/** A copy of what was given, own parts only. A name that is nearly right is a mistake and no wish to be ignored. */
export function ownOptions<Options extends object>(
  given: Options,
  absent: Options,
  complain: (complaint: string) => never,
): Options {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    complain(
      `options are an object, not ${Array.isArray(given) ? 'an array' : typeof given}; query() and lease() return promises and take no callback`,
    );
  const known = Object.keys(absent);
  for (const key of Object.keys(given)) {
    if (!known.includes(key)) complain(`there is no option "${key}"${nearest(key, known)}`);
  }
  if (!isPlain(given)) complain('options are a plain object: of anything else some parts might not be seen');
  return { ...absent, ...given };
}

function refuseBadLimits({ timeoutMillis, signal }: LimitOptions): void {
  if (timeoutMillis !== undefined && !(Number.isFinite(timeoutMillis) && timeoutMillis > 0)) {
    refuse(`timeoutMillis must be a number above 0, not ${String(timeoutMillis)}; leave it out for no limit`);
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) refuse('signal must be an AbortSignal');
}

function refuseBadLane({ lane }: Pick<CallOptions, 'lane'>): void {
  if (lane !== undefined && typeof lane !== 'boolean') refuse('lane must be true or false');
}

/** What needs a connection to itself cannot say otherwise. */
export function refuseLane({ lane }: CallOptions, of: string): void {
  if (lane !== undefined) refuse(`${of} takes no lane: it always has a connection to itself`);
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function refuse(message: string): never {
  throw new LifeguardError('ERR_LIFEGUARD_ARGUMENT', `Nothing was sent: ${message}.`, { consequence: 'nothing-sent' });
}
