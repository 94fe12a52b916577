import { isLifeguardError, type LifeguardError } from '../errors.ts';
import { publish, type Warnings } from '../events.ts';
import type { Settings } from '../options.ts';
import type { PgConnection } from './pg-connection.ts';
import { DIRECT, type PoolerProfile, PROFILES, profileOf, SHARED, UNPROVEN } from './pooler-profiles.ts';
import { nameRefusal, sessionRefusal, transactionRefusal } from './pooler-refusal.ts';
import { SESSION, Sightings, sessionBehind } from './sightings.ts';
import type { SqlReading } from './sql-words.ts';
import { isNamelessOrTaken, isRdsProxy, isStatementMode } from './sqlstate.ts';
import type { Reset } from './verdict.ts';

/** Limits by the server's names, in milliseconds. */
export type Limits = ReadonlyMap<string, number>;

/** What lies between us and the server: told by the option `pooler`, or noticed, and said once. */
export class Pooler {
  readonly #pool: string;
  readonly #option: Settings['pooler'];
  readonly #warnings: Warnings;
  readonly #sightings = new Sightings();
  /** What is believed of it. `#believe` changes it. */
  #profile: PoolerProfile;
  #inspection: 'not-yet' | 'underway' | 'done' = 'not-yet';
  /** The limits that the server enforces on a session of ours; unknown until a connection has been asked. */
  #inForce: Limits | undefined;
  /** The parameter that was refused at login, until it is known whether its limit is in force all the same. */
  #refused: string | undefined;

  constructor({ name, pooler }: Pick<Settings, 'name' | 'pooler'>, warnings: Warnings) {
    this.#pool = name;
    this.#option = pooler;
    this.#warnings = warnings;
    this.#profile = profileOf(pooler);
  }

  /** Then the key and the process that the login told are the pooler's own and name no process of the server. */
  get isBetween(): boolean {
    return this.#profile.processes === 'pooler';
  }

  /** Then nothing that outlives a transaction may be sent. */
  get sharesSessions(): boolean {
    return this.#profile.session === 'transaction' || this.#profile.session === 'statement';
  }

  /** Then what was prepared is still there at the next statement. */
  get keepsSessions(): boolean {
    // Other connections may be in use already while the first one is asked.
    const isKnown = this.#option !== 'auto' || this.#inspection === 'done';
    return isKnown && this.#profile.session === 'connection';
  }

  get profile(): PoolerProfile {
    return this.#profile;
  }

  /** The limits that the server enforces by itself: from login, from ALTER ROLE, or from its configuration. */
  get inForce(): Limits | undefined {
    return this.#inForce;
  }

  /** A startup parameter was refused, and the dial is tried without it. */
  refused(parameter: string, error: unknown): void {
    publish('lifeguard:pool:pooler', () => ({ pool: this.#pool, parameter, how: 'refused' }));
    if (isRdsProxy(error)) this.#believe(PROFILES['rds-proxy']);
    this.#refused ??= parameter;
    this.#inspection = 'not-yet';
    this.#inForce = undefined;
  }

  /**
   * On the first connection one round trip asks: did what we sent arrive, and who is it that answers? Behind a pooler of
   * which it is not known yet whether it shares sessions, each further connection is asked too.
   */
  async inspect(connection: PgConnection, limits: { readonly wanted: Limits; readonly sent: Limits }): Promise<void> {
    if (this.#inspection === 'done' && this.#isUnproven) await this.#look(connection);
    if (this.#inspection !== 'not-yet') return;
    this.#inspection = 'underway';
    const rows = await this.#ask(connection);
    this.#inspection = 'done';
    if (rows.some(({ pid }) => pid !== connection.client.processID)) this.#notDirect();
    this.#compare(rows, limits);
    const session = rows[0]?.session;
    if (this.#isUnproven && session !== undefined) await this.#judge(connection, session);
  }

  /** The cheapest round trip, and while it is not known whether sessions are shared, one that may show it. */
  async check(connection: PgConnection): Promise<void> {
    if (this.#isUnproven) await this.#look(connection);
    else await connection.query({ text: '' });
  }

  /** A statement has failed, or lost its connection: some poolers say what they are only then. */
  learn(error: unknown): void {
    if (isStatementMode(error)) this.#believe(PROFILES['pgbouncer-statement']);
  }

  /** Why a statement must not be sent. */
  refusalOf(reading: SqlReading): LifeguardError | undefined {
    if (!this.sharesSessions) return undefined;
    if (this.#profile.session === 'statement' && reading.transaction.at(-1) === 'begin')
      return transactionRefusal(this.#profile);
    return reading.dirt === 'none' ? undefined : sessionRefusal(this.#profile, reading);
  }

  /** Why a transaction must not be begun. */
  refusalOfTransaction(): LifeguardError | undefined {
    return this.#profile.session === 'statement' ? transactionRefusal(this.#profile) : undefined;
  }

  /** The error of a statement, said in our own words where only the pooler explains it. */
  explain(error: unknown): unknown {
    const reason = isLifeguardError(error, 'ERR_LIFEGUARD_CONNECTION_LOST') ? error.cause : error;
    if (isStatementMode(reason)) return transactionRefusal(PROFILES['pgbouncer-statement'], reason);
    return (this.sharesSessions || this.#isUnproven) && isNamelessOrTaken(reason)
      ? nameRefusal(this.#profile, reason)
      : error;
  }

  /**
   * How a session may be put back as it was. Where it is not ours, or may not be, a reset would run in a stranger's:
   * there a connection that was changed is given up, and its pooler does with the session what it does when we leave.
   */
  resetting(wish: Settings['resetOnRelease']): Reset {
    const { session } = this.#profile;
    if (session === 'connection' || wish === 'never') return wish;
    // Who cleans always must also be rid of what no text shows, and shared sessions are only feared here.
    return session === 'unproven' && wish === 'always' ? wish : 'replace';
  }

  get #isUnproven(): boolean {
    return this.#profile.session === 'unproven';
  }

  /** What the user has told us stands, unless it is contradicted by the pooler itself. */
  #believe(profile: PoolerProfile): void {
    this.#profile = profile;
    this.#sightings.clear();
  }

  /** Whoever says that there is no pooler may still have something before the server that makes up its own numbers. */
  #notDirect(): void {
    if (this.isBetween) return;
    this.#believe(this.#option === 'none' ? { ...DIRECT, processes: 'pooler' } : UNPROVEN);
  }

  async #ask(connection: PgConnection): Promise<readonly InspectionRow[]> {
    try {
      return (await connection.query<InspectionRow>({ text: INSPECTION })).rows;
    } catch (error) {
      // The next connection asks again.
      this.#inspection = 'not-yet';
      throw error;
    }
  }

  async #look(connection: PgConnection): Promise<void> {
    await this.#judge(connection, await sessionBehind(connection));
  }

  async #judge(connection: PgConnection, session: string): Promise<void> {
    const seen = this.#sightings.see(connection, session);
    if (seen === 'nothing') return;
    const isProven = seen === 'moved' || (await this.#isStillShared(connection));
    if (isProven && this.#isUnproven) this.#believe(SHARED);
  }

  /** By the time of this answer we have read of the end of a connection that had the session before us. */
  async #isStillShared(connection: PgConnection): Promise<boolean> {
    return this.#sightings.see(connection, await sessionBehind(connection)) !== 'nothing';
  }

  #compare(rows: readonly InspectionRow[], { wanted, sent }: { readonly wanted: Limits; readonly sent: Limits }): void {
    const set = rows.map(({ name, setting }) => [name, Number(setting)] as const);
    const inForce = new Map(set.filter(([, millis]) => millis > 0));
    this.#inForce = inForce;
    const isMissing = (name: string, millis: number): boolean => !((inForce.get(name) ?? Infinity) <= millis);
    const missing = [...wanted].filter(([name, millis]) => this.#matters(name) && isMissing(name, millis));
    for (const [name, millis] of missing) if (sent.has(name)) this.#ignored(name, millis, inForce.get(name) ?? 0);
    const unsent = missing.map(([name]) => name).filter((name) => !sent.has(name));
    if (unsent.length > 0) this.#unsent(unsent);
  }

  /** Behind a pooler the client that the server looks after is the pooler. */
  #matters(name: string): boolean {
    return !(this.isBetween && name === 'client_connection_check_interval');
  }

  #ignored(parameter: string, wanted: number, setting: number): void {
    publish('lifeguard:pool:pooler', () => ({ pool: this.#pool, parameter, how: 'ignored' }));
    const message = `"${parameter}" was sent at login as ${wanted} ms and is ${setting} ms on the server: a pooler ignores startup parameters, so that limit is not enforced by the server. Set it with ALTER ROLE … SET ${parameter} instead.`;
    this.#warnings.warn('LIFEGUARD_PARAMETER_IGNORED', message, { parameter, wanted, setting });
  }

  #unsent(names: readonly string[]): void {
    const parameter = this.#refused ?? names[0];
    const why =
      this.#refused === undefined
        ? `${this.#profile.label} takes no limits at login`
        : `the server or a pooler before it refuses "${this.#refused}" at login`;
    const message = `${why}, so the server does not enforce ${names.join(', ')} as wished. Set ${names.length === 1 ? 'it' : 'them'} with ALTER ROLE … SET ${names[0]} = … instead.`;
    this.#warnings.warn('LIFEGUARD_PARAMETER_REFUSED', message, { parameter, parameters: names });
  }
}

interface InspectionRow {
  readonly pid: number;
  readonly session: string;
  readonly name: string;
  readonly setting: string;
}

/** pg_settings gives plain numbers in the setting's own unit, which is the millisecond for all of these. */
const INSPECTION = `SELECT pg_backend_pid() AS pid, ${SESSION} AS session, name, setting FROM pg_settings
 WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout', 'client_connection_check_interval')`;
