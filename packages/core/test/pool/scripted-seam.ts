import type { Clock } from '../../src/clock.ts';
import type { Contagion, Seam } from '../../src/pool/seam.ts';
import { type Gate, never, Script, ScriptedError } from './gate.ts';

type Step = 'connect' | 'introduce' | 'check' | 'clean' | 'interrupt' | 'close' | 'confirm';

export class ScriptedConnection {
  readonly id: number;
  /** What the server knows of it. */
  session: 'open' | 'ended' = 'open';
  /** What the pool has asked of it last. */
  bearing: 'lent' | 'resting' | 'leaving' = 'lent';
  readonly lost: (error: unknown) => void;

  constructor(id: number, lost: (error: unknown) => void) {
    this.id = id;
    this.lost = lost;
  }
}

/**
 * A server with whom every step goes as the test says. It counts its sessions by itself, from the moment a dial is
 * accepted until its end is confirmed, so that the ceiling is seen from the server's side and not from the pool's.
 */
export class ScriptedSeam implements Seam<ScriptedConnection> {
  readonly gates: Readonly<Record<Step, Script>> = {
    connect: new Script(),
    introduce: new Script(),
    check: new Script(),
    clean: new Script(),
    interrupt: new Script(),
    close: new Script(),
    confirm: new Script(),
  };
  readonly connections: ScriptedConnection[] = [];
  readonly log: string[] = [];
  /** What the pool did that it never may. */
  readonly violations: string[] = [];
  sessions = 0;
  peak = 0;
  dials = 0;
  /** How long the server takes to notice that a client was cut off. */
  noticeMillis = 3_000;
  /** Sessions that the pool may have now. */
  ceiling: () => number = () => Number.POSITIVE_INFINITY;
  readonly #clock: Clock;
  readonly #forgetful: boolean;
  #instant = { at: 0, calls: 0 };

  /** A forgetful one keeps no log and no list, for millions of connections. */
  constructor(clock: Clock, { forgetful = false } = {}) {
    this.#clock = clock;
    this.#forgetful = forgetful;
  }

  async connect(signal: AbortSignal, lost: (error: unknown) => void): Promise<ScriptedConnection> {
    this.dials += 1;
    const connection = new ScriptedConnection(this.dials, lost);
    this.#note(`${connection.id}: dial`);
    const gate = this.#isStorm() ? never : this.gates.connect.draw();
    if (gate.kind === 'fails') throw gate.error;
    this.#open(connection);
    if (!this.#forgetful) this.connections.push(connection);
    // A dial that gets no answer ends when its socket is destroyed; a slow one is deaf and comes all the same.
    if (gate.kind === 'never') await untilAborted(signal).finally(() => this.end(connection));
    else await this.#pass(gate);
    this.#note(`${connection.id}: open`);
    return connection;
  }

  introduce(connection: ScriptedConnection): Promise<void> {
    return this.#tend('introduce', connection);
  }

  check(connection: ScriptedConnection): Promise<void> {
    return this.#tend('check', connection);
  }

  clean(connection: ScriptedConnection): Promise<void> {
    return this.#tend('clean', connection);
  }

  interrupt(connection: ScriptedConnection): Promise<void> {
    return this.#tend('interrupt', connection);
  }

  /** A failing one is an error on the socket: the session has ended all the same. */
  async close(connection: ScriptedConnection): Promise<void> {
    if (connection.bearing === 'leaving') this.violations.push(`${connection.id} was closed twice`);
    connection.bearing = 'leaving';
    this.#note(`${connection.id}: close`);
    const gate = this.gates.close.draw();
    if (gate.kind !== 'fails') await this.#pass(gate);
    this.end(connection);
    if (gate.kind === 'fails') throw gate.error;
  }

  destroy(connection: ScriptedConnection): void {
    this.#note(`${connection.id}: destroy`);
    this.#clock.after(this.noticeMillis, () => this.end(connection));
  }

  async confirmClosed(
    connections: readonly ScriptedConnection[],
    signal: AbortSignal,
  ): Promise<readonly ScriptedConnection[]> {
    this.#note(`confirm ${connections.map(({ id }) => id)}`);
    const gate = this.gates.confirm.draw();
    await (gate.kind === 'never' ? untilAborted(signal) : this.#pass(gate));
    return connections.filter(({ session }) => session === 'ended');
  }

  isPermanent(error: unknown): boolean {
    return error instanceof ScriptedError && error.permanent;
  }

  contagion(_connection: ScriptedConnection, error: unknown): Contagion {
    return error instanceof ScriptedError ? error.contagion : 'none';
  }

  rest(connection: ScriptedConnection): void {
    connection.bearing = 'resting';
  }

  /** Nothing runs on a scripted one. */
  stalled(): void {}

  wake(connection: ScriptedConnection): void {
    connection.bearing = 'lent';
  }

  /** The server ends a session by itself. */
  lose(connection: ScriptedConnection, error: ScriptedError = new ScriptedError('connection lost')): void {
    if (connection.session === 'ended') return;
    this.end(connection);
    if (connection.bearing !== 'leaving') connection.lost(error);
  }

  end(connection: ScriptedConnection): void {
    if (connection.session === 'ended') return;
    connection.session = 'ended';
    this.sessions -= 1;
    this.#note(`${connection.id}: ended`);
  }

  /** A pool that dials or checks again and again while no time passes would never let a test end. */
  #isStorm(): boolean {
    const at = this.#clock.now();
    this.#instant = this.#instant.at === at ? { at, calls: this.#instant.calls + 1 } : { at, calls: 1 };
    if (this.#instant.calls <= MOST_CALLS_AT_ONCE || this.#forgetful) return false;
    if (this.#instant.calls < MOST_CALLS_AT_ONCE + 5) this.violations.push(`a storm of dials or checks at ${at}`);
    return true;
  }

  #open(connection: ScriptedConnection): void {
    this.sessions += 1;
    this.peak = Math.max(this.peak, this.sessions);
    if (this.sessions > this.ceiling()) {
      this.violations.push(`dial ${connection.id} makes ${this.sessions} sessions of ${this.ceiling()}`);
    }
  }

  async #tend(step: Step, connection: ScriptedConnection): Promise<void> {
    if (connection.bearing !== 'lent') this.violations.push(`${connection.id}: ${step} while ${connection.bearing}`);
    this.#note(`${connection.id}: ${step}`);
    await this.#pass(this.#isStorm() ? never : this.gates[step].draw());
    if (connection.session === 'ended') throw new ScriptedError('the session has ended');
  }

  async #pass(gate: Gate): Promise<void> {
    switch (gate.kind) {
      case 'ok':
        return;
      case 'fails':
        throw gate.error;
      case 'slow':
        return new Promise((resolve) => void this.#clock.after(gate.millis, resolve));
      case 'never':
        return new Promise(() => undefined);
      default:
        gate satisfies never;
    }
  }

  #note(line: string): void {
    if (!this.#forgetful) this.log.push(line);
  }
}

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
}

const MOST_CALLS_AT_ONCE = 500;
