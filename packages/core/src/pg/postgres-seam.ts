import type { Clock } from '../clock.ts';
import { isLifeguardError, LifeguardError } from '../errors.ts';
import type { Warnings } from '../events.ts';
import type { Settings } from '../options.ts';
import type { Contagion, Seam } from '../pool/seam.ts';
import { inRootContext } from '../root-context.ts';
import { Cancels } from './cancel.ts';
import { clientConfig } from './client-config.ts';
import type { CommitOutcome, Evidence } from './commit-outcome.ts';
import { endedAmong } from './ended.ts';
import { Hooked } from './hook.ts';
import { connectionLost } from './loss.ts';
import { PgConnection } from './pg-connection.ts';
import type { PgClient, PgClientClass } from './pg-subset.ts';
import { Pooler } from './pooler.ts';
import { Resolver } from './resolver.ts';
import { Scripts } from './scripts.ts';
import { SideConnection } from './side-connection.ts';
import { readSql, type SqlReading } from './sql-words.ts';
import { isCancelled, isPermanentDialFailure, isReadOnlyRefusal, isShutdown } from './sqlstate.ts';
import { StartupLimits } from './startup.ts';
import { type Reset, verdictOn } from './verdict.ts';

/** The seam for PostgreSQL: what it means to open, check, clean, interrupt and close a session. */
export class PostgresSeam implements Seam<PgConnection> {
  /** All texts that this pool was given lately. */
  readonly scripts: Scripts;
  /** Others beside `onConnect` who meet connections that nobody has. */
  readonly greeters: Set<Greeter> = new Set();
  readonly #settings: Settings;
  readonly #Client: PgClientClass;
  readonly #clock: Clock;
  readonly #startup: StartupLimits;
  readonly #pooler: Pooler;
  readonly #cancels: Cancels;
  readonly #side: SideConnection;
  /** How the server reads plain strings: where backslashes count, words in them cannot be told from words outside. */
  #strings: 'standard' | 'with backslashes' = 'standard';
  readonly #resolver: Resolver;

  constructor(settings: Settings, Client: PgClientClass, { clock, warnings }: { clock: Clock; warnings: Warnings }) {
    this.#settings = settings;
    this.#Client = Client;
    this.#clock = clock;
    this.#pooler = new Pooler(settings, warnings);
    this.scripts = new Scripts(() => settings.prepare === 'auto' && this.#pooler.keepsSessions);
    this.#startup = new StartupLimits(settings, this.#pooler.profile);
    this.#cancels = new Cancels(clock, () => this.#pooler.profile.cancels === 'passed-on');
    this.#side = new SideConnection((signal) => this.connect(signal, () => undefined));
    this.#resolver = new Resolver(this.#side, clock);
  }

  connect(signal: AbortSignal, lost: (error: unknown) => void): Promise<PgConnection> {
    return inRootContext(() => this.#login(signal, lost));
  }

  async introduce(connection: PgConnection): Promise<void> {
    await this.#pooler.inspect(connection, this.#startup);
    if (connection.session.readsBackslashes) this.#strings = 'with backslashes';
    await this.#greet(connection);
  }

  check(connection: PgConnection): Promise<void> {
    return this.#pooler.check(connection);
  }

  /** A transaction that was left open is rolled back; a session that was changed is put back. */
  async clean(connection: PgConnection): Promise<void> {
    if (connection.transactionStatus !== 'I') await connection.query({ text: 'ROLLBACK' });
    const verdict = verdictOn(connection, this.reset);
    if (verdict.kind === 'keep') return;
    if (verdict.kind !== 'clean') throw new Error('the connection is not fit to be kept');
    await connection.query({ text: RESET_SESSION });
    await this.#greet(connection);
  }

  /** DESIGN.md §5.7: fit again only if the statement said that it was cancelled *and* the request is known to be spent. */
  async interrupt(connection: PgConnection): Promise<void> {
    if (connection.kind === 'running') {
      await this.#cancels.stop(connection);
      if (!isCancelled(connection.lastFailure)) throw new Error('the cancel request may still be on its way');
    }
    await this.clean(connection);
  }

  /** Cancel, then Terminate, then the server's own end: after a mere goodbye a statement runs on to its end. */
  async close(connection: PgConnection): Promise<void> {
    connection.forsake();
    await this.#cancels.stop(connection).catch(() => undefined);
    // Behind a pooler nobody else could be asked what became of the session: it is the pooler's.
    await connection.leave().catch((error: unknown) => {
      if (!this.#pooler.isBetween) throw error;
    });
  }

  destroy(connection: PgConnection): void {
    connection.cutOff();
  }

  /**
   * Asks, over a side connection, what has become of sessions whose end we could not see, and ends those that are
   * left. Behind a pooler there is nothing to ask: the sessions are the pooler's.
   */
  async confirmClosed(connections: readonly PgConnection[], signal: AbortSignal): Promise<readonly PgConnection[]> {
    if (this.#pooler.isBetween) return connections;
    return this.#side.use(signal, (side) => endedAmong(side, connections, this.#clock.now()));
  }

  /** Asks, over a side connection, what became of a COMMIT whose answer was lost. */
  resolve(evidence: Evidence): Promise<CommitOutcome> {
    return this.#resolver.resolve(evidence);
  }

  /** Cancels what runs. Resolves when nothing runs any more. */
  stop(connection: PgConnection): Promise<void> {
    return this.#cancels.stop(connection);
  }

  /** The limits that new connections are given at login, by the server's names, in milliseconds. */
  get limits(): ReadonlyMap<string, number> {
    return this.#startup.sent;
  }

  /** Those that the server enforces by itself, at login given or not: from its configuration, from ALTER ROLE. */
  get inForce(): ReadonlyMap<string, number> {
    return this.#pooler.inForce ?? this.#startup.sent;
  }

  /** Those that were meant to be enforced. */
  get wanted(): ReadonlyMap<string, number> {
    return this.#startup.wanted;
  }

  /** Whether statements may share a connection: it is ours for as long as it lives, and their words can be believed. */
  get mayShare(): boolean {
    return this.#pooler.keepsSessions && this.#strings === 'standard';
  }

  get reset(): Reset {
    return this.#pooler.resetting(this.#settings.resetOnRelease);
  }

  /** Why a statement must not be sent: behind a pooler it would do something else than it says. */
  refusalOf(reading: SqlReading): LifeguardError | undefined {
    return this.#pooler.refusalOf(reading);
  }

  /** The same of a text, which is not even read where a connection goes to the server itself. */
  refusalOfText(text: string): LifeguardError | undefined {
    return this.#pooler.sharesSessions ? this.#pooler.refusalOf(readSql(text)) : undefined;
  }

  /** Why a transaction must not be begun. */
  refusalOfTransaction(): LifeguardError | undefined {
    return this.#pooler.refusalOfTransaction();
  }

  /** The error of a statement as its caller understands it, where it is the pooler that explains it. */
  explain(error: unknown): unknown {
    return this.#pooler.explain(error);
  }

  isPermanent(error: unknown): boolean {
    return isPermanentDialFailure(error);
  }

  contagion(connection: PgConnection, error: unknown): Contagion {
    const reason = isLifeguardError(error, 'ERR_LIFEGUARD_CONNECTION_LOST') ? error.cause : error;
    this.#pooler.learn(reason);
    if (isShutdown(reason)) return 'suspect';
    if (!isReadOnlyRefusal(reason)) return 'none';
    return connection.session.isReadOnlyByWish ? 'none' : 'stale';
  }

  stalled(connection: PgConnection): void {
    connection.pipeline.stalled();
  }

  rest(connection: PgConnection): void {
    if (this.#settings.allowExitOnIdle) connection.client.unref();
  }

  wake(connection: PgConnection): void {
    if (this.#settings.allowExitOnIdle) connection.client.ref();
  }

  /** Dials until the server takes our startup packet: each refusal drops what was refused. */
  async #login(signal: AbortSignal, lost: (error: unknown) => void): Promise<PgConnection> {
    for (;;) {
      const { sent } = this.#startup;
      try {
        return await this.#dial(signal, lost);
      } catch (error) {
        const refusal = signal.aborted ? undefined : this.#startup.drop(error, sent);
        if (refusal === undefined) throw error;
        if (refusal.isNews) this.#pooler.refused(refusal.name, error);
      }
    }
  }

  async #dial(signal: AbortSignal, lost: (error: unknown) => void): Promise<PgConnection> {
    const client = new this.#Client(clientConfig(this.#settings, this.#startup));
    const { password, connectionString } = this.#settings.forPg;
    // A connection string without a password would otherwise win over a password that is given beside it.
    if (connectionString !== undefined && password !== undefined) client.password = password;
    const { connectionParameters } = client;
    connectionParameters.options = this.#startup.commandLine(connectionParameters.options);
    const connection = new PgConnection(client, this.scripts, (error, during) => {
      lost(error);
      if (during === 'ready') for (const greeter of this.greeters) greeter.mourn(connection, error);
    });
    const onAbort = (): void => this.#giveUpLogin(connection);
    signal.addEventListener('abort', onAbort);
    try {
      signal.throwIfAborted();
      this.#timeTheNetwork(client);
      await client.connect();
      connection.opened(this.#clock.now());
      return connection;
    } catch (error) {
      connection.cutOff();
      throw withCode(error);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** From the end of the search for the address to the first answer from there. */
  #timeTheNetwork({ connection: { stream } }: PgClient): void {
    let since = this.#clock.now();
    stream.once('lookup', () => {
      since = this.#clock.now();
    });
    stream.once('connect', () => this.scripts.dialled(this.#clock.now() - since));
  }

  /**
   * A server that is slow to let us in may have begun a session already. It is asked to go, and given time to see
   * that: until then its place is not free. `connect()` of pg rejects when the socket has closed.
   */
  #giveUpLogin(connection: PgConnection): void {
    const { stream } = connection.client.connection;
    if (stream.connecting || stream.destroyed) return connection.cutOff();
    stream.end();
    const limit = this.#clock.after(this.#settings.closeTimeoutMillis, () => connection.cutOff(), 'idle');
    stream.once('close', () => limit.cancel());
  }

  /** The user's own part of a login. What it sets is how the session is meant to be, and no dirt. */
  async #greet(connection: PgConnection): Promise<void> {
    const { onConnect } = this.#settings;
    // For every request that will use the connection, and not for the one whose dial or reset it happens to be.
    for (const greeter of this.greeters) await inRootContext(() => greeter.greet(connection));
    if (onConnect !== undefined) await this.#hook(connection, onConnect);
    if (connection.kind !== 'ready' || connection.transactionStatus !== 'I') {
      throw hookFailed(
        'The onConnect hook, or a listener of "connect", left a statement or a transaction open, so the connection was not used.',
      );
    }
    connection.session.settleIn();
  }

  async #hook(connection: PgConnection, onConnect: NonNullable<Settings['onConnect']>): Promise<void> {
    const hooked = new Hooked(connection, (text) => this.refusalOfText(text));
    try {
      await inRootContext(() => onConnect(hooked));
    } catch (cause) {
      throw hookFailed('The onConnect hook failed, so the connection was not used. Its error is the cause.', cause);
    } finally {
      hooked.end();
    }
  }
}

/** Meets connections where nobody has them: new ones, and those that were lost while nothing ran. */
interface Greeter {
  greet(connection: PgConnection): Promise<void>;
  mourn(connection: PgConnection, error: unknown): void;
}

function hookFailed(message: string, cause?: unknown): LifeguardError {
  return new LifeguardError('ERR_LIFEGUARD_HOOK_FAILED', message, { cause });
}

/** pg says of a server that hangs up only that, in words. Whoever reads a log or an event needs a name for it. */
function withCode(error: unknown): unknown {
  const isNameless = error instanceof Error && error.message.startsWith('Connection terminated');
  return isNameless ? connectionLost('nothing-sent', error) : error;
}

/**
 * Clears everything that the server lets a session leave behind, but not the prepared statements, of which pg keeps
 * its own account. https://www.postgresql.org/docs/current/sql-discard.html lists what DISCARD ALL would do.
 */
export const RESET_SESSION =
  'SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); DISCARD SEQUENCES; DISCARD TEMP';
