import { findProgram, type PgBouncer, type PostgresServer, startPgBouncer, startPostgres } from '@lifeguard/testkit';
import type { Benchmark, Figures, Findings, Say } from './benchmark.ts';
import type { Throughput } from './closed-loop.ts';
import type { Address, ContenderOptions } from './contender.ts';
import type { ClosedLoad } from './contender-process.ts';
import { contest, fastest, figuresOf, rates, type Standings } from './contest.ts';
import { roundTripMillis, startFarServer } from './far-server.ts';
import { ratiosOf } from './interleave.ts';
import { fillItems } from './items.ts';
import { median } from './statistics.ts';
import { withTeams } from './team.ts';

const ROUNDS = 3;
const SECONDS = 0.6;
const MAX = 10;
const LOADS = {
  reads: { deed: 'read', callers: 50, seconds: SECONDS },
  transactions: { deed: 'transaction', callers: 10, seconds: SECONDS },
} as const satisfies Record<string, ClosedLoad>;

type Side = keyof ReturnType<typeof sidesAt>;
/** A transaction never runs on a lane. */
type Exclusive = Exclude<Side, 'lanesOff'>;
type PlaceName = 'at0' | 'at1' | 'at5' | 'tls' | 'pgbouncer';

/** A way to the server. */
interface Place {
  readonly name: PlaceName;
  readonly address: Address;
  close(): Promise<unknown>;
}

interface Found {
  readonly tripMillis: number;
  readonly reads: Standings<Side>;
  readonly transactions: Standings<Exclusive>;
}

export const distance: Benchmark = {
  name: 'distance',
  question: 'What do reads and transactions gain at 0, 1 and 5 ms of network delay, over TLS, and behind PgBouncer?',
  ratioOf: 'reads per second at 1 ms per round trip, ours ÷ pg-pool (the better of its two forms)',
  target: undefined,
  run,
};

async function run(say: Say): Promise<Findings> {
  const server = await startPostgres({ ssl: findProgram('openssl') !== undefined });
  try {
    await fillItems(server);
    const found = new Map<PlaceName, Found>();
    for (const open of placesOf(server)) {
      const place = await open();
      if (place === undefined) continue;
      found.set(place.name, await measure(place).finally(() => place.close()));
      say(`${place.name} measured`);
    }
    return findingsOf(found);
  } finally {
    await server.stop();
  }
}

/** Undefined where a program is missing on this machine. */
function placesOf(server: PostgresServer): readonly (() => Promise<Place | undefined>)[] {
  const { certificate } = server;
  const address = server.connection();
  const far = async (name: PlaceName, delayMillis: number): Promise<Place> => {
    const way = await startFarServer(address, delayMillis);
    return { name, address: way.connection(), close: () => way.close() };
  };
  return [
    async () => ({ name: 'at0', address, close: done }),
    () => far('at1', 1),
    () => far('at5', 5),
    async () =>
      certificate === undefined
        ? undefined
        : { name: 'tls', address: { ...address, ssl: { ca: certificate } }, close: done },
    async () => behind(await startPgBouncer({ target: address, poolSize: MAX })),
  ];
}

function behind(bouncer: PgBouncer | undefined): Place | undefined {
  if (bouncer === undefined) return undefined;
  return { name: 'pgbouncer', address: bouncer.connection(), close: () => bouncer.stop() };
}

async function done(): Promise<void> {}

async function measure({ name, address }: Place): Promise<Found> {
  // An old PgBouncer that shares sessions knows no prepared statements, so names cannot be used there.
  const named = name === 'pgbouncer' ? 'pgPool' : 'pgPoolNamed';
  const tripMillis = await roundTripMillis(address);
  return await withTeams(sidesAt(address, named), async (teams) => {
    const { lanesOff: _, ...exclusive } = teams;
    const rules = { rounds: ROUNDS, warmSeconds: SECONDS / 2 };
    const reads = await contest(teams, { ...rules, load: LOADS.reads });
    const transactions = await contest<Exclusive>(exclusive, { ...rules, load: LOADS.transactions });
    return { tripMillis, reads, transactions };
  });
}

function sidesAt(address: Address, named: 'pgPool' | 'pgPoolNamed') {
  return {
    ours: { kind: 'ours', address, max: MAX },
    lanesOff: { kind: 'lanesOff', address, max: MAX },
    pgPool: { kind: 'pgPool', address, max: MAX },
    pgPoolNamed: { kind: named, address, max: MAX },
  } as const satisfies Record<string, ContenderOptions>;
}

function findingsOf(found: ReadonlyMap<PlaceName, Found>): Findings {
  const missing = (['tls', 'pgbouncer'] as const).filter((place) => !found.has(place));
  const all = (figuresAt: (place: PlaceName, at: Found) => Figures): Figures =>
    Object.assign({}, ...[...found].map(([place, at]) => figuresAt(place, at)));
  return {
    ratios: against((found.get('at1') as Found).reads, 'ours'),
    unit: 'reads and transactions per second, µs of CPU of the asking process for each, milliseconds (medians)',
    ours: all((place, { reads, transactions }) => ({
      ...figuresOf(reads.ours, `${place}.reads`),
      ...figuresOf(reads.lanesOff, `${place}.readsLanesOff`),
      ...figuresOf(transactions.ours, `${place}.transactions`),
    })),
    peers: {
      'pg-pool': all((place, { reads, transactions }) => ({
        ...figuresOf(best(reads), `${place}.reads`),
        ...figuresOf(best(transactions), `${place}.transactions`),
      })),
    },
    extra: all((place, { reads, transactions, tripMillis }) => ({
      [`${place}.reads`]: median(against(reads, 'ours')),
      [`${place}.readsLanesOff`]: median(ratiosOf(rates(reads.lanesOff), rates(best(reads)))),
      [`${place}.transactions`]: median(against(transactions, 'ours')),
      [`${place}.roundTripMillis`]: tripMillis,
    })),
    notes: [...NOTES, ...missing.map((place) => `${place}: NOT MEASURED, because its program is not installed here.`)],
  };
}

const NOTES = [
  `Closed loops on ${MAX} connections: ${LOADS.reads.callers} callers who read, ${LOADS.transactions.callers} who do transactions of two dependent statements under a time limit (by hand: BEGIN, SET LOCAL, two statements, COMMIT). at0, tls and pgbouncer are without delay; at1 and at5 have so many milliseconds for each round trip.`,
  'The figures of pg-pool are those of its better form, with named statements or without, in each place. reads and transactions under also: ours ÷ pg-pool. pgbouncer: in transaction mode, without named statements for pg-pool; there nothing rides on lanes, and ours sends its time limit with each statement, because it cannot be set at login. pg-pool has no such limit.',
];

function against(standings: Standings<Exclusive>, side: Exclusive): number[] {
  return ratiosOf(rates(standings[side]), rates(best(standings)));
}

function best({ pgPool, pgPoolNamed }: Standings<Exclusive>): readonly Throughput[] {
  return fastest([pgPool, pgPoolNamed]);
}
