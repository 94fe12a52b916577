import { startPostgres } from '@lifeguard/testkit';
import type { Benchmark, Figures, Findings, Say } from './benchmark.ts';
import type { Address, ContenderOptions } from './contender.ts';
import { contest, figuresOf, rates, type Standings } from './contest.ts';
import { ratiosOf } from './interleave.ts';
import { fillItems } from './items.ts';
import { median } from './statistics.ts';
import { withTeams } from './team.ts';

const ROUNDS = 3;
const SECONDS = 1;
const COUNTS = [1, 2, 4, 8] as const;
/** In all processes together, so that the server has the same to bear each time. */
const CONNECTIONS = 16;
const CALLERS = 48;
const TYPICAL = 4;

type Side = keyof ReturnType<typeof sidesAt>;
type ByCount = Readonly<Record<number, Standings<Side>>>;

export const processes: Benchmark = {
  name: 'processes',
  question: 'How many reads do 1, 2, 4 and 8 processes get answered together, with 16 connections among them?',
  ratioOf: 'reads per second of 4 processes, ours ÷ pg-pool',
  target: undefined,
  run,
};

async function run(say: Say): Promise<Findings> {
  const server = await startPostgres();
  try {
    await fillItems(server);
    const found: Record<number, Standings<Side>> = {};
    for (const count of COUNTS) {
      found[count] = await measure(server.connection(), count);
      say(`${count} processes measured`);
    }
    return findingsOf(found);
  } finally {
    await server.stop();
  }
}

function sidesAt(address: Address, max: number) {
  return {
    lanes: { kind: 'ours', address, max },
    lanesOff: { kind: 'lanesOff', address, max },
    pgPool: { kind: 'pgPoolNamed', address, max },
  } as const satisfies Record<string, ContenderOptions>;
}

function measure(address: Address, count: number): Promise<Standings<Side>> {
  const load = { deed: 'read', callers: CALLERS / count, seconds: SECONDS } as const;
  return withTeams(
    sidesAt(address, CONNECTIONS / count),
    (teams) => contest(teams, { rounds: ROUNDS, load, warmSeconds: SECONDS }),
    count,
  );
}

function findingsOf(found: ByCount): Findings {
  const against = (side: Side, count: number): number[] => {
    const standings = found[count] as Standings<Side>;
    return ratiosOf(rates(standings[side]), rates(standings.pgPool));
  };
  const figures = (side: Side, prefix = ''): Figures =>
    Object.assign(
      {},
      ...COUNTS.map((count) => figuresOf((found[count] as Standings<Side>)[side], `${prefix}${count}`)),
    );
  return {
    ratios: against('lanes', TYPICAL),
    unit: 'reads per second of all processes, µs of their CPU for each, milliseconds (medians)',
    ours: { ...figures('lanes', 'lanes.'), ...figures('lanesOff', 'lanesOff.') },
    peers: { 'pg-pool': figures('pgPool') },
    extra: {
      ...Object.fromEntries(COUNTS.map((count) => [`vsPgPool.${count}`, median(against('lanes', count))])),
      [`lanesOff.${TYPICAL}`]: median(against('lanesOff', TYPICAL)),
    },
    notes: [
      `${CALLERS} callers who never pause and ${CONNECTIONS} connections, shared out among the processes; 4.perSecond is with 4 of them. pg-pool with named statements. p99 is that of the slowest process.`,
      'All processes and the server share the cores of one machine: more processes than cores cannot bring more, and show what it costs to have them.',
    ],
  };
}
