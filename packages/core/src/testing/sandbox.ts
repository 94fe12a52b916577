import { randomUUID } from 'node:crypto';
import type { QueryResult, Statement } from '../pg/statement.ts';
import { NO_OPTIONS } from '../scope/call-options.ts';
import { Desk } from '../scope/desk.ts';
import type { Ground } from '../scope/ground.ts';
import { Constraints } from './constraints.ts';
import type { Tally } from './enclosing.ts';
import { Enclosure } from './enclosure.ts';
import { Loan } from './loan.ts';
import { notOpenYet, sandboxEnded, wrongCall } from './refusals.ts';
import type { SandboxOptions } from './sandbox-options.ts';
import { SandboxPool, standInOf } from './sandbox-pool.ts';
import { Wire } from './wire.ts';

/**
 * A test's own world: what is asked of the pool inside runs on one connection, in a transaction that is never committed.
 * Transactions inside are savepoints, which commit and roll back, retry and run their hooks as real ones do.
 */
export class Sandbox implements AsyncDisposable {
  readonly name: string;
  /** For requests to a server that honours sandboxes: they are handled inside this one. */
  readonly headers: Readonly<Record<string, string>>;
  readonly #enclosure: Enclosure;
  readonly #tally: Tally = { committed: 0, rolledBack: 0 };
  readonly #endings: (() => void)[] = [];
  #state: State = { kind: 'opening' };

  private constructor(enclosure: Enclosure, name: string) {
    this.#enclosure = enclosure;
    this.name = name;
    this.headers = Object.freeze({ [SANDBOX_HEADER]: randomUUID() });
  }

  /** @internal Nothing is awaited before it is entered: the caller's own context is what is meant. */
  static open(pool: object, options: SandboxOptions, how: 'entered' | 'for a function'): Promise<Sandbox> {
    const enclosure = Enclosure.of(pool);
    if (enclosure.ground.ambient.current() !== undefined)
      throw wrongCall('a scope or a transaction of its pool is open here');
    const sandbox = new Sandbox(enclosure, options.name ?? 'sandbox');
    if (options.shared === true) enclosure.share(sandbox);
    if (how === 'entered') enclosure.enter(sandbox);
    return sandbox.#begin(options);
  }

  /** @internal The one whose requests carry this. */
  static named(id: string): Sandbox | undefined {
    return OPEN.get(id);
  }

  /** Inner transactions that committed, as far as they can in a sandbox. */
  get committed(): number {
    return this.#tally.committed;
  }

  get rolledBack(): number {
    return this.#tally.rolledBack;
  }

  /** @internal */
  get isOver(): boolean {
    return this.#state.kind === 'ended';
  }

  /** @internal */
  get ground(): Ground {
    if (this.#state.kind === 'opening') throw notOpenYet(this.name);
    return this.#state.ground;
  }

  /** Runs `fn`, and all that it starts, inside. */
  run<R>(fn: () => R): R {
    return this.#enclosure.run(this, fn);
  }

  /** The rest of the running function is inside from here on: in a test whose sandbox was opened by a hook before it. */
  enter(): void {
    this.#enclosure.enter(this);
  }

  /** `fn`, to be called from elsewhere: by a queue, a timer or an emitter that was made outside. It runs inside. */
  allow<Args extends unknown[], R>(fn: (...args: Args) => R): (...args: Args) => R {
    return (...args) => this.run(() => fn(...args));
  }

  /** Runs one statement inside, wherever it is called. */
  query<Row = Record<string, unknown>>(
    text: string | Statement,
    values?: readonly unknown[],
  ): Promise<QueryResult<Row>> {
    const { pool } = this.#enclosure.ground.ambient;
    return this.run(() => (Desk.of(pool) as Desk).query<Row>(text, values, NO_OPTIONS));
  }

  /** A request to a server that honours sandboxes, which handles it inside this one. */
  fetch(input: string | URL, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    for (const [name, value] of Object.entries(this.headers)) headers.append(name, value);
    return fetch(input, { ...init, headers });
  }

  /** Rolls everything back, and gives the connection back. What comes later is refused. A second call awaits the first one. */
  end(): Promise<void> {
    const state = this.#state;
    if (state.kind === 'ended') return state.done;
    const done = Promise.withResolvers<void>();
    this.#state = {
      kind: 'ended',
      done: done.promise,
      ground: state.kind === 'open' ? state.ground : this.#refusing(),
    };
    const close = state.kind === 'open' ? state.close : (): void => undefined;
    this.#finish(close).then(done.resolve, done.reject);
    return done.promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }

  async #begin({ isolation, timeoutMillis, signal }: SandboxOptions): Promise<this> {
    const { ground } = this.#enclosure;
    this.#admitRequests();
    this.#heed(signal);
    try {
      const [loan, facts] = await Loan.begin(ground, { name: this.name, isolation, timeoutMillis, signal });
      if (this.isOver) {
        await loan.end();
        throw sandboxEnded(this.name);
      }
      const wire = new Wire(this.name, ground, loan);
      const constraints = new Constraints(facts.deferrable ? 'some' : 'none');
      const around = { wire, isolation: facts.isolation, constraints, tally: this.#tally };
      const pool = new SandboxPool(around, `${ground.house.name}, sandbox "${this.name}"`);
      const close = async (): Promise<void> => {
        await wire.end();
        pool.retire();
      };
      this.#state = { kind: 'open', ground: groundOf(wire, pool), close };
      return this;
    } catch (error) {
      await this.end();
      throw error;
    }
  }

  #admitRequests(): void {
    const id = this.headers[SANDBOX_HEADER] as string;
    OPEN.set(id, this);
    this.#endings.push(() => void OPEN.delete(id));
  }

  #heed(signal: AbortSignal | undefined): void {
    if (signal === undefined) return;
    const end = (): void => void this.end().catch(() => undefined);
    signal.addEventListener('abort', end, { once: true });
    this.#endings.push(() => signal.removeEventListener('abort', end));
  }

  async #finish(close: () => Promise<void> | void): Promise<void> {
    for (const ending of this.#endings) ending();
    await close();
  }

  /** Of one that never opened. */
  #refusing(): Ground {
    const { ground } = this.#enclosure;
    const refuse = (): never => {
      throw sandboxEnded(this.name);
    };
    return new Proxy(ground, { get: refuse });
  }
}

type State =
  | { readonly kind: 'opening' }
  | { readonly kind: 'open'; readonly ground: Ground; readonly close: () => Promise<void> }
  | { readonly kind: 'ended'; readonly ground: Ground; readonly done: Promise<void> };

/** On which all of its work stands, wherever it is used. */
function groundOf(wire: Wire, pool: SandboxPool): Ground {
  const { ground } = wire;
  const house: Ground['house'] = {
    ...ground.house,
    name: pool.figures().pool,
    pool,
    explain: (error, ran) => wire.explain(ground.house.explain(error, ran)),
    verdictOn: (connection) => standInOf(connection).verdict,
    stop: (connection) => standInOf(connection).stop(),
    leaks: { began: () => undefined, ended: () => undefined },
  };
  return { ...ground, house, lane: false, selfDeadlock: 'allow', forget: () => undefined };
}

/** What a request carries that belongs to a sandbox. */
export const SANDBOX_HEADER = 'x-lifeguard-sandbox';

/** By what their requests carry. */
const OPEN = new Map<string, Sandbox>();
