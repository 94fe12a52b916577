/** From figures to places, and the figures worth a mark. */
export interface Scale {
  (value: number): number;
  readonly ticks: readonly number[];
}

type Range = readonly [from: number, to: number];

/** From zero up to a round figure, because a bar that does not begin at zero lies. */
export function linearScale(most: number, place: Range, about: number = 4): Scale {
  const step = roundStep(most / about);
  const top = Math.max(1, Math.ceil(most / step - 1e-9)) * step;
  const ticks = Array.from({ length: Math.round(top / step) + 1 }, (_, index) => index * step);
  return scaleOf((value) => value / top, place, ticks);
}

/** Equal factors are equal distances. The marks are the values themselves, where they are few. */
export function logScale(values: readonly number[], place: Range): Scale {
  const [least, most] = [Math.log(Math.min(...values)), Math.log(Math.max(...values))];
  const ticks = [...new Set(values)].sort((a, b) => a - b);
  const share = (value: number): number => (most === least ? 0.5 : (Math.log(value) - least) / (most - least));
  return scaleOf(share, place, ticks);
}

function scaleOf(share: (value: number) => number, [from, to]: Range, ticks: readonly number[]): Scale {
  return Object.assign((value: number) => from + (to - from) * share(value), { ticks });
}

/** 1, 2 or 5 times a power of ten, not below the given. */
function roundStep(least: number): number {
  if (!(least > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(least));
  const factor = [1, 2, 5, 10].find((one) => one * power >= least * (1 - 1e-9)) ?? 10;
  return factor * power;
}

/** No more digits than a reader wants, and thousands apart. */
export function figure(value: number, digits: number = 3): string {
  return Number(value.toPrecision(digits)).toLocaleString('en-US', { maximumFractionDigits: 4 });
}
