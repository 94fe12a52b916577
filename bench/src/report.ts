import { type Benchmark, type Figures, type Findings, type FurtherFigure, meets, type Target } from './benchmark.ts';
import type { Machine } from './machine.ts';
import { median, spread } from './statistics.ts';

/** The answer to one question: what `--json` prints. */
export interface Report {
  readonly name: string;
  readonly question: string;
  readonly ratio: number;
  readonly ratioOf: string;
  /** Null where none is set. */
  readonly target: number | null;
  readonly bound: Target['bound'] | null;
  /** Whether this target and those of the further figures are met. */
  readonly met: boolean;
  readonly unit: string;
  readonly ours: Figures;
  readonly peers: Readonly<Record<string, Figures>>;
  readonly also: readonly (Omit<FurtherFigure, 'target'> & { target: number; bound: string; met: boolean })[];
  readonly extra: Figures;
  readonly notes: readonly string[];
  readonly runs: number;
  /** The middle half of the runs, relative to their median. */
  readonly spread: number;
  readonly ratios: readonly number[];
  readonly seconds: number;
  readonly machine: Machine;
  readonly node: string;
}

export function reportOn(
  benchmark: Benchmark,
  findings: Findings,
  { machine, seconds }: { machine: Machine; seconds: number },
): Report {
  const { name, question, ratioOf, target } = benchmark;
  const { ratios, unit, ours, peers, extra = {}, notes = [] } = findings;
  const ratio = findings.ratio ?? median(ratios);
  const also = (findings.also ?? []).map((figure) => ({
    ...figure,
    target: figure.target.value,
    bound: figure.target.bound,
    met: meets(figure.value, figure.target),
  }));
  return {
    ...{ name, question, ratio, ratioOf, target: target?.value ?? null, bound: target?.bound ?? null },
    ...{
      met: (target === undefined || meets(ratio, target)) && also.every(({ met }) => met),
      unit,
      ours,
      peers,
      also,
      extra,
      notes,
    },
    ...{ runs: ratios.length, spread: spread(ratios), ratios, seconds, machine, node: process.version },
    ...Object.fromEntries(also.map((figure) => [figure.name, figure.value])),
  };
}

/** One line, and no more digits than the figures have. */
export function toJson(report: Report): string {
  return JSON.stringify(report, (_key, value) => (typeof value === 'number' ? rounded(value) : value));
}

/** The same for a reader. */
export function toText(report: Report): string {
  const { name, question, unit, also, notes } = report;
  const rows = [
    ...figureRows('ours', report.ours),
    ...Object.entries(report.peers).flatMap(([peer, figures]) => figureRows(peer, figures)),
    ...figureRows('also', report.extra),
  ];
  return [
    `\n${name}: ${question}`,
    '',
    ...table(rows).map((line) => `  ${line}`),
    '',
    `  ${judged(report)}`,
    ...also.map(
      (one) =>
        `  ${verdict(one.met)}  ${one.name}: ${shown(one.value)} ${one.unit} (target: ${one.bound} ${one.target})`,
    ),
    `  figures in ${unit}; ${steadiness(report)}`,
    ...notes.map((note) => `  ${note}`),
    '',
  ].join('\n');
}

function judged({ ratio, ratioOf, target, bound }: Report): string {
  if (target === null || bound === null) return `        ${ratioOf}: ${shown(ratio)} (no target)`;
  return `${verdict(meets(ratio, { bound, value: target }))}  ${ratioOf}: ${shown(ratio)} (target: ${bound} ${target})`;
}

function steadiness({ runs, spread: width, ratios, seconds, machine }: Report): string {
  const range = `${shown(Math.min(...ratios))} to ${shown(Math.max(...ratios))}`;
  const percent = Math.round(width * 100);
  const said = width > WIDE ? `WIDE SPREAD: ${percent} %, read it with care` : `spread ${percent} %`;
  const busy = machine.loadBefore > machine.cores ? `; the machine was busy (load ${machine.loadBefore})` : '';
  return `${runs} runs, ratios ${range}, ${said}; ${Math.round(seconds)} s on ${machine.cores} cores${busy}`;
}

function figureRows(who: string, figures: Figures): [string, string, string][] {
  return Object.entries(figures).map(([name, value], row) => [row === 0 ? who : '', name, shown(value)]);
}

function table(rows: readonly [string, string, string][]): string[] {
  const width = (column: 0 | 1 | 2): number => Math.max(0, ...rows.map((row) => row[column].length));
  const [first, second, third] = [width(0), width(1), width(2)];
  return rows.map(([who, name, value]) => `${who.padEnd(first)}  ${name.padEnd(second)}  ${value.padStart(third)}`);
}

function verdict(met: boolean): string {
  return met ? 'met   ' : 'MISSED';
}

function shown(value: number): string {
  return Number.isInteger(value) ? String(value) : String(rounded(value));
}

function rounded(value: number): number {
  return Number.isInteger(value) ? value : Number(value.toPrecision(4));
}

/** The middle half of the runs lies further apart than this: the median is a guess. */
const WIDE = 0.2;
