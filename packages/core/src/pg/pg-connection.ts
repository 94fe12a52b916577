import type * as net from 'node:net';
import type { LifeguardError } from '../errors.ts';
import { addressOf } from './address.ts';
import type { ConnectionState, Running } from './connection-state.ts';
import { connectionLost, isFarewell } from './loss.ts';
import type { PgClient, ServerMessage } from './pg-subset.ts';
import { type Dirt, worse } from './sql-dirt.ts';
import { readSql } from './sql-words.ts';
import { isOutdatedPlan, isUnknownStatement } from './sqlstate.ts';
import { forPg, type QueryResult, type Statement } from './statement.ts';
import type { Submittable } from './submittable.ts';
import { type Group, type GroupAnswer, SyncGroup } from './sync-group.ts';

const READY: ConnectionState = { kind: 'ready' };

/** One session with the server: a `pg.Client` that answers with consequences. */
export class PgConnection {
  readonly client: PgClient;
  readonly #onLost: (error: unknown) => void;
  #state: ConnectionState = READY;
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
  #lastNotice: ServerMessage | undefined;
  /** Transactions were read-only by default when the session began: by role, database or server, and so by wish. */
  #readOnlyFromStart = false;
  /**
   * Whether the last text may have run in a transaction that its user had opened: before it, or in the text itself. Of
   * one that we have opened it is known that it may write.
   */
  #block: 'none' | 'possible' | 'writable' = 'none';
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
    client.connection.on('errorMessage', (error) => this.#overheard(error));
    client.connection.on('parameterStatus', ({ parameterName, parameterValue }) => {
      this.#reported.set(parameterName, parameterValue);
    });
  }

  get kind(): ConnectionState['kind'] {
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

  /** What the server said beside the answer to the last statement. */
  get lastNotice(): ServerMessage | undefined {
    return this.#lastNotice;
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
    if (!this.#isUsable()) return Promise.reject(this.loss);
    const statements = this.#read(statement.text);
    const isOutside = this.transactionStatus === 'I';
    if (isOutside || this.#block === 'none') this.#block = isOutside && statements <= 1 ? 'none' : 'possible';
    const query = forPg(statement);
    return new Promise<QueryResult<never>>((resolve, reject) => {
      const running = this.#run({ resolve, reject, name: query.name, until: 'callback' });
      this.#send(running, () => this.client.query(query, undefined, (...answer) => this.#answered(running, ...answer)));
    });
  }

  /** Several statements in one round trip; rejects only where the connection is lost, or where nothing was sent. */
  async group({ before, statements, after }: Group): Promise<GroupAnswer> {
    if (!this.#isUsable()) throw this.loss;
    const group = new SyncGroup(this.client, [...before, ...statements, ...after]);
    for (const { text } of statements) this.#read(text);
    try {
      await new Promise<undefined>((resolve, reject) => {
        const running = this.#run({ resolve, reject, name: undefined, until: 'callback' });
        this.#send(running, () =>
          this.client.query(group, undefined, (...answer) => this.#answered(running, ...answer)),
        );
      });
    } catch (error) {
      if (this.#state.kind !== 'ready') throw error;
      return group.answer(error);
    }
    return group.answer(undefined);
  }

  /** A cursor, a stream, a COPY: it answers to itself. Resolves when it is through; its errors are its own. */
  submit(submittable: Submittable): Promise<void> {
    if (!this.#isUsable()) return Promise.reject(this.loss);
    this.#lastFailure = undefined;
    return new Promise<void>((resolve, reject) => {
      const running = this.#run({ resolve, reject, name: undefined, until: 'ready' });
      this.#send(running, () => this.client.query(submittable));
    });
  }

  /** A group of ours begins here: where it may write, a refusal as read-only is a failover, and else it is by wish. */
  writes(block: 'writable' | 'possible'): void {
    this.#block = block;
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
  #move(next: ConnectionState): ConnectionState {
    const before = this.#state;
    this.#state = next;
    if (before.kind === 'running') before.over?.resolve();
    return before;
  }

  #isUsable(): boolean {
    if (this.#state.kind === 'running') throw new Error('bug: a statement was sent before the last one was answered');
    return this.#state.kind === 'ready';
  }

  /** How many statements there are in it. */
  #read(text: string): number {
    const reading = readSql(text);
    this.#dirt = worse(this.#dirt, reading.dirt);
    this.#lastFailure = undefined;
    this.#lastNotice = undefined;
    return reading.statements;
  }

  #run(work: Pick<Running, 'resolve' | 'reject' | 'name' | 'until'>): Running {
    const running: Running = { kind: 'running', ...work, failure: undefined, step: 'binding', over: undefined };
    this.#move(running);
    return running;
  }

  #send(running: Running, send: () => unknown): void {
    try {
      send();
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
      running.resolve(result as never);
    }
  }

  /** What answers to itself does not tell us what it was answered. */
  #overheard(error: ServerMessage): void {
    if (this.#state.kind !== 'running' || this.#state.until === 'callback') return;
    if (isFarewell(error)) this.#lastWords = error;
    this.#lastFailure = error;
  }

  #drained(): void {
    const state = this.#state;
    if (state.kind !== 'running') return;
    if (state.failure === undefined && state.until === 'callback') return;
    if (state.name !== undefined) this.#mindTheName(state.name, state);
    this.#move(READY);
    if (state.failure === undefined) state.resolve(undefined as never);
    else state.reject(state.failure);
  }

  /** pg goes on using a prepared statement that the server has no more, or has no more use for. */
  #mindTheName(name: string, { failure, step }: Running): void {
    if (step === 'not-bound' || isUnknownStatement(failure)) delete this.client.connection.parsedStatements[name];
    else if (isOutdatedPlan(failure)) this.#dirt = 'sticky';
  }

  #noticed(notice: ServerMessage): void {
    // Of a crash of another backend (57P02) this is all that is ever said: the connection then just ends.
    this.#lastNotice = notice;
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

  #fail(state: ConnectionState, error: unknown): void {
    if (state.kind !== 'running') return;
    state.reject(connectionLost('may-have-run', this.#lastWords ?? state.failure ?? error));
  }

  /** What its end means for whoever wants to send something now. */
  get loss(): LifeguardError {
    return connectionLost('nothing-sent', this.#state.kind === 'ended' ? this.#state.error : undefined);
  }
}
