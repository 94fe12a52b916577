import type { LifeguardError } from '../errors.ts';
import { addressOf } from './address.ts';
import { type ConnectionState, READY } from './connection-state.ts';
import { Departures } from './departures.ts';
import { connectionLost } from './loss.ts';
import type { PgClient, ServerMessage } from './pg-subset.ts';
import { Pipeline } from './pipeline.ts';
import { Repertoire } from './repertoire.ts';
import type { Script, Scripts } from './scripts.ts';
import { Session } from './session.ts';
import { SessionEnd } from './session-end.ts';
import type { Airport, Receiver, Solo } from './solo.ts';
import { type QueryResult, type Statement, withOwnParts } from './statement.ts';
import type { Step } from './step.ts';
import type { Submittable } from './submittable.ts';
import { type Group, type GroupAnswer, SyncGroup } from './sync-group.ts';
import type { TypeParsers } from './type-parsers.ts';

/** One session with the server: a `pg.Client` that answers with consequences. */
export class PgConnection implements Airport {
  readonly client: PgClient;
  readonly session: Session = new Session();
  readonly types: TypeParsers;
  readonly #scripts: Scripts;
  readonly #repertoire: Repertoire;
  readonly #departures: Departures;
  readonly pipeline: Pipeline;
  readonly #onLost: (error: unknown, during: ConnectionState['kind']) => void;
  #state: ConnectionState = READY;
  readonly #farewell = new SessionEnd();
  #lastFailure: unknown;
  #lastNotice: ServerMessage | undefined;

  constructor(client: PgClient, scripts: Scripts, onLost: (error: unknown, during: ConnectionState['kind']) => void) {
    this.client = client;
    // pg's own limit gives a statement up that goes on running; it may come from pg's defaults.
    client.connectionParameters.query_timeout = undefined;
    this.types = client._types;
    this.#scripts = scripts;
    this.#onLost = onLost;
    this.#repertoire = new Repertoire(client.connection, scripts);
    this.#departures = new Departures(this, scripts, this.#repertoire);
    this.pipeline = new Pipeline(client, {
      roundTripMillis: () => scripts.roundTripMillis,
      emptied: () => {
        if (this.#state.kind === 'running') this.#move(READY);
      },
      failed: (error) => this.#heard(error),
      broken: (error) => this.#broke(error as ServerMessage),
    });
    this.#listen(client);
  }

  get kind(): ConnectionState['kind'] {
    return this.#state.kind;
  }

  get transactionStatus(): 'I' | 'T' | 'E' | null {
    return this.client.getTransactionStatus();
  }

  /** How the last statement ended: 57014 proves that a cancel has hit what it was meant for. */
  get lastFailure(): unknown {
    return this.#lastFailure;
  }

  /** What the server said beside the answer to the last statement. */
  get lastNotice(): ServerMessage | undefined {
    return this.#lastNotice;
  }

  /** The login is done. */
  opened(now: number): void {
    const { stream } = this.client.connection;
    this.session.opened(now, addressOf(this.client));
    stream.once('end', () => {
      if (this.#state.kind === 'leaving') this.#farewell.serverHungUp();
    });
  }

  /** One statement at a time; the caller sees to it. Settles when ReadyForQuery has been read, or the connection is lost. */
  query<Row = Record<string, unknown>>(given: Statement): Promise<QueryResult<Row>> {
    if (!this.#isUsable()) return Promise.reject(this.loss);
    const statement = withOwnParts(given);
    const script = this.#begin(statement.text);
    this.session.runsAlone(script.reading, this.transactionStatus === 'I');
    return new Promise<QueryResult<never>>((answered, failed) => {
      this.#takeOff(statement, script, { answered, failed, lost: failed });
    });
  }

  /** One among others that share the connection: none is in a block, and nothing of them stays in the session. */
  ride(statement: Statement, receiver: Receiver): void {
    if (!this.#isOpen()) return receiver.lost(this.loss);
    this.session.writes('none');
    try {
      this.#send(this.#departures.solo(statement, receiver), 'soon');
    } catch (error) {
      this.#repertoire.dropUnsent();
      receiver.failed(error);
    }
  }

  /** Several statements in one round trip; rejects only where the connection is lost, or where nothing was sent. */
  async group({ before, statements, after }: Group): Promise<GroupAnswer> {
    if (!this.#isUsable()) throw this.loss;
    for (const { text } of statements) this.#begin(text);
    return new Promise<GroupAnswer>((landed, lost) => {
      try {
        const steps = [...before, ...statements, ...after].map((one) => this.#departures.step(one));
        this.#send(new SyncGroup(steps, { landed, lost }, this), 'now');
      } catch (error) {
        this.#repertoire.dropUnsent();
        lost(error);
      }
    });
  }

  /** A cursor, a stream, a COPY: it answers to itself. Resolves when it is through; its errors are its own. */
  submit(submittable: Submittable): Promise<void> {
    if (!this.#isUsable()) return Promise.reject(this.loss);
    this.#lastFailure = undefined;
    return new Promise<void>((resolve, reject) => {
      this.#move({ kind: 'running', what: { resolve, reject }, over: undefined });
      try {
        this.client.query(submittable);
      } catch (error) {
        // How much of it was written is not known: nothing sensible can follow on this connection.
        this.#lastFailure = error;
        this.cutOff();
      }
    });
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
      this.#fail(before, new Error(CLOSED));
      this.client.connection.end();
    }
    return this.#farewell.gone;
  }

  /** It is about to be closed. Those who share it are told at once; one who has it alone may hear how its statement ends. */
  forsake(): void {
    if (this.#state.kind !== 'running' || this.#state.what !== 'riders') return;
    this.pipeline.forsake(connectionLost('may-have-run', new Error(CLOSED)));
  }

  cutOff(): void {
    this.#farewell.cutOff();
    this.client.connection.stream.destroy();
  }

  /** What its end means for whoever wants to send something now. */
  get loss(): LifeguardError {
    return connectionLost('nothing-sent', this.#state.kind === 'ended' ? this.#state.error : undefined);
  }

  failed(step: Step, error: unknown): void {
    if (this.#departures.failed(step, error) === 'spoilt') this.session.spoil();
  }

  /** In a transaction it is too late: all of that has failed. */
  retakes(flight: Solo): boolean {
    if (!flight.isOutdated || this.transactionStatus !== 'I' || !this.#isOpen()) return false;
    try {
      this.#send(this.#departures.anew(flight), 'now');
      return true;
    } catch {
      // Its name means another text by now: then its first failure is its answer.
      this.#repertoire.dropUnsent();
      return false;
    }
  }

  #listen({ connection }: PgClient): void {
    this.client.on('error', (error) => this.#broke(error));
    this.client.on('notice', (notice) => {
      this.#lastNotice = notice;
      this.#farewell.noticed(notice);
    });
    this.client.on('drain', () => this.#drained());
    this.client.once('end', () => this.#closed());
    connection.on('parseComplete', () => this.pipeline.parsed());
    connection.on('bindComplete', () => this.pipeline.bound());
    connection.on('noData', () => this.pipeline.noData());
    connection.on('errorMessage', (error) => this.#overheard(error));
    connection.on('parameterStatus', ({ parameterName, parameterValue }) => {
      this.session.reports(parameterName, parameterValue);
    });
  }

  /** The only way from state to state. Whoever waits for what ran to be over is told, however it ended. */
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

  #isOpen(): boolean {
    return this.#state.kind === 'ready' || this.#state.kind === 'running';
  }

  #begin(text: string): Script {
    const script = this.#scripts.of(text);
    this.session.runs(script.reading);
    this.#lastFailure = undefined;
    this.#lastNotice = undefined;
    return script;
  }

  #takeOff(statement: Statement, script: Script, receiver: Receiver): void {
    try {
      this.#send(this.#departures.single(statement, script, receiver), 'now');
    } catch (error) {
      this.#repertoire.dropUnsent();
      receiver.failed(error);
    }
  }

  #send(flight: Parameters<Pipeline['send']>[0], when: 'now' | 'soon'): void {
    const what = when === 'soon' ? 'riders' : 'flights';
    if (this.#state.kind === 'ready') this.#move({ kind: 'running', what, over: undefined });
    try {
      this.pipeline.send(flight, when);
    } catch (error) {
      if (this.pipeline.length === 0) this.#move(READY);
      throw error;
    }
  }

  #heard(error: unknown): void {
    this.#farewell.heard(error);
    this.#lastFailure = error;
  }

  /** What answers to itself does not tell us what it was answered. */
  #overheard(error: ServerMessage): void {
    if (this.#state.kind === 'running' && typeof this.#state.what === 'object') this.#heard(error);
  }

  #drained(): void {
    const state = this.#state;
    if (state.kind !== 'running') return;
    if (typeof state.what !== 'object') return this.pipeline.drained();
    this.#move(READY);
    state.what.resolve();
  }

  /** A FATAL message outside a statement, a socket error, or a message that pg did not expect: nothing can be read any more. */
  #broke(error: ServerMessage): void {
    const hangsUp = this.#farewell.heard(error);
    this.#end(error);
    // The server hangs up after a FATAL. After anything else that left the socket open, it is we who no longer listen.
    if (!hangsUp && !this.client.connection.stream.destroyed) this.cutOff();
  }

  #closed(): void {
    this.#end(new Error('Connection terminated unexpectedly'));
    this.#farewell.closed();
  }

  #end(error: unknown): void {
    if (this.#state.kind === 'ended') return;
    const reason = this.#farewell.lastWords ?? error;
    const before = this.#move({ kind: 'ended', error: reason });
    // The pool first: else it would lend the connection to others while those who had it are told.
    if (before.kind !== 'leaving') this.#onLost(reason, before.kind);
    this.#fail(before, reason);
  }

  #fail(state: ConnectionState, error: unknown): void {
    if (state.kind !== 'running') return;
    const { what } = state;
    const failure = typeof what === 'object' ? this.#lastFailure : this.pipeline.failure;
    const lost = connectionLost('may-have-run', this.#farewell.lastWords ?? failure ?? error);
    if (typeof what === 'object') what.reject(lost);
    else this.pipeline.lose(lost, connectionLost('nothing-sent', error));
  }
}

const CLOSED = 'The connection was closed while the statement ran.';
