import type { Settings } from '../options.ts';
import { refusedParameter } from './sqlstate.ts';

/** The server's limits that go into the startup packet, where they cost nothing and survive a reset of the session. */
const FIELDS = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'] as const;
const COMMAND_LINE = ['client_connection_check_interval', 'transaction_timeout'] as const;
type Parameter = (typeof FIELDS)[number] | (typeof COMMAND_LINE)[number];

/**
 * Which limits are sent with a new connection. Poolers refuse startup parameters and older servers do not know all of
 * them: what was refused once is not sent again.
 */
export class StartupLimits {
  readonly #wanted: ReadonlyMap<Parameter, number>;
  readonly #options: string | undefined;
  readonly #refused = new Set<string>();

  constructor(settings: Settings) {
    this.#options = settings.forPg.options;
    const all: [Parameter, number][] = [
      ['statement_timeout', settings.statementTimeoutMillis],
      ['lock_timeout', settings.lockTimeoutMillis],
      ['idle_in_transaction_session_timeout', settings.idleInTransactionTimeoutMillis],
      ['client_connection_check_interval', settings.clientCheckMillis],
      ['transaction_timeout', settings.transactionTimeoutMillis],
    ];
    this.#wanted = new Map(all.filter(([, millis]) => millis > 0).map(([name, millis]) => [name, Math.ceil(millis)]));
  }

  /** The limits in force on a connection that was opened now, by the server's names, in milliseconds. */
  get sent(): ReadonlyMap<string, number> {
    return new Map([...this.#wanted].filter(([name]) => !this.#refused.has(name)));
  }

  /** The part of pg's configuration that carries them. */
  config(): object {
    const { sent } = this;
    const fields = FIELDS.filter((name) => sent.has(name)).map((name) => [name, sent.get(name)]);
    const switches = COMMAND_LINE.filter((name) => sent.has(name)).map((name) => `-c ${name}=${sent.get(name)}`);
    const options = [this.#options ?? process.env['PGOPTIONS'], ...switches].filter(Boolean).join(' ');
    return { ...Object.fromEntries(FIELDS.map((name) => [name, undefined])), ...Object.fromEntries(fields), options };
  }

  /** Whether the dial failed because of these limits, and is worth another try without them. Returns what was dropped. */
  drop(error: unknown): string | undefined {
    const name = refusedParameter(error);
    if (name === undefined) return undefined;
    const dropped = this.#affectedBy(name).filter((parameter) => !this.#refused.has(parameter));
    for (const parameter of dropped) this.#refused.add(parameter);
    return dropped.length > 0 ? name : undefined;
  }

  /** A pooler that refuses one field refuses the others too; a server that does not know a setting knows the rest. */
  #affectedBy(name: string): readonly Parameter[] {
    if ((FIELDS as readonly string[]).includes(name)) return [...this.#wanted.keys()];
    const one = COMMAND_LINE.filter((parameter) => parameter === name);
    return one.length > 0
      ? one.filter((parameter) => this.#wanted.has(parameter))
      : COMMAND_LINE.filter((parameter) => this.#wanted.has(parameter));
  }
}
