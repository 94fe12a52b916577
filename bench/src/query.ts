import { startPostgres } from '@lifeguard/testkit';
import type { Benchmark, Findings, FurtherFigure, Say } from './benchmark.ts';
import type { Throughput } from './closed-loop.ts';
import type { Address, ContenderOptions } from './contender.ts';
import { contest, fastest, figuresOf, rates, type Standings } from './contest.ts';
import { ratiosOf } from './interleave.ts';
import { fillItems } from './items.ts';
import { median } from './statistics.ts';
import { withTeams } from './team.ts';

const ROUNDS = 5;
const SECONDS = 1;
const CALLERS = 50;

/** Fewer connections than the peers have: lanes come out of `max`. */
const FEW = 4;
const MANY = 10;
/** What the lanes of `FEW` and `MANY` come to, or one more. */
const RAW_CLIENTS = 2;

type Side = keyof ReturnType<typeof sidesAt>;

export const query: Benchmark = {
  name: 'query',
  question: 'How many single reads by primary key do 50 callers get answered, with fewer connections than the peers?',
  ratioOf: 'reads per second, ours with 4 connections ÷ pg-pool with 10 (the better of its two forms)',
  target: { bound: 'at least', value: 2.2 },
  run,
};

async function run(say: Say): Promise<Findings> {
  const server = await startPostgres();
  try {
    await fillItems(server);
    const load = { deed: 'read', callers: CALLERS, seconds: SECONDS } as const;
    return await withTeams(sidesAt(server.connection()), async (teams) =>
      findingsOf(await contest(teams, { rounds: ROUNDS, load, warmSeconds: SECONDS }, say)),
    );
  } finally {
    await server.stop();
  }
}

function sidesAt(address: Address) {
  return {
    few: { kind: 'ours', address, max: FEW },
    many: { kind: 'ours', address, max: MANY },
    lanesOff: { kind: 'lanesOff', address, max: MANY },
    pipelined: { kind: 'pipelined', address, max: RAW_CLIENTS },
    pgPool: { kind: 'pgPool', address, max: MANY },
    pgPoolNamed: { kind: 'pgPoolNamed', address, max: MANY },
    postgres10: { kind: 'postgres', address, max: MANY },
    postgres2: { kind: 'postgres', address, max: RAW_CLIENTS },
  } as const satisfies Record<string, ContenderOptions>;
}

function findingsOf(found: Standings<Side>): Findings {
  const [pgPool, porsager] = [fastest([found.pgPool, found.pgPoolNamed]), fastest([found.postgres10, found.postgres2])];
  const against = (ours: Side, theirs: readonly Throughput[]): number[] => ratiosOf(rates(found[ours]), rates(theirs));
  return {
    ratios: against('few', pgPool),
    unit: 'reads per second, µs of CPU of the asking process for each, milliseconds (medians)',
    ours: {
      ...figuresOf(found.few, 'max4'),
      ...figuresOf(found.many, 'max10'),
      ...figuresOf(found.lanesOff, 'lanesOff'),
    },
    peers: {
      'pg pipelined': figuresOf(found.pipelined),
      'pg-pool': { ...figuresOf(found.pgPool, 'plain'), ...figuresOf(found.pgPoolNamed, 'named') },
      postgres: { ...figuresOf(found.postgres10, 'max10'), ...figuresOf(found.postgres2, 'max2') },
    },
    also: [
      further('vsPostgres', median(against('few', porsager)), 1.2),
      further('vsRaw', median(against('few', found.pipelined)), 0.8),
    ],
    extra: {
      max10: median(against('many', pgPool)),
      lanesOff: median(against('lanesOff', pgPool)),
      lanesOffVsPostgres: median(against('lanesOff', porsager)),
    },
    notes: NOTES,
  };
}

const NOTES = [
  `${CALLERS} callers who never pause, 100,000 rows, the same text on all sides with the id as a bound value; each side in a process of its own, which shares the cores with the server.`,
  'Ours with all its defaults: max4 and max10 are sizes of the pool, lanesOff is max10 without lanes. pg pipelined: 2 clients of the driver alone, statements named by hand, nobody kept from anybody: the floor. pg-pool: 10 connections. postgres: prepared, with 10 connections and with 2.',
  'max10, lanesOff: ours so ÷ pg-pool. p50 and p99 are those of a closed loop: more callers, longer waits.',
];

function further(name: string, value: number, least: number): FurtherFigure {
  return { name, value, target: { bound: 'at least', value: least }, unit: 'ours ÷ theirs' };
}
