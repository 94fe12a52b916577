import type { Figures, Say } from './benchmark.ts';
import type { Throughput } from './closed-loop.ts';
import type { ClosedLoad } from './contender-process.ts';
import { interleave } from './interleave.ts';
import { median, medians } from './statistics.ts';
import type { Teams } from './team.ts';

export interface Contest {
  readonly rounds: number;
  readonly load: ClosedLoad;
  /** Before the first round: code is compiled, and connections are opened. */
  readonly warmSeconds: number;
}

export type Standings<Side extends string> = Record<Side, Throughput[]>;

/** Measures the sides in turn. */
export async function contest<Side extends string>(
  teams: Teams<Side>,
  { rounds, load, warmSeconds }: Contest,
  say?: Say,
): Promise<Standings<Side>> {
  const names = Object.keys(teams) as Side[];
  for (const side of names) await teams[side].load({ ...load, seconds: warmSeconds });
  const sides = Object.fromEntries(names.map((side) => [side, () => teams[side].load(load)]));
  return await interleave(rounds, sides as Record<Side, () => Promise<Throughput>>, say);
}

export function rates(readings: readonly Throughput[]): number[] {
  return readings.map(({ perSecond }) => perSecond);
}

/** Peers are measured at their best: of several forms the one with the highest median counts. */
export function fastest(forms: readonly (readonly Throughput[])[]): readonly Throughput[] {
  const medians = forms.map((readings) => median(rates(readings)));
  return forms[medians.indexOf(Math.max(...medians))] as readonly Throughput[];
}

/** The medians of one side, as figures: `max4.perSecond`, or without a prefix where the side has one form. */
export function figuresOf(readings: readonly Throughput[], prefix = ''): Figures {
  const dotted = prefix === '' ? '' : `${prefix}.`;
  const { perSecond, cpuMicros, p50Millis, p99Millis } = medians(readings.map((reading) => ({ ...reading })));
  return {
    [`${dotted}perSecond`]: perSecond,
    [`${dotted}cpuMicros`]: cpuMicros,
    [`${dotted}p50Millis`]: p50Millis,
    [`${dotted}p99Millis`]: p99Millis,
  };
}
