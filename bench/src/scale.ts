import { startPostgres } from '@lifeguard/testkit';
import type { Benchmark, Figures, Findings, Say } from './benchmark.ts';
import type { Address, ContenderOptions } from './contender.ts';
import { contest, rates, type Standings } from './contest.ts';
import { ratiosOf } from './interleave.ts';
import { fillItems } from './items.ts';
import { median } from './statistics.ts';
import { withTeams } from './team.ts';

const ROUNDS = 3;
const MAX = 10;
/** Callers at once, and for how long: each is to be answered more than once. */
const STEPS = [
  { callers: 10, seconds: 1 },
  { callers: 100, seconds: 1 },
  { callers: 1_000, seconds: 1.5 },
  { callers: 10_000, seconds: 3 },
] as const;
const [FEWEST, MOST] = [10, 10_000];

type Side = keyof ReturnType<typeof sidesAt>;
type Steps = Readonly<Record<number, Standings<Side>>>;

export const scale: Benchmark = {
  name: 'scale',
  question: 'What does one read cost when 10, 100, 1,000 and 10,000 callers ask at once?',
  ratioOf: 'time per read of ours, at 10,000 callers ÷ at 10',
  target: undefined,
  run,
};

async function run(say: Say): Promise<Findings> {
  const server = await startPostgres();
  try {
    await fillItems(server);
    return await withTeams(sidesAt(server.connection()), async (teams) => {
      const steps: Record<number, Standings<Side>> = {};
      for (const { callers, seconds } of STEPS) {
        const load = { deed: 'read', callers, seconds } as const;
        steps[callers] = await contest(teams, { rounds: ROUNDS, load, warmSeconds: 0.7 });
        say(`${callers} callers measured`);
      }
      return findingsOf(steps);
    });
  } finally {
    await server.stop();
  }
}

function sidesAt(address: Address) {
  return {
    lanes: { kind: 'ours', address, max: MAX, endlessLine: true },
    lanesOff: { kind: 'lanesOff', address, max: MAX, endlessLine: true },
    pgPool: { kind: 'pgPoolNamed', address, max: MAX },
    postgres: { kind: 'postgres', address, max: MAX },
  } as const satisfies Record<string, ContenderOptions>;
}

function findingsOf(steps: Steps): Findings {
  const growth = (side: Side): number[] =>
    ratiosOf(rates(standing(steps, FEWEST)[side]), rates(standing(steps, MOST)[side]));
  return {
    ratios: growth('lanes'),
    unit: 'µs of wall time and of CPU of the asking process for each read; p99 in milliseconds (medians)',
    ours: { ...costs(steps, 'lanes', 'lanes.'), ...costs(steps, 'lanesOff', 'lanesOff.') },
    peers: { 'pg-pool': costs(steps, 'pgPool'), postgres: costs(steps, 'postgres') },
    extra: {
      'growth.lanesOff': median(growth('lanesOff')),
      'growth.pgPool': median(growth('pgPool')),
      'growth.postgres': median(growth('postgres')),
    },
    notes: [
      `Closed loop, ${MAX} connections on all sides; 10.wallMicros is with 10 callers, and so on. pg-pool with named statements, postgres with prepared ones.`,
      'Ours without maxWaiting and overload: by default it turns newcomers away long before 10,000 wait. growth: the same ratio of the other sides.',
    ],
  };
}

function costs(steps: Steps, side: Side, prefix = ''): Figures {
  const rows = STEPS.flatMap(({ callers }): [string, number][] => {
    const readings = standing(steps, callers)[side];
    return [
      [`${prefix}${callers}.wallMicros`, median(rates(readings).map((perSecond) => 1e6 / perSecond))],
      [`${prefix}${callers}.cpuMicros`, median(readings.map(({ cpuMicros }) => cpuMicros))],
      [`${prefix}${callers}.p99Millis`, median(readings.map(({ p99Millis }) => p99Millis))],
    ];
  });
  return Object.fromEntries(rows);
}

function standing(steps: Steps, callers: number): Standings<Side> {
  return steps[callers] as Standings<Side>;
}
