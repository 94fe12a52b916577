import { type Consequence, LifeguardError } from '../errors.ts';
import type { Connection, QueryResult, Statement } from './connection.ts';
import type { PgClient, ServerMessage } from './pg-subset.ts';
import { type Dirt, worse } from './sql-dirt.ts';
import { readSql } from './sql-words.ts';
import { isOutdatedPlan, isUnknownStatement } from './sqlstate.ts';

/** Exactly one of these, moved by the events of the client below and by nothing else. */
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
}

const READY: State = { kind: 'ready' };

/** One session with the server: a `pg.Client` that answers with consequences. */
export class PgConnection implements Connection {
  readonly client: PgClient;
  readonly #onLost: (error: unknown) => void;
  #state: State = READY;
  /** What the texts that ran here have left behind in the session. */
  dirt: Dirt = 'none';
  /** The server's reason, where it said one before it hung up. */
  #lastWords: ServerMessage | undefined;
  /** An instant on the pool's clock: the server's process is at least as old. */
  openedAt = 0;
  /** Transactions were read-only by default when the session began: by role, database or server, and so by wish. */
  #readOnlyFromStart = false;
  /** Whether the last text may have run in a transaction that its user had opened: before it, or in the text itself. */
  #block: 'none' | 'possible' = 'none';
  /** How the last statement ended: 57014 proves that a cancel has hit what it was meant for. */
  lastFailure: unknown;
  /** Settings that the server reports by itself. https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-ASYNC */
  readonly #reported = new Map<string, string>();
  /** Whether we cut the socket off: then its end says nothing of the server's side. */
  #cutOff = false;
  readonly #serverClosed = Promise.withResolvers<void>();
  #quiet: (() => void) | undefined;

  constructor(client: PgClient, onLost: (error: unknown) => void) {
    this.client = client;
    this.#onLost = onLost;
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

  /** The session is now as it is meant to be: what was set so far is no dirt. */
  settleIn(): void {
    this.dirt = 'none';
    this.#readOnlyFromStart = this.#reported.get('default_transaction_read_only') === 'on';
  }

  /** Whether a refused write can be explained by what the user asked for, and not by a failover (DESIGN.md §5.12). */
  get isReadOnlyByWish(): boolean {
    if (this.#reported.get('in_hot_standby') === 'on') return false;
    return this.#readOnlyFromStart || this.#block === 'possible' || this.dirt !== 'none';
  }

  query<Row>(statement: Statement): Promise<QueryResult<Row>> {
    if (this.#state.kind === 'ended' || this.#state.kind === 'leaving')
      return Promise.reject(this.#lost('nothing-sent'));
    if (this.#state.kind === 'running') throw new Error('bug: a statement was sent before the last one was answered');
    const reading = readSql(statement.text);
    this.dirt = worse(this.dirt, reading.dirt);
    this.lastFailure = undefined;
    this.#block = this.transactionStatus === 'I' && reading.statements <= 1 ? 'none' : 'possible';
    return new Promise<QueryResult<never>>((resolve, reject) => {
      const name = Object.hasOwn(statement, 'name') ? statement.name : undefined;
      const running: Running = { kind: 'running', resolve, reject, name, failure: undefined, step: 'binding' };
      this.#state = running;
      try {
        this.client.query(forPg(statement), undefined, (error, result) => this.#answered(running, error, result));
        running.step = running.failure === undefined ? 'sent' : 'not-bound';
      } catch (error) {
        // How much of it was written is not known: nothing sensible can follow on this connection.
        running.failure = error;
        this.cutOff();
      }
    });
  }

  /** Resolves when nothing runs any more, or the connection has ended. */
  quiet(): Promise<void> {
    if (this.#state.kind !== 'running') return Promise.resolve();
    return new Promise((resolve) => {
      this.#quiet = resolve;
    });
  }

  /** Terminate. Resolves when the server has closed its side, and not when only we have closed ours. */
  leave(): Promise<void> {
    if (this.#state.kind !== 'ended') {
      this.#fail(this.#state, new Error('The connection was closed while the statement ran.'));
      this.#state = { kind: 'leaving' };
      this.client.connection.end();
    }
    return this.#serverClosed.promise;
  }

  cutOff(): void {
    this.#cutOff = true;
    this.client.connection.stream.destroy();
  }

  #answered(running: Running, error: unknown, result: unknown): void {
    if (this.#state !== running || running.failure !== undefined) return;
    // An error comes before ReadyForQuery: wait for `drain`, or for the end of the connection if that is what it means.
    if (error) {
      if (isFarewell(error)) this.#lastWords = error;
      running.failure = error;
      this.lastFailure = error;
    } else {
      this.#becomeReady();
      running.resolve(result as QueryResult<never>);
    }
  }

  #drained(): void {
    const state = this.#state;
    if (state.kind !== 'running' || state.failure === undefined) return;
    if (state.name !== undefined) this.#mindTheName(state.name, state);
    this.#becomeReady();
    state.reject(state.failure);
  }

  /** pg goes on using a prepared statement that the server has no more, or has no more use for. */
  #mindTheName(name: string, { failure, step }: Running): void {
    if (step === 'not-bound' || isUnknownStatement(failure)) delete this.client.connection.parsedStatements[name];
    else if (isOutdatedPlan(failure)) this.dirt = 'sticky';
  }

  #becomeReady(): void {
    this.#state = READY;
    this.#quiet?.();
    this.#quiet = undefined;
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
    if (!this.#cutOff) this.#serverClosed.resolve();
  }

  #end(error: unknown): void {
    const state = this.#state;
    if (state.kind === 'ended') return;
    this.#state = { kind: 'ended', error: this.#lastWords ?? error };
    this.#fail(state, error);
    this.#quiet?.();
    if (state.kind !== 'leaving') this.#onLost(this.#lastWords ?? error);
  }

  #fail(state: State, error: unknown): void {
    if (state.kind !== 'running') return;
    const cause = this.#lastWords ?? state.failure ?? error;
    state.reject(connectionLost('may-have-run', cause));
  }

  #lost(consequence: Consequence): LifeguardError {
    return connectionLost(consequence, this.#state.kind === 'ended' ? this.#state.error : undefined);
  }
}

/** Every key that pg reads is an own one: none can come from a polluted prototype. pg also writes into it. */
function forPg(statement: Statement): object {
  return { ...PARTS_OF_A_QUERY, ...statement };
}

const PARTS_OF_A_QUERY = {
  binary: undefined,
  callback: undefined,
  name: undefined,
  portal: undefined,
  query_timeout: undefined,
  queryMode: undefined,
  rowMode: undefined,
  rows: undefined,
  submit: undefined,
  types: undefined,
  values: undefined,
} as const;

/** The server ends the session. Messages are translated, and so is their severity, but for these two. */
function isFarewell(error: unknown): error is ServerMessage {
  const severity: unknown = error instanceof Error ? (error as ServerMessage).severity : undefined;
  return severity === 'FATAL' || severity === 'PANIC';
}

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
