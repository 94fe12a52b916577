import { figure, linearScale, type Scale } from './performance-scale.ts';
import { drawing, element, type Tone, widthOf, words } from './performance-svg.ts';

/** Lying bars: a row for each side, a column for each measure. */
export interface BarChart {
  readonly title: string;
  readonly description: string;
  /** The measure and its unit. */
  readonly columns: readonly string[];
  readonly rows: readonly BarRow[];
  /** What the dashed marks are. */
  readonly targetIs?: string | undefined;
}

export interface BarRow {
  readonly label: string;
  readonly tone: Tone;
  /** One for each column; undefined where it was not measured, and fewer where the last ones do not apply. */
  readonly values: readonly (number | undefined)[];
  /** How far a bar is to reach, or may. */
  readonly targets?: readonly (number | undefined)[] | undefined;
  /** Stands above the row, and above those that follow. */
  readonly heading?: string | undefined;
}

const WIDTH = 720;
const EDGE = 16;
const TOP = 66;
const ROW = 26;
const HEADING = 28;
const THICK = 18;
const GAP = 24;
const FOOT = 34;

interface Column {
  readonly heading: string;
  readonly index: number;
  readonly from: number;
  readonly scale: Scale;
}

interface Line {
  readonly row: BarRow;
  readonly y: number;
}

export function barChart(chart: BarChart): string {
  const lines = linesOf(chart.rows);
  const bottom = TOP + heightOf(chart.rows);
  const columns = columnsOf(chart);
  return drawing({
    ...{
      title: chart.title,
      description: chart.description,
      width: WIDTH,
      height: bottom + FOOT + (hasTargets(chart) ? 16 : 0),
    },
    body: [
      words({ x: EDGE, y: 26, say: chart.title, look: 'heading' }),
      ...columns.flatMap((column) => axis(column, bottom)),
      ...lines.flatMap((line) => [...rowWords(line), ...columns.map((column) => bar(line, column))]),
      ...footnote(chart, bottom),
    ],
  });
}

function linesOf(rows: readonly BarRow[]): Line[] {
  return rows.map((row, index) => ({ row, y: TOP + heightOf(rows.slice(0, index + 1)) - ROW }));
}

function heightOf(rows: readonly BarRow[]): number {
  return rows.reduce((sum, { heading }) => sum + ROW + (heading === undefined ? 0 : HEADING), 0);
}

function columnsOf({ columns, rows }: BarChart): Column[] {
  const labels = Math.max(...rows.map(({ label }) => widthOf(label))) + EDGE + 10;
  const width = (WIDTH - labels - EDGE - GAP * (columns.length - 1)) / columns.length;
  return columns.map((heading, index) => {
    const most = Math.max(...rows.flatMap(({ values, targets }) => [values[index] ?? 0, targets?.[index] ?? 0]));
    const from = labels + index * (width + GAP);
    // Room for the figure behind the longest bar.
    const about = columns.length === 1 ? 5 : 3;
    return { heading, index, from, scale: linearScale(most, [from, from + width - VALUE_ROOM], about) };
  });
}

function axis({ heading, from, scale }: Column, bottom: number): string[] {
  const lines = scale.ticks.map((tick) =>
    element('line', { class: tick === 0 ? 'axis' : 'grid', x1: scale(tick), x2: scale(tick), y1: TOP - 4, y2: bottom }),
  );
  const figures = scale.ticks.map((tick) =>
    words({ x: scale(tick), y: bottom + 16, say: figure(tick), anchor: 'middle', look: 'quiet small' }),
  );
  return [words({ x: from, y: TOP - 14, say: heading, look: 'quiet' }), ...lines, ...figures];
}

function rowWords({ row, y }: Line): string[] {
  const label = words({ x: EDGE, y: y + ROW / 2 + 4, say: row.label });
  if (row.heading === undefined) return [label];
  return [words({ x: EDGE, y: y - 8, say: row.heading, look: 'strong' }), label];
}

function bar({ row, y }: Line, { index, from, scale }: Column): string {
  if (index >= row.values.length) return '';
  const value = row.values[index];
  const middle = y + ROW / 2 + 4;
  if (value === undefined) return words({ x: from + 6, y: middle, say: 'not measured', look: 'quiet small' });
  const end = scale(value);
  const shape = { class: row.tone, x: from, y: y + (ROW - THICK) / 2, width: Math.max(1, end - from), height: THICK };
  const goal = row.targets?.[index];
  const mark = goal === undefined ? undefined : scale(goal);
  // Behind the mark, where that stands in the way.
  const isInTheWay = mark !== undefined && mark > end && mark < end + VALUE_ROOM;
  const say = words({ x: (isInTheWay ? mark : end) + 6, y: middle, say: figure(value), look: 'halo' });
  return element('rect', { ...shape, rx: 2 }) + (mark === undefined ? '' : target(mark, y, ROW)) + say;
}

function target(x: number, y: number, height: number): string {
  return element('line', { class: 'target', x1: x, x2: x, y1: y, y2: y + height });
}

function hasTargets({ rows, targetIs }: BarChart): boolean {
  return targetIs !== undefined && rows.some(({ targets }) => targets?.some((target) => target !== undefined));
}

function footnote(chart: BarChart, bottom: number): string[] {
  if (!hasTargets(chart)) return [];
  const y = bottom + FOOT - 8;
  return [target(EDGE + 1, y, 16), words({ x: EDGE + 9, y: y + 12, say: chart.targetIs ?? '', look: 'small' })];
}

const VALUE_ROOM = 52;
