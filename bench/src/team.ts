import type { Throughput } from './closed-loop.ts';
import type { ContenderOptions } from './contender.ts';
import { type ClosedLoad, ContenderProcess } from './contender-process.ts';
import { median } from './statistics.ts';

/** Several processes that do as one: of `count` with `max` connections each. */
export class Team {
  readonly #members: readonly ContenderProcess[];

  constructor(count: number) {
    this.#members = Array.from({ length: count }, () => new ContenderProcess());
  }

  async open(options: ContenderOptions): Promise<void> {
    await Promise.all(this.#members.map((member) => member.open(options)));
  }

  /** Together; `callers` are those of each member, and p99 is that of the slowest member. */
  async load(load: ClosedLoad): Promise<Throughput> {
    const readings = await Promise.all(this.#members.map((member) => member.load(load)));
    const perSecond = readings.reduce((sum, reading) => sum + reading.perSecond, 0);
    const cpu = readings.reduce((sum, reading) => sum + reading.cpuMicros * reading.perSecond, 0);
    return {
      perSecond,
      cpuMicros: cpu / perSecond,
      p50Millis: median(readings.map(({ p50Millis }) => p50Millis)),
      p99Millis: Math.max(...readings.map(({ p99Millis }) => p99Millis)),
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.close()));
  }
}

export type Teams<Side extends string> = Readonly<Record<Side, Team>>;

/** Opens all sides, and closes them after `work` whatever becomes of it. */
export async function withTeams<Side extends string, Result>(
  sides: Readonly<Record<Side, ContenderOptions>>,
  work: (teams: Teams<Side>) => Promise<Result>,
  processes = 1,
): Promise<Result> {
  const names = Object.keys(sides) as Side[];
  const teams = Object.fromEntries(names.map((side) => [side, new Team(processes)])) as Record<Side, Team>;
  try {
    for (const side of names) await teams[side].open(sides[side]);
    return await work(teams);
  } finally {
    for (const side of names) await teams[side].close();
  }
}
