import { type PostgresServer, passes, startProxy, waitUntil } from '@lifeguard/testkit';
import { expect, onTestFinished } from '@lifeguard/testkit/vitest';
import { systemClock } from '../../src/clock.ts';
import type { LifeguardPool, PoolOptions } from '../../src/index.ts';
import { type Asker, QUESTIONS, type Question, TABLES } from './lane-soak-questions.ts';
import { OF_TROUBLE, TROUBLES, type Victims } from './lane-soak-troubles.ts';
import { accidents, openPool } from './rig.ts';

export interface SoakOptions {
  readonly statements: number;
  readonly seed: number;
  /** Statements from one trouble to the next. */
  readonly calm: number;
}

/** As many as a web server may have under way. */
const CALLERS = 200;
const MOST = 12;
const WEIGHT = QUESTIONS.reduce((sum, { weight }) => sum + weight, 0);

/** Many callers, each of whom checks each answer against his own question, while everything that can go wrong does. */
class Soak {
  readonly outcomes = new Map<string, number>();
  readonly troubles = new Map<string, number>();
  readonly wrong: string[] = [];
  readonly #options: SoakOptions;
  readonly #victims: Victims;
  readonly #leavers: AbortController[] = [];
  #asked = 0;
  #troubled: Promise<unknown> = Promise.resolve();

  constructor(options: SoakOptions, victims: Victims) {
    this.#options = options;
    this.#victims = victims;
  }

  async run(): Promise<void> {
    await Promise.all(Array.from({ length: CALLERS }, (_, caller) => this.#call(caller % 10 === 0 ? 1 : 0)));
    await this.#troubled;
  }

  /** Some always ask through the proxy: who waits for a network that fell silent must not keep all others from asking. */
  async #call(through: number): Promise<void> {
    const pool = this.#victims.pools[through] as LifeguardPool;
    while (this.#asked < this.#options.statements) {
      const tag = this.#asked++;
      if (tag % this.#options.calm === this.#options.calm - 1) this.#trouble();
      const outcome = await this.#outcomeOf(this.#question(), this.#asker(pool, tag));
      this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
      if (outcome === 'ERR_LIFEGUARD_UNAVAILABLE') await passes(100, 'who is refused at once comes again later');
      // In the midst of his own answer he makes another one leave.
      if (this.#leavers.length > 20) this.#leavers.shift()?.abort();
    }
  }

  async #outcomeOf({ ask, fails }: Question, asker: Asker): Promise<string> {
    const { tag } = asker;
    try {
      const complaint = await ask(asker);
      if (complaint === undefined) return 'ok';
      return this.#isWrong(`${tag}: ${complaint}`);
    } catch (error) {
      const { code = 'no code', message } = ownErrorOf(error);
      if (fails?.({ code, message }, tag) === true) return `${code} as expected`;
      return OF_TROUBLE.has(code) ? code : this.#isWrong(`${tag}: ${code} ${message}`);
    }
  }

  #isWrong(what: string): string {
    this.wrong.push(what.slice(0, 300));
    return 'wrong';
  }

  #asker(pool: LifeguardPool, tag: number): Asker {
    const { random } = this.#victims;
    const leaver = (): AbortSignal => {
      const caller = new AbortController();
      if (random(4) > 0) this.#leavers.push(caller);
      else setImmediate(() => caller.abort());
      return caller.signal;
    };
    return { pool, tag, random, leaver };
  }

  #question(): Question {
    let place = this.#victims.random(WEIGHT);
    for (const question of QUESTIONS) {
      place -= question.weight;
      if (place < 0) return question;
    }
    throw new Error('There is no such question.');
  }

  /** One at a time. */
  #trouble(): void {
    const names = Object.keys(TROUBLES);
    const name = names[this.#victims.random(names.length)] as string;
    this.troubles.set(name, (this.troubles.get(name) ?? 0) + 1);
    this.#troubled = this.#troubled.then(async () => {
      const made = await TROUBLES[name]?.(this.#victims);
      // What somebody is told of trouble is none of ours.
      if (Array.isArray(made)) await Promise.allSettled(made);
    });
  }
}

/** Runs a soak, and says what it came to. */
export async function soak(server: PostgresServer, options: SoakOptions): Promise<void> {
  await server.query(TABLES);
  const seen = accidents();
  const victims = await victimsOn(server, options.seed);
  const look = watch(server, victims);
  const soaked = new Soak(options, victims);
  const began = systemClock.now();
  await soaked.run();
  const seconds = (systemClock.now() - began) / 1_000;
  const most = await look.stop();
  const shared = victims.pools.reduce((sum, pool) => sum + pool.snapshot().boarded, 0);
  for (const pool of victims.pools) pool.resize({ max: MOST });
  const few = soaked.wrong.slice(0, 20).join('\n');
  expect(soaked.wrong.length, `seed ${options.seed}, ${soaked.wrong.length} wrong:\n${few}`).toBe(0);
  await nothingIsLeft(victims);
  expect(seen).toEqual([]);
  process.stdout.write(report(soaked, { ...options, seconds, most, shared }));
}

async function victimsOn(server: PostgresServer, seed: number): Promise<Victims> {
  const proxy = await startProxy(server.connection());
  onTestFinished(() => proxy.close());
  const options: PoolOptions = {
    max: MOST,
    statementTimeoutMillis: 2_000,
    acquireTimeoutMillis: 120_000,
    closeTimeoutMillis: 1_000,
    maxWaiting: 0,
    overload: false,
    logger: { warn: () => undefined },
  };
  const pools = [openPool(server.connection(), options), openPool(proxy.connection(), options)];
  return { server, proxy, pools, most: MOST, random: randomFrom(seed) };
}

/** Counts the sessions of the pools at the server for as long as it may. */
function watch(server: PostgresServer, { pools }: Victims): { stop(): Promise<number> } {
  let isOver = false;
  let most = 0;
  const looking = (async () => {
    while (!isOver) {
      for (const { name } of pools) {
        const own = (await server.backends()).filter(({ applicationName }) => applicationName.startsWith(`${name}@`));
        most = Math.max(most, own.length);
      }
      await passes(100, 'a look costs the server a process');
    }
  })();
  const stop = async (): Promise<number> => {
    isOver = true;
    await looking;
    // And one to ask what became of those that were cut off.
    expect(most).toBeLessThanOrEqual(MOST + 1);
    return most;
  };
  return { stop };
}

async function nothingIsLeft({ server, proxy, pools }: Victims): Promise<void> {
  const places = (): unknown[] =>
    pools.map((pool) => {
      const { leased, onLanes, waiting, tending } = pool.snapshot();
      return leased + onLanes + waiting + tending;
    });
  await waitUntil(() => places().every((held) => held === 0), { what: 'all places to be left', timeoutMillis: 20_000 });
  await Promise.all(pools.map((pool) => pool.close()));
  expect(pools.map((pool) => pool.snapshot().size)).toEqual([0, 0]);
  // What a forgotten link has kept from the server: it was never told that its client has gone.
  proxy.resetAll();
  await waitUntil(async () => (await server.backends()).length === 0, { what: 'no session to be left' });
}

interface Facts extends SoakOptions {
  readonly seconds: number;
  readonly most: number;
  /** Statements on lanes. */
  readonly shared: number;
}

function report({ outcomes, troubles }: Soak, facts: Facts): string {
  const { statements, seed, seconds, most, shared } = facts;
  const counts = (all: ReadonlyMap<string, number>): string =>
    [...all].map(([what, count]) => `${count} ${what}`).join(', ');
  const rate = `${Math.round(statements / seconds)} a second`;
  return `lane soak: ${statements} statements, ${shared} of them on lanes, in ${Math.round(seconds)} s, ${rate}, seed ${seed}
  ${most} sessions at most, ${heap()} MB of heap
  outcomes: ${counts(outcomes)}
  troubles: ${counts(troubles)}\n`;
}

/** That of a batch says which statement it was; its cause is what befell that. */
function ownErrorOf(error: unknown): { readonly code?: string; readonly message: string } {
  const { code, cause } = error as { code?: string; cause?: Error };
  return code === 'ERR_LIFEGUARD_BATCH' && cause instanceof Error ? cause : (error as Error);
}

function heap(): number {
  globalThis.gc?.();
  return Math.round(process.memoryUsage().heapUsed / 1_048_576);
}

/** Numbers below a limit that are the same for the same seed. */
function randomFrom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}
