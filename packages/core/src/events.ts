import { type Channel, channel } from 'node:diagnostics_channel';

/**
 * What a pool tells, over `node:diagnostics_channel`. Each payload is a plain object without secrets: no connection
 * string, no parameter, no row; of an error the code, or else the name. Nothing is built for a channel that nobody
 * listens to.
 */
export interface Events {
  'lifeguard:pool:opened': { pool: string; slot: number; dialMillis: number };
  'lifeguard:pool:dial-failed': { pool: string; slot: number; attempts: number; retryInMillis: number; error: string };
  'lifeguard:pool:closing': { pool: string; slot: number; reason: string; error?: string };
  'lifeguard:pool:closed': { pool: string; slot: number; reason: string; closeMillis: number };
  'lifeguard:pool:overdue': { pool: string; slot: number; reason: string; closingMillis: number };
  'lifeguard:pool:breaker': { pool: string; state: 'open' | 'closed'; error?: string };
  'lifeguard:pool:refused': { pool: string; code: string; waitedMillis: number; waiting: number };
  'lifeguard:pool:invalidated': { pool: string; reason: string };
  'lifeguard:pool:late-tick': { pool: string; lateMillis: number };
  'lifeguard:pool:pooler': { pool: string; parameter: string; how: 'refused' | 'ignored' };
  'lifeguard:pool:warning': { pool: string; code: string; message: string };
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
}

/** A lease that is out for longer than `leakAfterMillis`. */
export interface Leak {
  readonly pool: string;
  readonly name: string;
  readonly slot: number;
  readonly heldMillis: number;
  /** Held, but nothing ran on it. */
  readonly silentMillis: number;
  /** Text of the last statement, without its values. */
  readonly lastStatement?: string;
  /** Where the lease was taken: sampled, and always for a name that leaked before. */
  readonly stack?: string;
}

export type EventName = keyof Events;

const EVENT_NAMES = [
  'lifeguard:pool:opened',
  'lifeguard:pool:dial-failed',
  'lifeguard:pool:closing',
  'lifeguard:pool:closed',
  'lifeguard:pool:overdue',
  'lifeguard:pool:breaker',
  'lifeguard:pool:refused',
  'lifeguard:pool:invalidated',
  'lifeguard:pool:late-tick',
  'lifeguard:pool:pooler',
  'lifeguard:pool:warning',
  'lifeguard:lease:started',
  'lifeguard:lease:ended',
  'lifeguard:lease:leaked',
  'lifeguard:lease:returned',
  'lifeguard:statement:started',
  'lifeguard:statement:ended',
] as const satisfies readonly EventName[];

const channels = new Map<EventName, Channel>(EVENT_NAMES.map((name) => [name, channel(name)]));

/** For the hot path: one property read that says whether a payload is worth building. */
export const leaseStarted: Channel = channel('lifeguard:lease:started');
export const leaseEnded: Channel = channel('lifeguard:lease:ended');
export const statementStarted: Channel = channel('lifeguard:statement:started');
export const statementEnded: Channel = channel('lifeguard:statement:ended');

/** The payload is a function so that it costs nothing when nobody listens. */
export function publish<Name extends EventName>(name: Name, payload: () => Events[Name]): void {
  const target = channels.get(name);
  if (target?.hasSubscribers === true) target.publish(payload());
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

  warn(code: string, message: string, fields: Readonly<Record<string, unknown>> = {}): void {
    publish('lifeguard:pool:warning', () => ({ pool: this.#pool, code, message }));
    if (this.#logger !== undefined) {
      this.#log(this.#logger, `lifeguard: ${message}`, { pool: this.#pool, code, ...fields });
    } else if (!channels.get('lifeguard:pool:warning')?.hasSubscribers && !this.#emitted.has(code)) {
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
