import type { Figures } from '../bench/src/benchmark.ts';
import type { Report } from '../bench/src/report.ts';
import { type Chart, type ChartOf, type Side, saidOf } from './performance-chart.ts';
import { type LinePanel, lineChart, type Series } from './performance-lines.ts';

export const lineCharts: Readonly<Record<string, ChartOf>> = {
  scale: chartOf('What a read costs, by the number of callers', 'callers at once', [
    ['wall time per read, µs', 'wallMicros'],
    ['client CPU per read, µs', 'cpuMicros'],
  ]),
  sizes: chartOf('Reads by the size of the pool, 100 callers', 'connections', [
    ['reads per second', 'perSecond'],
    ['99th percentile of the wait for an answer, ms', 'p99Millis'],
  ]),
  processes: chartOf('Reads by the number of processes, 16 connections in all', 'processes', [
    ['reads per second, all together', 'perSecond'],
    ['client CPU per read, µs', 'cpuMicros'],
  ]),
};

const SIDES: readonly Side[] = [
  ['Lifeguard', 'ours', 'ours', 'lanes'],
  ['Lifeguard, lanes off', 'oursPlain', 'ours', 'lanesOff'],
  ['pg-pool', 'pgPool', 'pg-pool', ''],
  ['postgres', 'postgres', 'postgres', ''],
];

type Measure = readonly [heading: string, key: string];

function chartOf(title: string, xHeading: string, measures: readonly Measure[]): ChartOf {
  return (report): Chart => {
    const panels = measures.map(([heading, key]): LinePanel => ({ heading, series: seriesOf(report, key) }));
    const description = `${report.question} ${panels.map(panelWords).join(' ')}`;
    const svg = lineChart({ title, description, xHeading, panels });
    return { part: report.name, file: `${report.name}.svg`, alt: title, svg };
  };
}

/** Of the sides that this benchmark has. */
function seriesOf(report: Report, key: string): Series[] {
  const all = SIDES.map(([label, tone, who, form]): Series => {
    return { label, tone, points: pointsOf(who === 'ours' ? report.ours : (report.peers[who] ?? {}), form, key) };
  });
  return all.filter(({ points }) => points.length > 0);
}

/** Figures that are called `form.COUNT.key`. */
function pointsOf(figures: Figures, form: string, key: string): [number, number][] {
  const points = Object.entries(figures).flatMap(([name, value]): [number, number][] => {
    const words = name.split('.');
    const count = Number(words.at(-2));
    const isMeant = words.at(-1) === key && words.slice(0, -2).join('.') === form;
    return isMeant && count > 0 ? [[count, value]] : [];
  });
  return points.sort(([one], [other]) => one - other);
}

function panelWords({ heading, series }: LinePanel): string {
  const lines = series.map(
    ({ label, points }) => `${label} ${points.map(([x, y]) => `${saidOf(y)} at ${x}`).join(', ')}`,
  );
  return `${heading}: ${lines.join('; ')}.`;
}
