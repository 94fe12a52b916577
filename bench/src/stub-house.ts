import { setTimeout as pause } from 'node:timers/promises';
import { type Clock, systemClock } from '../../packages/core/src/clock.ts';
import { readOptions } from '../../packages/core/src/options.ts';
import type { PgConnection } from '../../packages/core/src/pg/pg-connection.ts';
import { verdictOn } from '../../packages/core/src/pg/verdict.ts';
import { Pool } from '../../packages/core/src/pool/pool.ts';
import type { Seam } from '../../packages/core/src/pool/seam.ts';
import type { PoolOptions } from '../../packages/core/src/pool-options.ts';
import { Hold } from '../../packages/core/src/scope/hold.ts';
import type { House } from '../../packages/core/src/scope/house.ts';

/** What the verdict asks of a connection, and nothing behind it. */
export interface StubConnection {
  readonly kind: 'ready';
  readonly transactionStatus: 'I';
  readonly session: { readonly dirt: 'none' };
}

const CONNECTION: StubConnection = { kind: 'ready', transactionStatus: 'I', session: { dirt: 'none' } };

/** Connections that do nothing, opened after a while. */
class StubSeam implements Seam<StubConnection> {
  readonly #dialMillis: number;

  constructor(dialMillis: number) {
    this.#dialMillis = dialMillis;
  }

  async introduce(): Promise<void> {}
  async connect(): Promise<StubConnection> {
    if (this.#dialMillis > 0) await pause(this.#dialMillis);
    return { ...CONNECTION };
  }

  async check(): Promise<void> {}
  async clean(): Promise<void> {}
  async interrupt(): Promise<void> {}
  async close(): Promise<void> {}
  destroy(): void {}
  async confirmClosed(): Promise<readonly StubConnection[]> {
    return [];
  }
  isPermanent(): boolean {
    return false;
  }
  contagion(): 'none' {
    return 'none';
  }
  rest(): void {}
  stalled(): void {}
  wake(): void {}
}

export interface StubHouse {
  readonly pool: Pool<StubConnection>;
  /** Asks for a connection as `pool.query` does; whoever gets a promise awaits it. */
  borrow(): { readonly hold: Hold; readonly begun: Promise<void> | undefined };
  close(): Promise<void>;
}

/** The engine with all our defaults, from the request for a connection to the verdict on it, over stub connections. */
export function openStubHouse(
  options: PoolOptions,
  { dialMillis = 0, clock = systemClock }: { dialMillis?: number; clock?: Clock } = {},
): StubHouse {
  const settings = readOptions(options);
  const pool = new Pool<StubConnection>({
    settings: { ...settings, lanes: settings.lane },
    seam: new StubSeam(dialMillis),
    clock,
  });
  const house: House = {
    name: settings.name,
    clock,
    // The scope ring knows one kind of connection; of this one it uses what the stub has.
    pool: pool as unknown as Pool<PgConnection>,
    verdictOn: (connection) => verdictOn(connection, settings.resetOnRelease),
    explain: (error) => error,
    refusalOf: () => undefined,
    stop: () => Promise.resolve(),
    leaks: { began: () => undefined, ended: () => undefined },
  };
  return {
    pool,
    borrow: () => {
      const hold = new Hold(house, NO_OPTIONS, STATEMENT);
      return { hold, begun: hold.begin() };
    },
    close: () => pool.close(0),
  };
}

const NO_OPTIONS = Object.freeze({});
const STATEMENT = Object.freeze({ kind: 'statement', deadline: undefined });
