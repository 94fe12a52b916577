import { setTimeout as sleep } from 'node:timers/promises';
import type { LifeguardPool } from '@lifeguard/core';
import type { PostgresServer } from '@lifeguard/testkit';
import type { Load } from './load.ts';
import type { Logbook } from './logbook.ts';

/** What can be done to the pool. */
export type Deed = 'slow' | 'leak' | 'kill' | 'restart' | 'overload' | 'pause';

/** What mischief needs to get at. */
export interface Victims {
  readonly postgres: PostgresServer;
  readonly pool: LifeguardPool;
  readonly load: Load;
  readonly log: Logbook;
}

/** Provokes what a pool must be able to bear. */
export class Mischief {
  readonly #victims: Victims;
  readonly #rate: number;
  /** Deeds that are not over: nobody may stop the server while it is being restarted. */
  readonly #underWay = new Map<Deed, Promise<void>>();
  #leaks = 0;

  constructor(victims: Victims) {
    this.#victims = victims;
    this.#rate = victims.load.rate;
  }

  /** Never rejects. A restart or an overload that is under way is not begun a second time. */
  do(deed: Deed, signal: AbortSignal): void {
    if (this.#underWay.has(deed)) return;
    const done = this.#deeds[deed](signal)
      .catch((error: Error) => {
        if (!signal.aborted) this.#victims.log.note(`demo: ${deed} failed: ${error.message}`, 'bad');
      })
      .finally(() => this.#underWay.delete(deed));
    this.#underWay.set(deed, done);
  }

  async settled(): Promise<void> {
    await Promise.all(this.#underWay.values());
  }

  readonly #deeds: Readonly<Record<Deed, (signal: AbortSignal) => Promise<void>>> = {
    slow: () => this.#slow(),
    leak: (signal) => this.#leak(signal),
    kill: () => this.#kill(),
    restart: () => this.#restart(),
    overload: (signal) => this.#overload(signal),
    pause: () => this.#pause(),
  };

  async #slow(): Promise<void> {
    this.#say('a statement of 30 s, which may take 1.5 s');
    this.#victims.load.send('GET /report');
  }

  /** Where a lease was taken is recorded of one in 64, and of all whose name leaked before: the first time takes two. */
  async #leak(signal: AbortSignal): Promise<void> {
    this.#leaks += 1;
    this.#say('a handler forgets its lease');
    this.#victims.load.send('GET /forgetful');
    if (this.#leaks > 1) return;
    await sleep(LEAK_SEEN_MILLIS, undefined, { signal });
    this.#say('it forgets another one');
    this.#victims.load.send('GET /forgetful');
  }

  async #kill(): Promise<void> {
    const { postgres, pool } = this.#victims;
    const [backend] = (await postgres.backends()).filter(({ applicationName }) =>
      applicationName.startsWith(pool.name),
    );
    if (backend === undefined) return this.#say('there is no backend to end');
    this.#say(`backend ${backend.pid} is ended (pg_terminate_backend)`);
    await postgres.query('select pg_terminate_backend($1)', [backend.pid]);
  }

  async #restart(): Promise<void> {
    const { postgres } = this.#victims;
    this.#say('PostgreSQL is stopped');
    await postgres.halt('fast');
    await sleep(DOWN_MILLIS);
    await postgres.start();
    this.#say('PostgreSQL is up again');
  }

  async #overload(signal: AbortSignal): Promise<void> {
    const { load } = this.#victims;
    load.rate = this.#rate * 3;
    this.#say(`${load.rate} requests per second come`);
    try {
      await sleep(OVERLOAD_MILLIS, undefined, { signal });
    } finally {
      load.rate = this.#rate;
    }
    this.#say(`it is ${load.rate} per second again`);
  }

  async #pause(): Promise<void> {
    const { pool } = this.#victims;
    if (pool.snapshot().state === 'paused') pool.resume();
    else pool.pause();
    this.#say(`the pool is ${pool.snapshot().state}`);
  }

  #say(what: string): void {
    this.#victims.log.note(`demo: ${what}`, 'deed');
  }
}

const LEAK_SEEN_MILLIS = 2_100;
const DOWN_MILLIS = 1_000;
const OVERLOAD_MILLIS = 6_000;
