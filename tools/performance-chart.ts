import type { Report } from '../bench/src/report.ts';
import { figure } from './performance-scale.ts';
import type { Tone } from './performance-svg.ts';

/** A picture of the page, and what it shows for those who do not see it. */
export interface Chart {
  /** The part of the page that it stands in. */
  readonly part: string;
  readonly file: string;
  readonly alt: string;
  readonly svg: string;
}

/** How the chart of a benchmark is made of its report. */
export type ChartOf = (report: Report) => Chart;

/** Who, in which colour, and what its figures begin with. */
export type Side = readonly [label: string, tone: Tone, who: string, form: string];

export function figureAt(report: Report, who: string, key: string): number | undefined {
  return (who === 'ours' ? report.ours : report.peers[who])?.[key];
}

export function dotted(...words: string[]): string {
  return words.filter((word) => word !== '').join('.');
}

/** A figure in words, for those who do not see the picture. */
export function saidOf(value: number | undefined): string {
  return value === undefined ? 'not measured' : figure(value);
}
