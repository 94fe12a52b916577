import type { Say } from './benchmark.ts';

/**
 * Measures the sides in turn, A B, B A, A B, so that what the machine does meanwhile (a neighbour, the heat, a garbage
 * collection) meets all of them, and none always comes first.
 */
export async function interleave<Side extends string, Reading>(
  rounds: number,
  sides: Readonly<Record<Side, () => Promise<Reading>>>,
  say?: Say,
): Promise<Record<Side, Reading[]>> {
  const names = Object.keys(sides) as Side[];
  const readings = Object.fromEntries(names.map((name) => [name, [] as Reading[]])) as Record<Side, Reading[]>;
  for (let round = 0; round < rounds; round += 1) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) readings[name].push(await sides[name]());
    say?.(`round ${round + 1} of ${rounds}`);
  }
  return readings;
}

/** Round by round, one side divided by the other: both met the same weather. */
export function ratiosOf(ours: readonly number[], theirs: readonly number[]): number[] {
  return ours.map((value, round) => value / (theirs[round] as number));
}
