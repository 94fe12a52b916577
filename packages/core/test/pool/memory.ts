import { readOptions } from '../../src/options.ts';
import { Pool } from '../../src/pool/pool.ts';
import type { Verdict } from '../../src/pool/seam.ts';
import type { Slot } from '../../src/pool/slot.ts';
import type { AcquireRequest } from '../../src/pool/waiters.ts';
import type { PoolOptions } from '../../src/pool-options.ts';
import { FakeClock } from './fake-clock.ts';
import { type ScriptedConnection, ScriptedSeam } from './scripted-seam.ts';

/** A pool and its surroundings that remember nothing of what happened: what grows is the pool's own. */
export class LeanPool {
  readonly clock = new FakeClock();
  readonly seam = new ScriptedSeam(this.clock, { forgetful: true });
  readonly pool: Pool<ScriptedConnection>;

  constructor(options: PoolOptions) {
    const settings = { ...readOptions({ overload: false, maxWaiting: 0, ...options }), lanes: true };
    this.pool = new Pool({ settings, seam: this.seam, clock: this.clock });
  }

  /** Leases one after the other, as fast as they come. */
  async borrow(times: number, verdict: Verdict = { kind: 'keep' }): Promise<void> {
    for (let time = 0; time < times; time += 1) {
      const request = requestOf(time);
      const slot = this.pool.take(request) ?? (await this.#wait(request));
      this.pool.giveBack(slot, request, verdict);
      if (time % 1_000 === 0) await this.clock.advance(1);
    }
  }

  /** Places on lanes, taken and left a few at a time, as fast as they come. */
  async ride(times: number): Promise<void> {
    for (let time = 0; time < times; time += 3) {
      const request = { ...requestOf(time), shares: true };
      for (const slot of [await this.#board(request), await this.#board(request), await this.#board(request)]) {
        this.pool.alight(slot);
      }
      if (time % 999 === 0) await this.clock.advance(1);
    }
  }

  /** Callers who are all told that their time is up. */
  async timeOut(count: number): Promise<void> {
    for (let one = 0; one < count; one += 1) this.pool.acquire(requestOf(one)).catch(() => undefined);
    await this.clock.advance(10_000);
  }

  /** Callers who all give up. */
  async abort(count: number): Promise<void> {
    for (let one = 0; one < count; one += 1) {
      const leaver = new AbortController();
      this.pool.acquire({ ...requestOf(one), signal: leaver.signal }).catch(() => undefined);
      leaver.abort();
    }
    await this.clock.settle();
  }

  #board(request: AcquireRequest): Slot<ScriptedConnection> | Promise<Slot<ScriptedConnection>> {
    return this.pool.board(request) ?? this.#wait(request);
  }

  async #wait(request: AcquireRequest) {
    const promise = this.pool.acquire(request);
    await this.clock.settle();
    return promise;
  }
}

function requestOf(number: number): AcquireRequest {
  return { name: `caller ${number % 10}`, queriedMillis: () => 0 };
}

/** Bytes by which the heap has grown from the first half of the work to the second one. */
export async function growth(half: () => Promise<void>): Promise<number> {
  await half();
  const before = await heap();
  await half();
  return (await heap()) - before;
}

async function heap(): Promise<number> {
  for (let round = 0; round < 3; round += 1) {
    await new Promise((resolve) => setImmediate(resolve));
    globalThis.gc?.();
  }
  return process.memoryUsage().heapUsed;
}
