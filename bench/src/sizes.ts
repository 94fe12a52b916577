import { startPostgres } from '@lifeguard/testkit';
import type { Benchmark, Figures, Findings, Say } from './benchmark.ts';
import type { Address, ContenderOptions } from './contender.ts';
import { contest, figuresOf, rates, type Standings } from './contest.ts';
import { ratiosOf } from './interleave.ts';
import { fillItems } from './items.ts';
import { median } from './statistics.ts';
import { type Teams, withTeams } from './team.ts';

const ROUNDS = 3;
const SECONDS = 1;
const CALLERS = 100;
const SIZES = [2, 5, 10, 20, 50, 100] as const;
const [SMALL, LARGE] = [10, 100];

type Side = keyof ReturnType<typeof sidesAt>;
type BySize = Readonly<Record<number, Standings<Side>>>;

export const sizes: Benchmark = {
  name: 'sizes',
  question: 'How many connections are best for 100 callers?',
  ratioOf: 'reads per second of ours without lanes, with 10 connections ÷ with 100',
  target: undefined,
  run,
};

async function run(say: Say): Promise<Findings> {
  const server = await startPostgres({ settings: { max_connections: 400 } });
  try {
    await fillItems(server);
    const address = server.connection();
    return await withTeams(sidesAt(address, SMALL), async (teams) => {
      const found: Record<number, Standings<Side>> = {};
      for (const size of SIZES) {
        found[size] = await measure(teams, address, size);
        say(`${size} connections measured`);
      }
      return findingsOf(found);
    });
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

async function measure(teams: Teams<Side>, address: Address, size: number): Promise<Standings<Side>> {
  const sides = sidesAt(address, size);
  for (const side of Object.keys(sides) as Side[]) await teams[side].open(sides[side]);
  const load = { deed: 'read', callers: CALLERS, seconds: SECONDS } as const;
  return await contest(teams, { rounds: ROUNDS, load, warmSeconds: 0.5 });
}

function findingsOf(found: BySize): Findings {
  const gain = (side: Side): number[] => ratiosOf(rates(at(found, SMALL)[side]), rates(at(found, LARGE)[side]));
  const figures = (side: Side, prefix = ''): Figures =>
    Object.assign({}, ...SIZES.map((size) => figuresOf(at(found, size)[side], `${prefix}${size}`)));
  return {
    ratios: gain('lanesOff'),
    unit: 'reads per second, µs of CPU of the asking process for each, milliseconds (medians)',
    ours: { ...figures('lanes', 'lanes.'), ...figures('lanesOff', 'lanesOff.') },
    peers: { 'pg-pool': figures('pgPool') },
    extra: { 'gain.lanes': median(gain('lanes')), 'gain.pgPool': median(gain('pgPool')) },
    notes: [
      `Closed loop of ${CALLERS} callers; 10.perSecond is with 10 connections, and so on. pg-pool with named statements.`,
      'gain: the same ratio of the other sides. Ours opens connections as it needs them, so it may have fewer open than it may.',
    ],
  };
}

function at(found: BySize, size: number): Standings<Side> {
  return found[size] as Standings<Side>;
}
