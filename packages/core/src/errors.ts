/** What is known about a statement whose connection was lost. */
export type Consequence = 'nothing-sent' | 'may-have-run';

export interface ErrorKind {
  /** Whether the same unit of work may simply be tried again. */
  readonly retryable: boolean;
  /** The HTTP answer, where HTTP has a word for it. */
  readonly statusCode?: number;
}

/**
 * Every error that Lifeguard makes itself, in one table. Each code has a heading in docs/4-errors.md; a test compares.
 * What PostgreSQL answers to a statement is passed on as it is and is not in here.
 */
export const ERROR_KINDS: Readonly<Record<LifeguardErrorCode, ErrorKind>> = {
  ERR_LIFEGUARD_OPTION: { retryable: false },
  ERR_LIFEGUARD_ARGUMENT: { retryable: false },
  ERR_LIFEGUARD_ACQUIRE_TIMEOUT: { retryable: true, statusCode: 503 },
  ERR_LIFEGUARD_OVERLOADED: { retryable: true, statusCode: 503 },
  ERR_LIFEGUARD_LINE_FULL: { retryable: true, statusCode: 503 },
  ERR_LIFEGUARD_UNAVAILABLE: { retryable: true, statusCode: 503 },
  ERR_LIFEGUARD_REJECTED: { retryable: false, statusCode: 500 },
  ERR_LIFEGUARD_CONNECT_TIMEOUT: { retryable: true, statusCode: 503 },
  ERR_LIFEGUARD_HOOK_FAILED: { retryable: true, statusCode: 500 },
  ERR_LIFEGUARD_CONNECTION_LOST: { retryable: false, statusCode: 500 },
  ERR_LIFEGUARD_DEADLINE: { retryable: false, statusCode: 504 },
  ERR_LIFEGUARD_ABORTED: { retryable: false },
  ERR_LIFEGUARD_LEASE_ENDED: { retryable: false },
  ERR_LIFEGUARD_POOL_CLOSED: { retryable: false, statusCode: 503 },
  ERR_LIFEGUARD_POOLER: { retryable: false, statusCode: 500 },
  ERR_LIFEGUARD_SCOPE_ENDED: { retryable: false },
  ERR_LIFEGUARD_SELF_DEADLOCK: { retryable: false, statusCode: 503 },
  ERR_LIFEGUARD_SETTING: { retryable: false },
  ERR_LIFEGUARD_BATCH: { retryable: false },
  ERR_LIFEGUARD_PROPAGATION: { retryable: false },
  ERR_LIFEGUARD_TRANSACTION_CONTROL: { retryable: false },
  ERR_LIFEGUARD_CURSOR_OPEN: { retryable: false },
  ERR_LIFEGUARD_SANDBOX: { retryable: false },
  ERR_LIFEGUARD_INTERLEAVED: { retryable: false, statusCode: 500 },
  ERR_LIFEGUARD_TRANSACTION_ENDED: { retryable: false },
  ERR_LIFEGUARD_TRANSACTION_FAILED: { retryable: false },
  ERR_LIFEGUARD_ROLLED_BACK: { retryable: false, statusCode: 500 },
  ERR_LIFEGUARD_COMMIT_UNKNOWN: { retryable: false, statusCode: 500 },
};

export type LifeguardErrorCode =
  | 'ERR_LIFEGUARD_OPTION'
  | 'ERR_LIFEGUARD_ARGUMENT'
  | 'ERR_LIFEGUARD_ACQUIRE_TIMEOUT'
  | 'ERR_LIFEGUARD_OVERLOADED'
  | 'ERR_LIFEGUARD_LINE_FULL'
  | 'ERR_LIFEGUARD_UNAVAILABLE'
  | 'ERR_LIFEGUARD_REJECTED'
  | 'ERR_LIFEGUARD_CONNECT_TIMEOUT'
  | 'ERR_LIFEGUARD_HOOK_FAILED'
  | 'ERR_LIFEGUARD_CONNECTION_LOST'
  | 'ERR_LIFEGUARD_DEADLINE'
  | 'ERR_LIFEGUARD_ABORTED'
  | 'ERR_LIFEGUARD_LEASE_ENDED'
  | 'ERR_LIFEGUARD_POOL_CLOSED'
  | 'ERR_LIFEGUARD_POOLER'
  | 'ERR_LIFEGUARD_SCOPE_ENDED'
  | 'ERR_LIFEGUARD_SELF_DEADLOCK'
  | 'ERR_LIFEGUARD_SETTING'
  | 'ERR_LIFEGUARD_BATCH'
  | 'ERR_LIFEGUARD_PROPAGATION'
  | 'ERR_LIFEGUARD_TRANSACTION_CONTROL'
  | 'ERR_LIFEGUARD_CURSOR_OPEN'
  | 'ERR_LIFEGUARD_SANDBOX'
  | 'ERR_LIFEGUARD_INTERLEAVED'
  | 'ERR_LIFEGUARD_TRANSACTION_ENDED'
  | 'ERR_LIFEGUARD_TRANSACTION_FAILED'
  | 'ERR_LIFEGUARD_ROLLED_BACK'
  | 'ERR_LIFEGUARD_COMMIT_UNKNOWN';

/** The state of a pool at the moment of an error: numbers only. */
export interface PoolFigures {
  readonly pool: string;
  readonly max: number;
  readonly size: number;
  readonly connecting: number;
  readonly idle: number;
  readonly leased: number;
  /** Shared by single statements of many callers. */
  readonly lanes: number;
  /** In the pool's own hands: being checked, cleaned or interrupted. */
  readonly tending: number;
  readonly closing: number;
  readonly waiting: number;
  /** The lease that is out for the longest time. */
  readonly longest?: { readonly name: string; readonly heldMillis: number };
}

export interface ErrorDetails {
  /** What made it happen. Kept as it is and not enumerable, so that it is not copied into logs by accident. */
  readonly cause?: unknown;
  readonly retryable?: boolean;
  readonly retryAfterSeconds?: number;
  readonly consequence?: Consequence;
  readonly figures?: PoolFigures;
  /** Of a batch: which of its statements it was, counted from 0. */
  readonly index?: number;
}

const INSPECT: unique symbol = Symbol.for('nodejs.util.inspect.custom');

/** Two copies of this package in one process still recognise each other's errors. */
const BRAND: unique symbol = Symbol.for('lifeguard.error');

/**
 * The one class of Lifeguard's own errors: match on `code`. Messages carry numbers and advice, never a connection
 * string, a password, a parameter or a row.
 */
export class LifeguardError extends Error {
  declare readonly code: LifeguardErrorCode;
  declare readonly retryable: boolean;
  declare readonly statusCode?: number;
  declare readonly retryAfterSeconds?: number;
  declare readonly consequence?: Consequence;
  declare readonly figures?: PoolFigures;
  declare readonly index?: number;

  constructor(code: LifeguardErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    const kind = ERROR_KINDS[code];
    this.code = code;
    this.retryable = details.retryable ?? kind.retryable;
    if (kind.statusCode !== undefined) this.statusCode = kind.statusCode;
    if (details.retryAfterSeconds !== undefined) this.retryAfterSeconds = details.retryAfterSeconds;
    if (details.consequence !== undefined) this.consequence = details.consequence;
    if (details.figures !== undefined) this.figures = details.figures;
    if (details.index !== undefined) this.index = details.index;
  }

  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && BRAND in value;
  }
}

Object.defineProperty(LifeguardError.prototype, 'name', { value: 'LifeguardError', configurable: true });
Object.defineProperty(LifeguardError.prototype, BRAND, { value: true });
Object.defineProperty(LifeguardError.prototype, INSPECT, {
  value(this: LifeguardError): string {
    return printed(this);
  },
});

/** Whether `error` is one of ours, and of that code where one is given. */
export function isLifeguardError(error: unknown): error is LifeguardError;
export function isLifeguardError<Code extends LifeguardErrorCode>(
  error: unknown,
  code: Code,
): error is LifeguardError & { readonly code: Code };
export function isLifeguardError(error: unknown, code?: LifeguardErrorCode): boolean {
  return error instanceof LifeguardError && (code === undefined || error.code === code);
}

/** "10 of 10 leased, 0 idle, …": the sentence about the pool that every error of the line carries. */
export function describeFigures(figures: PoolFigures): string {
  const { size, max, leased, lanes, tending, idle, connecting, closing, waiting, longest } = figures;
  const shared = lanes > 0 ? `, ${lanes} shared (lanes)` : '';
  const tended = tending === 0 ? '' : `, ${tending} being checked or cleaned`;
  const state = `size ${size} of ${max}: ${leased} leased${shared}${tended}, ${idle} idle, ${connecting} connecting, ${closing} closing; ${waiting} waiting`;
  if (longest === undefined) return state;
  return `${state}. The longest lease is held by "${longest.name}" since ${Math.round(longest.heldMillis)} ms`;
}

/**
 * What `console.log` shows. Printing an error must not copy rows into logs: of the cause its stack is shown, and not
 * its fields, of which PostgreSQL's `detail` holds data.
 * https://nodejs.org/api/util.html#custom-inspection-functions-on-objects
 */
function printed(error: LifeguardError): string {
  const head = `${error.stack ?? error.message} ${JSON.stringify({ ...error })}`;
  if (error.cause === undefined) return head;
  const cause = isLifeguardError(error.cause) ? printed(error.cause) : stackOf(error.cause);
  return `${head}\n  [cause]: ${cause.replaceAll('\n', '\n  ')}`;
}

function stackOf(cause: unknown): string {
  return cause instanceof Error ? (cause.stack ?? cause.message) : typeof cause;
}

/** An error's code or name and nothing else of it: what may go into a message or a log line. */
export function nameOf(error: unknown): string {
  try {
    if (!(error instanceof Error)) return typeof error;
    const code: unknown = (error as { code?: unknown }).code;
    return typeof code === 'string' ? code : error.name;
  } catch {
    return 'unreadable'; // A proxy, a getter that throws: it is somebody else's code.
  }
}
