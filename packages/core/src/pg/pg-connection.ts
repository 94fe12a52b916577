import type * as net from 'node:net';
import { type Consequence, LifeguardError } from '../errors.ts';
import type { PgClient, ServerMessage } from './pg-subset.ts';
import { type Dirt, worse } from './sql-dirt.ts';
import { readSql } from './sql-words.ts';
import { isOutdatedPlan, isUnknownStatement } from './sqlstate.ts';
import type { QueryResult, Statement } from './statement.ts';
import { guarded } from './type-parsers.ts';

/**
 * Exactly one of these. A statement makes it running, its answer ready again; `leave()` and the end of the socket are
 * final. Only `#move` changes it.
 */
type State =
  | { readonly kind: 'ready' }
  | Running
  /** Terminate is sent: we wait for the server to close its side. */
  | { readonly kind: 'leaving' }
  | { readonly kind: 'ended'; readonly error: unknown };

interface Running {
  readonly kind: 'running';
  readonly resolve: (result: QueryResult<never>) => void;
  readonly reject: (error: unknown) => void;
  /** Of a prepared statement. */
  readonly name: string | undefined;
  /** The statement has failed, and ReadyForQuery has not come yet: until then the status byte is that of before. */
  failure: unknown;
  /** Not bound: a value could not be converted, and pg has closed again what it had prepared. */
  step: 'binding' | 'sent' | 'not-bound';
  /** Somebody waits for this to be over. */
  over: PromiseWithResolvers<void> | undefined;
}

const READY: State = { kind: 'ready' };

/** One session with the server: a `pg.Client` that answers with consequences. */
export class PgConnection {
  readonly client: PgClient;
  readonly #onLost: (error: unknown) => void;
  #state: State = READY;
  /**
   * Whether the server's end of the session was seen: it said goodbye, or it hung up after we did. A reset, a silent
   * network, a cut of our own say nothing of the server's side, where the session may live on.
   */
  #serverSide: 'open' | 'hung-up' | 'unseen' = 'open';
  #dirt: Dirt = 'none';
  /** The server's reason, where it said one before it hung up. */
  #lastWords: ServerMessage | undefined;
  #openedAt: number | undefined;
  #address: net.NetConnectOpts | undefined;
  #lastFailure: unknown;
  /** Transactions were read-only by default when the session began: by role, database or server, and so by wish. */
  #readOnlyFromStart = false;
  /** Whether the last text may have run in a transaction that its user had opened: before it, or in the text itself. */
  #block: 'none' | 'possible' = 'none';
  /** Settings that the server reports by itself. https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC */
  readonly #reported = new Map<string, string>();
  readonly #gone = Promise.withResolvers<void>();

  constructor(client: PgClient, onLost: (error: unknown) => void) {
    this.client = client;
    this.#onLost = onLost;
    this.#gone.promise.catch(() => undefined); // Not everybody asks.
    client.on('error', (error) => this.#broke(error));
    client.on('notice', (notice) => this.#noticed(notice));
    client.on('drain', () => this.#drained());
    client.once('end', () => this.#closed());
    client.connection.on('parameterStatus', ({ parameterName, parameterValue }) => {
      this.#reported.set(parameterName, parameterValue);
    });
  }

  get kind(): State['kind'] {
    return this.#state.kind;
  }

  get transactionStatus(): 'I' | 'T' | 'E' | null {
    return this.client.getTransactionStatus();
  }

  /** What the texts that ran here have left behind in the session. */
  get dirt(): Dirt {
    return this.#dirt;
  }

  /** How the last statement ended: 57014 proves that a cancel has hit what it was meant for. */
  get lastFailure(): unknown {
    return this.#lastFailure;
  }

  /** An instant on the pool's clock: the server's process is at least as old. */
  get openedAt(): number | undefined {
    return this.#openedAt;
  }

  /** Where the server is, as the socket knows it: a name may mean another server by the time that it is asked again. */
  get address(): net.NetConnectOpts {
    if (this.#address === undefined) throw new Error('bug: a connection that was never opened has no address');
    return this.#address;
  }

  /** The login is done. */
  opened(now: number): void {
    const { stream } = this.client.connection;
    this.#openedAt = now;
    this.#address = addressOf(this.client);
    stream.once('end', () => {
      if (this.#serverSide === 'open' && this.#state.kind === 'leaving') this.#serverSide = 'hung-up';
    });
  }

  /** The session is now as it is meant to be: what was set so far is no dirt. */
  settleIn(): void {
    this.#dirt = 'none';
    this.#readOnlyFromStart = this.#reported.get('default_transaction_read_only') === 'on';
  }

  /** Whether a refused write can be explained by what the user asked for, and not by a failover (DESIGN.md §5.12). */
  get isReadOnlyByWish(): boolean {
    if (this.#reported.get('in_hot_standby') === 'on') return false;
    return this.#readOnlyFromStart || this.#block === 'possible' || this.#dirt !== 'none';
  }

  /** One statement at a time; the caller sees to it. Settles when ReadyForQuery has been read, or the connection is lost. */
  query<Row = Record<string, unknown>>(statement: Statement): Promise<QueryResult<Row>> {
    if (this.#state.kind === 'ended' || this.#state.kind === 'leaving')
      return Promise.reject(this.#lost('nothing-sent'));
    if (this.#state.kind === 'running') throw new Error('bug: a statement was sent before the last one was answered');
    const reading = readSql(statement.text);
    this.#dirt = worse(this.#dirt, reading.dirt);
    this.#lastFailure = undefined;
    this.#block = this.transactionStatus === 'I' && reading.statements <= 1 ? 'none' : 'possible';
    return new Promise<QueryResult<never>>((resolve, reject) => this.#send(forPg(statement), resolve, reject));
  }

  /** Resolves when nothing runs any more, or the connection has ended. */
  quiet(): Promise<void> {
    if (this.#state.kind !== 'running') return Promise.resolve();
    this.#state.over ??= Promise.withResolvers<void>();
    return this.#state.over.promise;
  }

  /**
   * Terminate. Resolves when the server has closed its side, and not when only we have closed ours; rejects when its
   * side cannot be seen any more.
   */
  leave(): Promise<void> {
    if (this.#state.kind !== 'ended') {
      const before = this.#move({ kind: 'leaving' });
      this.#fail(before, new Error('The connection was closed while the statement ran.'));
      this.client.connection.end();
    }
    return this.#gone.promise;
  }

  cutOff(): void {
    if (this.#serverSide === 'open') this.#serverSide = 'unseen';
    this.client.connection.stream.destroy();
  }

  /** The only way from state to state. Whoever waits for a statement to be over is told, however it ended. */
  #move(next: State): State {
    const before = this.#state;
    this.#state = next;
    if (before.kind === 'running') before.over?.resolve();
    return before;
  }

  #send(query: Statement, resolve: Running['resolve'], reject: Running['reject']): void {
    const { name } = query;
    const running: Running = {
      kind: 'running',
      resolve,
      reject,
      name,
      failure: undefined,
      step: 'binding',
      over: undefined,
    };
    this.#move(running);
    try {
      this.client.query(query, undefined, (error, result) => this.#answered(running, error, result));
      running.step = running.failure === undefined ? 'sent' : 'not-bound';
    } catch (error) {
      // How much of it was written is not known: nothing sensible can follow on this connection.
      running.failure = error;
      this.cutOff();
    }
  }

  #answered(running: Running, error: unknown, result: unknown): void {
    if (this.#state !== running || running.failure !== undefined) return;
    // An error comes before ReadyForQuery: wait for `drain`, or for the end of the connection if that is what it means.
    if (error) {
      if (isFarewell(error)) this.#lastWords = error;
      running.failure = error;
      this.#lastFailure = error;
    } else {
      this.#move(READY);
      running.resolve(result as QueryResult<never>);
    }
  }

  #drained(): void {
    const state = this.#state;
    if (state.kind !== 'running' || state.failure === undefined) return;
    if (state.name !== undefined) this.#mindTheName(state.name, state);
    this.#move(READY);
    state.reject(state.failure);
  }

  /** pg goes on using a prepared statement that the server has no more, or has no more use for. */
  #mindTheName(name: string, { failure, step }: Running): void {
    if (step === 'not-bound' || isUnknownStatement(failure)) delete this.client.connection.parsedStatements[name];
    else if (isOutdatedPlan(failure)) this.#dirt = 'sticky';
  }

  #noticed(notice: ServerMessage): void {
    // Of a crash of another backend (57P02) this is all that is ever said: the connection then just ends.
    const { message, code, severity } = notice;
    if (code?.startsWith('57P')) this.#lastWords = Object.assign(new Error(message), { code, severity });
  }

  /** A FATAL message outside a statement, a socket error, or a message that pg did not expect: nothing can be read any more. */
  #broke(error: ServerMessage): void {
    const hangsUp = isFarewell(error);
    if (hangsUp) this.#lastWords = error;
    this.#end(error);
    // The server hangs up after a FATAL. After anything else that left the socket open, it is we who no longer listen.
    if (!hangsUp && !this.client.connection.stream.destroyed) this.cutOff();
  }

  #closed(): void {
    this.#end(new Error('Connection terminated unexpectedly'));
    if (this.#serverSide === 'hung-up' || this.#lastWords !== undefined) this.#gone.resolve();
    else this.#gone.reject(new Error('The end of the session was not seen: the server may still have it.'));
  }

  #end(error: unknown): void {
    if (this.#state.kind === 'ended') return;
    const reason = this.#lastWords ?? error;
    const before = this.#move({ kind: 'ended', error: reason });
    this.#fail(before, reason);
    if (before.kind !== 'leaving') this.#onLost(reason);
  }

  #fail(state: State, error: unknown): void {
    if (state.kind !== 'running') return;
    state.reject(connectionLost('may-have-run', this.#lastWords ?? state.failure ?? error));
  }

  #lost(consequence: Consequence): LifeguardError {
    return connectionLost(consequence, this.#state.kind === 'ended' ? this.#state.error : undefined);
  }
}

/** Without a prototype: pg reads more keys than these, and none shall come from a polluted `Object.prototype`. */
function forPg(statement: Statement): Statement {
  const query = { __proto__: null, ...statement } as { -readonly [Part in keyof Statement]: Statement[Part] };
  if (query.types !== undefined) query.types = guarded(query.types);
  return query;
}

/** With this message the server ends the session. Severities are translated, so the codes that say it count too. */
function isFarewell(error: unknown): error is ServerMessage {
  if (!(error instanceof Error)) return false;
  const { severity, code = '' } = error as ServerMessage;
  return severity === 'FATAL' || severity === 'PANIC' || FAREWELLS.test(code);
}

/** Shutdown, crash, dropped database, idle session; idle in a transaction, and a transaction that lasted too long. */
const FAREWELLS = /^(57P0[1-5]|25P0[34])$/;

export function connectionLost(consequence: Consequence, cause: unknown): LifeguardError {
  const message =
    consequence === 'nothing-sent'
      ? 'The connection was lost before the statement was sent. Nothing of it has run: it may be tried again.'
      : 'The connection was lost while the statement ran. It may have run to its end: look before you try it again.';
  return new LifeguardError('ERR_LIFEGUARD_CONNECTION_LOST', message, {
    cause,
    consequence,
    retryable: consequence === 'nothing-sent',
  });
}

function addressOf(client: PgClient): net.NetConnectOpts {
  const { remoteAddress, remotePort } = client.connection.stream;
  if (remoteAddress !== undefined && remotePort !== undefined) return { host: remoteAddress, port: remotePort };
  const isSocketFile = client.host.startsWith('/');
  return isSocketFile ? { path: `${client.host}/.s.PGSQL.${client.port}` } : { host: client.host, port: client.port };
}
