import { setTimeout as pause } from 'node:timers/promises';
import { createPool, type LifeguardPool, Owner } from '@lifeguard/core';
import { type PostgresServer, startPostgres } from '@lifeguard/testkit';
import PgPool from 'pg-pool';
import type { Benchmark, Findings, Say, Target } from './benchmark.ts';
import { interleave } from './interleave.ts';
import { type Answer, openLoop } from './open-loop.ts';
import { median, medians, quantile } from './statistics.ts';
import { PEER_TIMEOUTS, type PeerPool } from './stub-client.ts';

const ROUNDS = 3;
const MAX = 10;
const SECONDS = 5;
const LATENCY_TARGET_MILLIS = 500;
/** Slow enough that ten connections, and not the machine, are what limits: about 300 requests a second. */
const STATEMENT = 'select pg_sleep(0.01)';
const STATEMENTS = 3;

/** A pool under test, as a request uses it. */
interface Service {
  request(): Promise<void>;
  /** Callers in its line. */
  waiting(): number;
  close(): Promise<unknown>;
}

type Name = 'ours' | 'pgPool' | 'pgPoolShort';

/** Requests per second answered in time; and how the rest fared. */
type Reading = Record<'goodput' | 'p99Millis' | 'refusedMillis' | 'refusedShare' | 'lateShare', number>;

const TARGET: Target = { bound: 'at least', value: 0.9 };

export const overload: Benchmark = {
  name: 'overload',
  question: 'How many whole requests of three statements are answered within 500 ms when three times too many come?',
  ratioOf: 'goodput at 3 × capacity ÷ capacity',
  target: TARGET,
  run,
};

async function run(say: Say): Promise<Findings> {
  const server = await startPostgres();
  const services = openServices(server);
  try {
    return await measure(services, say);
  } finally {
    await Promise.all(Object.values(services).map((service) => service.close()));
    await server.stop();
  }
}

async function measure(services: Record<Name, Service>, say: Say): Promise<Findings> {
  for (const service of Object.values(services)) await capacityOf(service, 0.5);
  const rounds = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const measured = await interleave(
      1,
      each(services, (service) => capacityOf(service, 2)),
    );
    // One for all: the better of what the pools achieve when nobody comes too many.
    const capacity = Math.max(...Object.values(measured).flat());
    const at = (factor: number) =>
      interleave(
        1,
        each(services, (service) => under(service, factor * capacity)),
      );
    rounds.push({ capacity, measured, thrice: await at(3), twice: await at(2) });
    say(`round ${round + 1} of ${ROUNDS}: capacity ${Math.round(capacity)} requests a second`);
  }
  return findingsOf(rounds);
}

interface Round {
  readonly capacity: number;
  readonly measured: Record<Name, number[]>;
  readonly thrice: Record<Name, Reading[]>;
  readonly twice: Record<Name, Reading[]>;
}

function findingsOf(rounds: readonly Round[]): Findings {
  const share = (name: Name, factor: 'thrice' | 'twice'): number[] =>
    rounds.map((round) => (round[factor][name][0] as Reading).goodput / round.capacity);
  const figures = (name: Name): Record<string, number> => ({
    capacity: median(rounds.map(({ measured }) => measured[name][0] as number)),
    ...prefixed('thrice', medians(rounds.map(({ thrice }) => thrice[name][0] as Reading))),
    ...prefixed('twice', medians(rounds.map(({ twice }) => twice[name][0] as Reading))),
    ratio: median(share(name, 'thrice')),
    ratioTwice: median(share(name, 'twice')),
  });
  return {
    ratios: share('ours', 'thrice'),
    unit: 'requests per second, milliseconds, shares (medians)',
    ours: figures('ours'),
    peers: { 'pg-pool': figures('pgPool'), 'pg-pool, 500 ms': figures('pgPoolShort') },
    also: [{ name: 'atTwice', value: median(share('ours', 'twice')), target: TARGET, unit: 'of capacity' }],
    notes: [
      `Open loop over ${SECONDS} s, its first moments included; latency counts from the scheduled arrival to the end of the third statement.`,
      'capacity is one for all: the best that a closed loop reached in the same round. pg-pool once with a connection time-out of 5 s, as ours by default, and once with the latency target as time-out.',
    ],
  };
}

function prefixed(prefix: string, reading: Reading): Record<string, number> {
  return Object.fromEntries(Object.entries(reading).map(([name, value]) => [`${prefix}.${name}`, value]));
}

function openServices(server: PostgresServer): Record<Name, Service> {
  return {
    ours: ourService(createPool({ ...server.connection(), max: MAX })),
    pgPool: peerService(new PgPool({ ...server.connection(), ...PEER_TIMEOUTS, max: MAX })),
    pgPoolShort: peerService(
      new PgPool({
        ...server.connection(),
        ...PEER_TIMEOUTS,
        connectionTimeoutMillis: LATENCY_TARGET_MILLIS,
        max: MAX,
      }),
    ),
  };
}

function ourService(pool: LifeguardPool): Service {
  return {
    async request() {
      const owner = new Owner();
      for (let done = 0; done < STATEMENTS; done += 1) await pool.query(STATEMENT, undefined, { owner });
    },
    waiting: () => pool.snapshot().waiting,
    close: () => pool.close(),
  };
}

function peerService(pool: PeerPool): Service {
  return {
    async request() {
      for (let done = 0; done < STATEMENTS; done += 1) await pool.query(STATEMENT);
    },
    waiting: () => pool.waitingCount,
    close: () => pool.end(),
  };
}

/** Whole requests per second of twice as many callers as there are connections: none is ever idle. */
async function capacityOf(service: Service, seconds: number): Promise<number> {
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1_000;
  let done = 0;
  const caller = async (): Promise<void> => {
    while (performance.now() < endsAt) {
      await service.request();
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: 2 * MAX }, caller));
  return (done * 1_000) / (performance.now() - startedAt);
}

async function under(service: Service, perSecond: number): Promise<Reading> {
  const startedAt = performance.now();
  const answers = await openLoop({ perSecond, seconds: SECONDS, request: () => service.request() });
  while (service.waiting() > 0) await pause(20);
  return readingOf(answers, startedAt + SECONDS * 1_000);
}

/** Goodput counts only what ended while the load lasted: what is worked off later is no part of a rate. */
function readingOf(answers: readonly Answer[], loadEndedAt: number): Reading {
  const millis = ({ dueAt, endedAt }: Answer): number => endedAt - dueAt;
  const whole = answers.filter(({ error }) => error === undefined).map(millis);
  const refused = answers.filter(({ error }) => error !== undefined).map(millis);
  const good = answers.filter((answer) => answer.error === undefined && millis(answer) <= LATENCY_TARGET_MILLIS);
  return {
    goodput: good.filter(({ endedAt }) => endedAt <= loadEndedAt).length / SECONDS,
    p99Millis: quantile(whole, 0.99),
    refusedMillis: quantile(refused, 0.5),
    refusedShare: refused.length / answers.length,
    lateShare: (whole.length - good.length) / answers.length,
  };
}

function each<Result>(
  services: Record<Name, Service>,
  work: (service: Service) => Promise<Result>,
): Record<Name, () => Promise<Result>> {
  const entries = Object.entries(services).map(([name, service]) => [name, () => work(service)]);
  return Object.fromEntries(entries) as Record<Name, () => Promise<Result>>;
}
