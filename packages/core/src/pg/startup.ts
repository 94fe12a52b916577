import type { Settings } from '../options.ts';
import { DIRECT, type PoolerProfile } from './pooler-profiles.ts';
import { codeOf, refusedParameter } from './sqlstate.ts';

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
  readonly #refused = new Set<string>();

  constructor(settings: Settings, { atLogin }: Pick<PoolerProfile, 'atLogin'> = DIRECT) {
    const { connectionString = '' } = settings.forPg;
    const all: [Parameter, number][] = [
      ['statement_timeout', settings.statementTimeoutMillis],
      ['lock_timeout', settings.lockTimeoutMillis],
      ['idle_in_transaction_session_timeout', settings.idleInTransactionTimeoutMillis],
      ['client_connection_check_interval', settings.clientCheckMillis],
      ['transaction_timeout', settings.transactionTimeoutMillis],
    ];
    // pg gives way to a connection string that names a limit itself, and so do we.
    const wanted = all.filter(([name, millis]) => millis > 0 && !new RegExp(`[?&]${name}=`).test(connectionString));
    this.#wanted = new Map(wanted.map(([name, millis]) => [name, Math.ceil(millis)]));
    for (const [name] of all) if (!isTaken(name, atLogin)) this.#refused.add(name);
  }

  /** The limits that the user wants, sent or not. */
  get wanted(): ReadonlyMap<string, number> {
    return this.#wanted;
  }

  /** The limits in force on a connection that was opened now, by the server's names, in milliseconds. */
  get sent(): ReadonlyMap<string, number> {
    return new Map([...this.#wanted].filter(([name]) => !this.#refused.has(name)));
  }

  /** The part of pg's configuration that carries them. */
  config(): object {
    const { sent } = this;
    const fields = FIELDS.filter((name) => sent.has(name)).map((name) => [name, sent.get(name)]);
    return { ...Object.fromEntries(FIELDS.map((name) => [name, undefined])), ...Object.fromEntries(fields) };
  }

  /** The server's command line: what the user wants there, by whatever way pg found it, and our limits behind it. */
  commandLine(users: string | undefined): string {
    const { sent } = this;
    const switches = COMMAND_LINE.filter((name) => sent.has(name)).map((name) => `-c ${name}=${sent.get(name)}`);
    return [users, ...switches].filter(Boolean).join(' ');
  }

  /**
   * Whether a dial failed because of the limits that were sent with it, and is worth another try without them. Of
   * several dials that are refused at the same time the first one brings the news, and the others try again too.
   */
  drop(error: unknown, sent: ReadonlyMap<string, number>): { name: string; isNews: boolean } | undefined {
    const name = refusedParameter(error);
    const isPooler = codeOf(error) === '08P01';
    const dropped = name === undefined ? [] : this.#affectedBy(name, isPooler).filter((one) => sent.has(one));
    if (name === undefined || dropped.length === 0) return undefined;
    const isNews = dropped.some((parameter) => !this.#refused.has(parameter));
    for (const parameter of dropped) this.#refused.add(parameter);
    return { name, isNews };
  }

  /** A pooler that refuses one field refuses the others too; a server that does not take one setting takes the rest. */
  #affectedBy(name: string, isPooler: boolean): readonly Parameter[] {
    if (isPooler && (FIELDS as readonly string[]).includes(name)) return [...this.#wanted.keys()];
    // Any other name is one that the user gave, and no affair of ours.
    const isCommandLine = name === 'options';
    return [...this.#wanted.keys()].filter((one) => name === one || (isCommandLine && isOnCommandLine(one)));
  }
}

function isTaken(parameter: Parameter, atLogin: PoolerProfile['atLogin']): boolean {
  return atLogin === 'all' || (atLogin === 'fields' && !isOnCommandLine(parameter));
}

function isOnCommandLine(parameter: Parameter): boolean {
  return (COMMAND_LINE as readonly Parameter[]).includes(parameter);
}
