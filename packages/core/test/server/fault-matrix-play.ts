import { type FaultProxy, type Faults, type PostgresServer, startProxy, waitUntil } from '@lifeguard/testkit';
import type { LifeguardPool, Transaction } from '../../src/index.ts';
import { createPool, type Lease, type TransactionOptions } from '../../src/index.ts';
import { MOMENTS, type Moment, type MomentName } from './fault-matrix-moments.ts';
import { openCursor, type Script, SHAPES, type ShapeName, writeRow } from './fault-matrix-shapes.ts';
import type { Session, Watch } from './fault-matrix-watch.ts';

/** What all plays share. */
export interface Stage {
  readonly server: PostgresServer;
  readonly watch: Watch;
}

export interface Part {
  readonly moment: MomentName;
  readonly shape: ShapeName;
  readonly options: TransactionOptions;
  readonly wire: Partial<Faults>;
}

/** `max` and the side connection. */
export const CEILING = 2;

const POOL = {
  ...{ max: 1, clientCheckMillis: 100, statementTimeoutMillis: 3_000, connectionTimeoutMillis: 1_000 },
  ...{ checkTimeoutMillis: 200, cleanTimeoutMillis: 300, closeTimeoutMillis: 300, acquireTimeoutMillis: 10_000 },
  // What lies idle may be dead, and nobody has said so.
  validateAfterIdleMillis: 1,
};
const SLEEP_SECONDS = 30;
const AS_PLANNED = 'as planned';

let plays = 0;

/** One transaction on a pool, a proxy and a name of its own, on its way to a fault and beyond. */
export class Play {
  readonly cell: number;
  readonly part: Part;
  readonly pool: LifeguardPool;
  readonly proxy: FaultProxy;
  readonly caller: AbortController = new AbortController();
  /** How often its hooks were called. */
  readonly hooks: { commit: number; rollback: number } = { commit: 0, rollback: 0 };
  /** What its caller was told: `ok`, or the error's code. */
  told: string | undefined;
  /** What became of it on the server, once that is known. */
  truth: 'committed' | 'not committed' | undefined;
  readonly #stage: Stage;
  readonly #thrown = Promise.withResolvers<never>();
  readonly #paused = Promise.withResolvers<void>();
  #stop: 'not yet' | 'here' = 'not yet';
  #tx: Transaction | undefined;
  #lease: Lease | undefined;

  private constructor(part: Part, stage: Stage, proxy: FaultProxy) {
    plays += 1;
    this.cell = plays;
    this.part = part;
    this.proxy = proxy;
    this.#stage = stage;
    this.pool = createPool({ ...proxy.connection(), ...POOL, application_name: this.application });
    this.#thrown.promise.catch(() => undefined);
  }

  /** Begins, and resolves when it has come to its moment; undefined when it ended before. */
  static async until(part: Part, stage: Stage): Promise<Play | undefined> {
    const { held }: Moment = MOMENTS[part.moment];
    const proxy = await startProxy(stage.server.connection(), held === undefined ? {} : { holdAt: held });
    const play = new Play(part, stage, proxy);
    try {
      await play.#prepare();
      play.#begin();
      if ((await play.#whereItStopped()) === part.moment) return play;
    } catch (error) {
      await play.end();
      throw error;
    }
    await play.end();
    return undefined;
  }

  get application(): string {
    return `cell ${this.cell}`;
  }

  get remainingMillis(): number | undefined {
    return this.#tx?.remainingMillis;
  }

  throw(): void {
    this.#thrown.reject(new Error(AS_PLANNED));
  }

  /** What was held back goes on. */
  async release(wire: 'wire too' | 'all but the wire'): Promise<void> {
    if (wire === 'wire too') this.proxy.hold?.release();
    this.#paused.resolve();
    await this.#lease?.release();
  }

  sessions(): Promise<readonly Session[] | undefined> {
    return this.#stage.watch.of(this.application);
  }

  async end(): Promise<void> {
    this.proxy.hold?.release();
    await this.pool.close({ graceMillis: 0 });
    this.proxy.close();
  }

  get #moment(): Moment {
    return MOMENTS[this.part.moment];
  }

  async #prepare(): Promise<void> {
    if (this.#moment.dialled === 'before') await this.pool.query('select 1');
    this.proxy.set(this.part.wire);
    if (this.#moment.line === 'full') this.#lease = await this.pool.lease();
  }

  #begin(): void {
    const { run } = SHAPES[this.part.shape];
    const work = async (tx: Transaction): Promise<void> => {
      this.#tx = tx;
      tx.afterCommit(() => {
        this.hooks.commit += 1;
      });
      tx.afterRollback(() => {
        this.hooks.rollback += 1;
      });
      await run(tx, this.#script);
    };
    this.pool.transaction(work, { ...this.part.options, signal: this.caller.signal }).then(
      () => {
        this.told = 'ok';
      },
      (error: unknown) => {
        const { code, message } = (error ?? {}) as { code?: string; message?: string };
        this.told = code ?? message ?? `${error}`;
      },
    );
  }

  async #whereItStopped(): Promise<MomentName | 'its end'> {
    const { moment } = this.part;
    const hasStopped = async (): Promise<boolean> => this.told !== undefined || (await this.#isThere());
    await waitUntil(hasStopped, { what: `the moment: ${moment}`, timeoutMillis: 8_000, everyMillis: 5 });
    if (this.told === undefined) return moment;
    return this.told === 'ok' ? 'after' : 'its end';
  }

  async #isThere(): Promise<boolean> {
    if (this.#moment.held !== undefined) return this.proxy.hold?.isReached === true;
    if (this.#moment.line === 'full') return this.pool.snapshot().waiting === 1;
    if (this.#moment.slow === undefined) return this.#stop === 'here';
    return (await this.sessions())?.some(({ wait }) => wait === 'PgSleep') ?? false;
  }

  get #script(): Script {
    return {
      write: (tx, step) => this.#orThrown(writeRow(tx, this.#row(tx, step))),
      fetch: async (tx, step, end) => {
        const cursor = await this.#orThrown(openCursor(tx, this.#row(tx, step)));
        await this.#orThrown(cursor.read(1));
        if (end === 'left open') return;
        await this.#pause(tx);
        await this.#orThrown(cursor.read(2));
      },
      mark: (tx) => this.#orThrown(tx.query('savepoint mine')),
      pause: () => this.#pause(this.#tx as Transaction),
    };
  }

  #row(tx: Transaction, step: string): Parameters<typeof writeRow>[1] {
    const sleepSeconds = this.#moment.slow === step && tx.attempt === 1 ? SLEEP_SECONDS : 0;
    return { cell: this.cell, attempt: tx.attempt, step, sleepSeconds };
  }

  async #pause({ attempt }: Transaction): Promise<void> {
    if (this.part.moment !== 'between statements' || attempt > 1) return;
    this.#stop = 'here';
    await this.#orThrown(this.#paused.promise);
  }

  /** A function may throw at any time, also while it has a statement that runs. */
  #orThrown<T>(work: Promise<T>): Promise<T> {
    work.catch(() => undefined);
    return Promise.race([work, this.#thrown.promise]);
  }
}
