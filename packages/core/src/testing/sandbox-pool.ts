import type { Clock } from '../clock.ts';
import { readOptions } from '../options.ts';
import type { PgConnection } from '../pg/pg-connection.ts';
import { Pool } from '../pool/pool.ts';
import type { Contagion, Seam } from '../pool/seam.ts';
import type { Slot } from '../pool/slot.ts';
import type { AcquireRequest } from '../pool/waiters.ts';
import type { Enclosing } from './enclosing.ts';
import { StandIn } from './stand-in.ts';
import type { Wire } from './wire.ts';

/** Every unit of work that is begun on this pool is real; what it hands out stands in for connections. */
export class SandboxPool extends Pool<PgConnection> {
  readonly #wire: Wire;

  constructor(around: Enclosing, name: string) {
    const { house, clock, acquireTimeoutMillis } = around.wire.ground;
    const { max } = house.pool.size;
    const settings = {
      ...readOptions({ ...STILL, min: Math.min(max, READY), max, acquireTimeoutMillis }),
      name,
      groups: new AnyGroup(),
      lanes: false,
    };
    super({ settings, seam: new SandboxSeam(around), clock: unheeded(clock) });
    this.#wire = around.wire;
  }

  override take(request: AcquireRequest): Slot<PgConnection> | undefined {
    return this.#wire.refusal === undefined ? super.take(request) : undefined;
  }

  override acquire(request: AcquireRequest): Promise<Slot<PgConnection>> {
    const { refusal } = this.#wire;
    if (refusal !== undefined) return Promise.reject(refusal);
    return super.acquire(request).catch((error: unknown) => {
      throw this.#wire.refusal ?? error;
    });
  }

  /**
   * The wire has ended, and says so to whoever is left. So what is lent is never taken away, which would hide that: it is
   * closed when it comes back.
   */
  retire(): void {
    void this.close(Number.POSITIVE_INFINITY);
  }
}

/** Opens what costs nothing, and closes what was never open. */
class SandboxSeam implements Seam<PgConnection> {
  readonly #around: Enclosing;

  constructor(around: Enclosing) {
    this.#around = around;
  }

  async connect(): Promise<PgConnection> {
    // It has all of a connection that units of work use; the class itself is nominal.
    return new StandIn(this.#around) as unknown as PgConnection;
  }

  async introduce(): Promise<void> {}

  async check(): Promise<void> {}

  clean(connection: PgConnection): Promise<void> {
    return standInOf(connection).clean();
  }

  async interrupt(connection: PgConnection): Promise<void> {
    await standInOf(connection).stop();
    await standInOf(connection).clean();
  }

  async close(connection: PgConnection): Promise<void> {
    await this.interrupt(connection).catch(() => undefined);
  }

  destroy(): void {}

  async confirmClosed(connections: readonly PgConnection[]): Promise<readonly PgConnection[]> {
    return connections;
  }

  isPermanent(): boolean {
    return false;
  }

  contagion(_: PgConnection, error: unknown): Contagion {
    this.#around.wire.learn(error);
    return 'none';
  }

  stalled(): void {}

  rest(): void {}

  wake(): void {}
}

export function standInOf(connection: PgConnection): StandIn {
  return connection as unknown as StandIn;
}

/** What is forgotten in a sandbox does not keep the process alive. */
function unheeded(clock: Clock): Clock {
  return {
    now: () => clock.now(),
    wall: () => clock.wall(),
    after: (millis, fn) => clock.after(millis, fn, 'idle'),
    afterInput: (fn) => clock.afterInput(fn),
  };
}

/** As many as most tests use at the same time: more are had as on any pool, a little later. */
const READY = 4;

/** Nothing grows old here. */
const STILL = {
  connectionTimeoutMillis: 0,
  idleTimeoutMillis: 0,
  maxLifetimeSeconds: 0,
  validateAfterIdleMillis: 0,
  keepaliveMillis: 0,
  overload: false,
  leakAfterMillis: 0,
} as const;

/** Bulkheads are the real pool's; here all share one connection anyway. */
class AnyGroup extends Map<string, { readonly maxConcurrent: number }> {
  override has(): boolean {
    return true;
  }

  override get(): { readonly maxConcurrent: number } {
    return UNBOUNDED;
  }
}

const UNBOUNDED = Object.freeze({ maxConcurrent: Number.POSITIVE_INFINITY });
