import { startPostgres } from '@lifeguard/testkit';
import type { Benchmark, Figures, Findings, Say } from './benchmark.ts';
import type { Address, Kind } from './contender.ts';
import { ContenderProcess, type MixedLoad } from './contender-process.ts';
import { interleave, ratiosOf } from './interleave.ts';
import { fillItems } from './items.ts';
import type { Latencies } from './paced-loop.ts';
import { median, quantile } from './statistics.ts';

/** Many short rounds: a hiccup of the machine spoils few of them. */
const ROUNDS = 15;
const SECONDS = 0.8;
const MAX = 10;
const SLOW_SHARE = 0.05;
/** Keeps about 30 % of an exclusive pool busy: 50 statements of 50 ms a second, and the fast ones. `busy` says what it was. */
const PER_SECOND = 1_000;

const KINDS = { lanes: 'ours', lanesOff: 'lanesOff', pgPool: 'pgPoolNamed' } as const satisfies Record<string, Kind>;
type Side = keyof typeof KINDS;
type Texts = MixedLoad['texts'];

/** `cold` is the first run, in which nobody knows yet which text is slow. */
type Found = Record<Side, { readonly cold: Latencies; readonly warm: readonly Latencies[] }>;

export const mixed: Benchmark = {
  name: 'mixed',
  question: 'What do fast reads pay, at the 99th percentile, for 5 % of statements that take 50 ms?',
  ratioOf: 'p99 of the fast ones, ours with lanes ÷ ours without, the slow ones with a text of their own',
  target: { bound: 'at most', value: 1 },
  run,
};

async function run(say: Say): Promise<Findings> {
  const server = await startPostgres();
  try {
    await fillItems(server);
    const measureWith = (texts: Texts): Promise<Found> =>
      measure(server.connection(), texts, (text) => say(`${texts} texts, ${text}`));
    return findingsOf(await measureWith('different'), await measureWith('same'));
  } finally {
    await server.stop();
  }
}

async function measure(address: Address, texts: Texts, say: Say): Promise<Found> {
  const sides = Object.keys(KINDS) as Side[];
  const processes = sides.map((side) => [side, new ContenderProcess()] as const);
  try {
    for (const [side, process] of processes) await process.open({ kind: KINDS[side], address, max: MAX });
    const runs = processes.map(([side, process]) => [side, runsOf(process, texts)]);
    const inTurn = Object.fromEntries(runs) as Record<Side, () => Promise<Latencies>>;
    const cold = await interleave(1, inTurn);
    const warm = await interleave(ROUNDS, inTurn, say);
    const found = sides.map((side) => [side, { cold: cold[side][0], warm: warm[side] }]);
    return Object.fromEntries(found) as Found;
  } finally {
    for (const [, process] of processes) await process.close();
  }
}

/** Each call is the next run, and that has the same arrivals for all sides. */
function runsOf(process: ContenderProcess, texts: Texts): () => Promise<Latencies> {
  let seed = 0;
  return () => {
    seed += 1;
    return process.mix({ texts, perSecond: PER_SECOND, seconds: SECONDS, slowShare: SLOW_SHARE, seed });
  };
}

function findingsOf(different: Found, same: Found): Findings {
  const figures = (side: Side, prefix: string): Figures => ({
    ...figuresOf(different[side], `${prefix}different`),
    ...figuresOf(same[side], `${prefix}same`),
  });
  return {
    ratios: tailRatios(different, 'lanesOff'),
    unit: 'milliseconds from the scheduled arrival to the answer (medians); of the fast ones where nothing else is said',
    ours: { ...figures('lanes', 'lanes.'), ...figures('lanesOff', 'lanesOff.') },
    peers: { 'pg-pool': figures('pgPool', '') },
    also: [
      {
        name: 'sameText',
        value: median(tailRatios(same, 'lanesOff')),
        target: { bound: 'at most', value: 1.5 },
        unit: 'with lanes ÷ without',
      },
    ],
    extra: {
      pooled: pooledTail(different.lanes.warm) / pooledTail(different.lanesOff.warm),
      sameTextPooled: pooledTail(same.lanes.warm) / pooledTail(same.lanesOff.warm),
      vsPgPool: median(tailRatios(different, 'pgPool')),
      sameTextVsPgPool: median(tailRatios(same, 'pgPool')),
      busy: busyShare(different.lanesOff.warm),
    },
    notes: NOTES,
  };
}

const NOTES = [
  `Open loop: ${PER_SECOND} statements a second arrive at random, ${MAX} connections on all sides. different: the slow statement has a text of its own; same: the text of the fast ones, and its parameter makes it slow. Both are plain reads by their words: a view hides the sleep.`,
  'The ratios are medians of the rounds; pooled: the same ratio of the p99 of all rounds together, in which what happens once in many rounds shows too, a hiccup of the machine included. cold: p99 of the first run, before anybody knows which text is slow.',
  'busy: the share of the connections of the pool without lanes that is in use, by its own medians. pg-pool: named statements.',
];

function tailRatios(found: Found, against: 'lanesOff' | 'pgPool'): number[] {
  return ratiosOf(found.lanes.warm.map(tail), found[against].warm.map(tail));
}

function tail({ fast }: Latencies): number {
  return quantile(fast, 0.99);
}

function pooledTail(readings: readonly Latencies[]): number {
  return quantile(
    readings.flatMap(({ fast }) => fast),
    0.99,
  );
}

function figuresOf({ cold, warm }: Found[Side], prefix: string): Figures {
  return {
    [`${prefix}.p50Millis`]: median(warm.map(middle)),
    [`${prefix}.p99Millis`]: median(warm.map(tail)),
    [`${prefix}.pooledP99Millis`]: pooledTail(warm),
    [`${prefix}.coldP99Millis`]: tail(cold),
    [`${prefix}.slowP50Millis`]: median(warm.flatMap(({ slow }) => slow)),
    [`${prefix}.failures`]: [cold, ...warm].reduce((sum, { failures }) => sum + failures, 0),
  };
}

function middle({ fast }: Latencies): number {
  return median(fast);
}

function busyShare(readings: readonly Latencies[]): number {
  const fastMillis = median(readings.map(middle));
  const slowMillis = median(readings.flatMap(({ slow }) => slow));
  return (PER_SECOND * (SLOW_SHARE * slowMillis + (1 - SLOW_SHARE) * fastMillis)) / 1_000 / MAX;
}
