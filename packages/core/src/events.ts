import { type Channel, channel } from 'node:diagnostics_channel';
import type { LifeguardErrorCode } from './errors.ts';

/**
 * What a pool tells, over `node:diagnostics_channel`. Each payload is a plain object without secrets: no connection
 * string, no parameter, no row; of an error the code, or else the name. Nothing is built for a channel that nobody
 * listens to.
 */
export interface Events {
  'lifeguard:pool:opened': { pool: string; slot: number; dialMillis: number };
  'lifeguard:pool:dial-failed': { pool: string; slot: number; attempts: number; retryInMillis: number; error: string };
  'lifeguard:pool:closing': { pool: string; slot: number; reason: CloseReason; error?: string };
  'lifeguard:pool:closed': { pool: string; slot: number; reason: CloseReason; closeMillis: number };
  'lifeguard:pool:overdue': { pool: string; slot: number; reason: CloseReason; closingMillis: number };
  'lifeguard:pool:breaker': { pool: string; state: 'open' | 'closed'; error?: string };
  'lifeguard:pool:refused': { pool: string; code: LifeguardErrorCode; waitedMillis: number; waiting: number };
  'lifeguard:pool:invalidated': { pool: string; reason: string };
  'lifeguard:pool:late-tick': { pool: string; lateMillis: number };
  'lifeguard:pool:pooler': { pool: string; parameter: string; how: 'refused' | 'ignored' };
  'lifeguard:pool:warning': { pool: string; code: WarningCode; message: string };
  'lifeguard:lease:started': { pool: string; name: string; slot: number; waitedMillis: number };
  'lifeguard:lease:ended': { pool: string; name: string; slot: number; heldMillis: number; queryingMillis: number };
  'lifeguard:lease:leaked': Leak;
  'lifeguard:lease:returned': { pool: string; name: string; slot: number; heldMillis: number };
  'lifeguard:statement:started': { pool: string; name: string; slot: number; text: string };
  'lifeguard:statement:ended': {
    pool: string;
    name: string;
    slot: number;
    text: string;
    millis: number;
    error?: string;
  };
  'lifeguard:statement:late': { pool: string; name: string };
  'lifeguard:transaction:started': { pool: string; name: string; attempt: number };
  'lifeguard:transaction:ended': {
    pool: string;
    name: string;
    attempt: number;
    outcome: 'committed' | 'rolled-back' | 'unknown';
    millis: number;
    error?: string;
  };
  'lifeguard:transaction:retry': { pool: string; name: string; attempt: number; code: string; delayMillis: number };
  'lifeguard:transaction:hook-failed': { pool: string; name: string; when: 'commit' | 'rollback'; error: string };
}

/** Why a connection was closed. The list is closed: it is what snapshots count and dashboards group by. */
export type CloseReason =
  | 'lost'
  | 'in-transaction'
  | 'dirty'
  | 'clean-failed'
  | 'interrupt-failed'
  | 'check-failed'
  | 'dial-timed-out'
  | 'hook-failed'
  | 'dial-abandoned'
  | 'idle'
  | 'lifetime'
  | 'max-uses'
  | 'surplus'
  | 'invalidated'
  | 'discarded'
  | 'reclaimed'
  | 'collected'
  | 'pool-closed';

/** What a warning is about. docs/5 says what each of them means. */
export type WarningCode =
  | 'LIFEGUARD_LEASE_LEAKED'
  | 'LIFEGUARD_LEASE_RETURNED'
  | 'LIFEGUARD_LEASE_RECLAIMED'
  | 'LIFEGUARD_LEASE_COLLECTED'
  | 'LIFEGUARD_PARAMETER_REFUSED'
  | 'LIFEGUARD_PARAMETER_IGNORED'
  | 'LIFEGUARD_SELF_DEADLOCK'
  | 'LIFEGUARD_HOOK_FAILED'
  | 'LIFEGUARD_NOT_REPLICATED'
  | 'LIFEGUARD_MANY_SAVEPOINTS'
  | 'LIFEGUARD_LEFT_OPEN';

/** A lease that is out for longer than `leakAfterMillis`. */
export interface Leak {
  /** The pool's `name`. */
  readonly pool: string;
  /** The lease's `name`: a route or a job. */
  readonly name: string;
  /** The number of the slot, for following one connection. */
  readonly slot: number;
  /** Since it was lent. */
  readonly heldMillis: number;
  /** Of these, the time in which nothing ran on it. */
  readonly silentMillis: number;
  /** Text of the last statement, without its values. */
  readonly lastStatement?: string;
  /** Where the lease was taken: sampled, and always for a name that leaked before. */
  readonly stack?: string;
}

export type EventName = keyof Events;

const CHANNELS: { readonly [Name in EventName]: Named<Name> } = {
  'lifeguard:pool:opened': named('lifeguard:pool:opened'),
  'lifeguard:pool:dial-failed': named('lifeguard:pool:dial-failed'),
  'lifeguard:pool:closing': named('lifeguard:pool:closing'),
  'lifeguard:pool:closed': named('lifeguard:pool:closed'),
  'lifeguard:pool:overdue': named('lifeguard:pool:overdue'),
  'lifeguard:pool:breaker': named('lifeguard:pool:breaker'),
  'lifeguard:pool:refused': named('lifeguard:pool:refused'),
  'lifeguard:pool:invalidated': named('lifeguard:pool:invalidated'),
  'lifeguard:pool:late-tick': named('lifeguard:pool:late-tick'),
  'lifeguard:pool:pooler': named('lifeguard:pool:pooler'),
  'lifeguard:pool:warning': named('lifeguard:pool:warning'),
  'lifeguard:lease:started': named('lifeguard:lease:started'),
  'lifeguard:lease:ended': named('lifeguard:lease:ended'),
  'lifeguard:lease:leaked': named('lifeguard:lease:leaked'),
  'lifeguard:lease:returned': named('lifeguard:lease:returned'),
  'lifeguard:statement:started': named('lifeguard:statement:started'),
  'lifeguard:statement:ended': named('lifeguard:statement:ended'),
  'lifeguard:statement:late': named('lifeguard:statement:late'),
  'lifeguard:transaction:started': named('lifeguard:transaction:started'),
  'lifeguard:transaction:ended': named('lifeguard:transaction:ended'),
  'lifeguard:transaction:retry': named('lifeguard:transaction:retry'),
  'lifeguard:transaction:hook-failed': named('lifeguard:transaction:hook-failed'),
};

/** For the hot path: one property read that says whether a payload is worth building. @internal */
export const leaseStarted: Channel = CHANNELS['lifeguard:lease:started'];
/** @internal */
export const leaseEnded: Channel = CHANNELS['lifeguard:lease:ended'];
/** @internal */
export const statementStarted: Channel = CHANNELS['lifeguard:statement:started'];
/** @internal */
export const statementEnded: Channel = CHANNELS['lifeguard:statement:ended'];

/** The payload is a function so that it costs nothing when nobody listens. */
export function publish<Name extends EventName>(name: Name, payload: () => Events[Name]): void {
  const target: Channel = CHANNELS[name];
  if (target.hasSubscribers) target.publish(payload());
}

/** A channel under the wrong key would not compile. */
type Named<Name> = Channel & { readonly name: Name };

function named<Name extends EventName>(name: Name): Named<Name> {
  return channel(name) as Named<Name>;
}

/** Shaped like pino (fields first) or like the console (message first); the first is told by its `bindings()`. */
export interface Logger {
  warn(...args: never[]): void;
}

/**
 * A warning is heard by the logger, or else by a subscriber of `lifeguard:pool:warning`; one that nobody hears goes
 * once per code to `process.emitWarning`.
 */
export class Warnings {
  readonly #pool: string;
  readonly #logger: Logger | undefined;
  readonly #emitted = new Set<string>();

  constructor(pool: string, logger: Logger | undefined) {
    this.#pool = pool;
    this.#logger = logger;
  }

  warn(code: WarningCode, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    publish('lifeguard:pool:warning', () => ({ pool: this.#pool, code, message }));
    if (this.#logger !== undefined) {
      this.#log(this.#logger, `lifeguard: ${message}`, { pool: this.#pool, code, ...fields });
    } else if (!CHANNELS['lifeguard:pool:warning'].hasSubscribers && !this.#emitted.has(code)) {
      this.#emitted.add(code);
      process.emitWarning(`[${this.#pool}] ${message}`, { type: 'LifeguardWarning', code });
    }
  }

  #log(logger: Logger, message: string, fields: object): void {
    const warn = logger.warn as (...args: unknown[]) => void;
    try {
      if ('bindings' in logger) warn.call(logger, fields, message);
      else warn.call(logger, message, fields);
    } catch {
      // A logger that throws is the user's to mend; a connection must not be lost over it.
    }
  }
}
