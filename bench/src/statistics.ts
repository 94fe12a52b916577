/** The middle one: a neighbour on a shared machine spoils the mean and not the median. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Between two ranks the value is interpolated. NaN of nothing. */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)] as number;
  const above = sorted[Math.ceil(place)] as number;
  return below + (above - below) * (place - Math.floor(place));
}

/** How far apart the runs are: the middle half of them, relative to the median. */
export function spread(values: readonly number[]): number {
  const middle = median(values);
  return middle === 0 ? 0 : (quantile(values, 0.75) - quantile(values, 0.25)) / Math.abs(middle);
}

/** The medians of the same figure in many readings. */
export function medians<Name extends string>(
  readings: readonly Readonly<Record<Name, number>>[],
): Record<Name, number> {
  const names = Object.keys(readings[0] ?? {}) as Name[];
  const entries = names.map((name) => [name, median(readings.map((reading) => reading[name]))]);
  return Object.fromEntries(entries) as Record<Name, number>;
}
