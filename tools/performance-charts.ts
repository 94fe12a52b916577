import type { ProfileReport } from '../bench/profile.ts';
import { flameGraph } from './flame-graph.ts';
import { barCharts } from './performance-bar-charts.ts';
import type { Chart, ChartOf } from './performance-chart.ts';
import { lineCharts } from './performance-line-charts.ts';
import type { PerformanceRun } from './performance-run.ts';

const CHARTS: Readonly<Record<string, ChartOf>> = { ...barCharts, ...lineCharts };

/** As many as the run has something for. */
export function chartsOf({ reports, profiles }: PerformanceRun): Chart[] {
  const drawn = [...reports.values()].flatMap((report) => CHARTS[report.name]?.(report) ?? []);
  return [...drawn, ...[...profiles.values()].map(flames)];
}

const FLAME_TITLES: Readonly<Record<string, string>> = {
  'profile.query': 'Where the time of one single read goes',
  'profile.transaction': 'Where the time of one transaction goes',
};

function flames({ name, boxes }: ProfileReport): Chart {
  const title = FLAME_TITLES[name] ?? name;
  const description = 'A flame graph: each box is a function, as wide as its share of the busy time, below its caller.';
  return {
    part: name,
    file: `${name.replace('.', '-')}.svg`,
    alt: title,
    svg: flameGraph({ title, description, boxes }),
  };
}
