import { type ChildProcess, fork } from 'node:child_process';
import type { Throughput } from './closed-loop.ts';
import type { ContenderOptions } from './contender.ts';
import type { Latencies } from './paced-loop.ts';

/** What callers do, each again as soon as it is answered. */
export interface ClosedLoad {
  readonly deed: 'read' | 'transaction';
  readonly callers: number;
  readonly seconds: number;
}

/** Reads that arrive by the clock. `texts`: whether the slow ones have a text of their own, or that of the fast ones. */
export interface MixedLoad {
  readonly texts: 'different' | 'same';
  readonly perSecond: number;
  readonly seconds: number;
  readonly slowShare: number;
  /** The same seed brings the same arrivals. */
  readonly seed: number;
}

export type Order =
  | { readonly kind: 'open'; readonly options: ContenderOptions }
  | { readonly kind: 'closed'; readonly load: ClosedLoad }
  | { readonly kind: 'mixed'; readonly load: MixedLoad }
  | { readonly kind: 'close' };

export type Answer = { readonly reading: unknown } | { readonly failure: string };

interface Pending {
  resolve(reading: unknown): void;
  reject(error: Error): void;
}

/**
 * A contender in a process of its own, so that no side is charged for another's garbage, and none finds the code of the
 * driver compiled for another's use of it. It is given one order at a time.
 */
export class ContenderProcess {
  readonly #child: ChildProcess;
  #pending: Pending | undefined;

  constructor() {
    this.#child = fork(new URL('./contender-main.ts', import.meta.url));
    this.#child.on('message', (answer: Answer) => this.#answered(answer));
    this.#child.on('exit', (code) => this.#answered({ failure: `A contender's process ended with ${code}.` }));
  }

  /** Whoever is open in this process is closed before. */
  async open(options: ContenderOptions): Promise<void> {
    await this.#order({ kind: 'open', options });
  }

  load(load: ClosedLoad): Promise<Throughput> {
    return this.#order({ kind: 'closed', load }) as Promise<Throughput>;
  }

  mix(load: MixedLoad): Promise<Latencies> {
    return this.#order({ kind: 'mixed', load }) as Promise<Latencies>;
  }

  async close(): Promise<void> {
    if (!this.#child.connected) return;
    await this.#order({ kind: 'close' });
    this.#child.disconnect();
  }

  #order(order: Order): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
      this.#child.send(order);
    });
  }

  #answered(answer: Answer): void {
    const pending = this.#pending;
    this.#pending = undefined;
    if ('failure' in answer) pending?.reject(new Error(answer.failure));
    else pending?.resolve(answer.reading);
  }
}
