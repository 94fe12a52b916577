import type { ProfileReport } from '../bench/profile.ts';
import { meets } from '../bench/src/benchmark.ts';
import type { Report } from '../bench/src/report.ts';
import type { Origin } from './flame-tree.ts';
import { figure } from './performance-scale.ts';

/** The middle half of the runs lies further apart than this: the median is a guess. */
export const WIDE = 0.2;

/** As the benchmarks print them: fewer would make a target that is just missed look met. */
export const VERDICT_DIGITS = 4;

/** Aligned as the formatter would align it. */
export function tableOf(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<number[]>((most, row) => row.map((cell, at) => Math.max(most[at] ?? 0, cell.length)), []);
  const [head = '', ...body] = rows.map((row) => line(row.map((cell, at) => cell.padEnd(widths[at] ?? 0))));
  return [head, line(widths.map((width) => '-'.repeat(width))), ...body].join('\n');
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

/** One figure with a target, or without one. */
export interface Verdict {
  readonly name: string;
  readonly of: string;
  readonly value: number;
  readonly target: string;
  /** Undefined where no target is set. */
  readonly met: boolean | undefined;
}

/** The ratio of a benchmark, and those of its further figures that have a target. */
export function verdictsOf(report: Report): Verdict[] {
  const { name, ratio, ratioOf, target, bound, also } = report;
  const hasTarget = target !== null && bound !== null;
  const main: Verdict = {
    ...{ name, of: ratioOf, value: ratio, target: hasTarget ? `${bound} ${target}` : '' },
    met: hasTarget ? meets(ratio, { bound, value: target }) : undefined,
  };
  return [
    main,
    ...also.map((one) => ({
      ...one,
      name: `${name}, ${one.name}`,
      of: one.unit,
      target: `${one.bound} ${one.target}`,
    })),
  ];
}

export function verdictTable(reports: readonly Report[]): string {
  const rows = reports.flatMap((report) =>
    verdictsOf(report).map(({ name, of, value, target, met }, index) => [
      ...[`\`${name.replace(', ', '`, `')}\``, of, figure(value, VERDICT_DIGITS), target, said(met)],
      index === 0 ? steadiness(report) : '',
    ]),
  );
  return tableOf([['benchmark', 'what the figure is', 'figure', 'target', '', 'spread'], ...rows]);
}

function said(met: boolean | undefined): string {
  if (met === undefined) return '';
  return met ? 'met' : '**MISSED**';
}

function steadiness({ spread, runs }: Report): string {
  const percent = `${Math.round(spread * 100)} % of ${runs} runs`;
  return spread > WIDE ? `**wide: ${percent}**` : percent;
}

/** All that was measured: by figure and side, or by side and measure, whichever leaves fewer cells empty. */
export function figuresTable(report: Report): string {
  const further = Object.entries(report.extra).map(([name, value]) => `\`${name}\` ${figure(value)}`);
  const [narrower = ''] = [bySide(report), byMeasure(report)]
    .toSorted((one, other) => gapsOf(one) - gapsOf(other))
    .map(tableOf);
  return [narrower, `In ${report.unit}.`, ...(further.length === 0 ? [] : [`Also: ${further.join(', ')}.`])].join(
    '\n\n',
  );
}

type Rows = readonly (readonly string[])[];

function bySide({ ours, peers }: Report): Rows {
  const sides = [['ours', ours] as const, ...Object.entries(peers)];
  const names = [...new Set(sides.flatMap(([, figures]) => Object.keys(figures)))];
  const rows = names.map((name) => [`\`${name}\``, ...sides.map(([, figures]) => shown(figures[name]))]);
  return [['figure', ...sides.map(([side]) => side)], ...rows];
}

/** What is called `form.measure` stands in the row of its form and the column of its measure. */
function byMeasure({ ours, peers }: Report): Rows {
  const sides = [['ours', ours] as const, ...Object.entries(peers)];
  const measures = [...new Set(sides.flatMap(([, figures]) => Object.keys(figures).map(measureOf)))];
  const rows = sides.flatMap(([side, figures]) => {
    const forms = new Set(Object.keys(figures).map(formOf));
    return [...forms].map((form) => [
      form === '' ? side : `${side} \`${form}\``,
      ...measures.map((measure) => shown(figures[[form, measure].filter(Boolean).join('.')])),
    ]);
  });
  return [['', ...measures.map((measure) => (measure === '' ? 'figure' : `\`${measure}\``))], ...rows];
}

function measureOf(key: string): string {
  const last = key.slice(key.lastIndexOf('.') + 1);
  return MEASURE.test(last) ? last : '';
}

function formOf(key: string): string {
  const measure = measureOf(key);
  return measure === '' ? key : key.slice(0, -measure.length).replace(/\.$/, '');
}

function gapsOf(rows: Rows): number {
  const cells = rows.flat();
  return cells.filter((cell) => cell === '').length / cells.length;
}

const MEASURE = /^(perSecond|millis|failures|\w*(Micros|Millis))$/;

function shown(value: number | undefined): string {
  return value === undefined ? '' : figure(value);
}

const ORIGINS: readonly (readonly [say: string, ...origins: Origin[]])[] = [
  ['Lifeguard, `pool/`', 'pool'],
  ['Lifeguard, `scope/`', 'scope'],
  ['Lifeguard, `pg/`', 'pg'],
  ['Lifeguard, the rest', 'core'],
  ['the driver: pg, pg-protocol, pg-types', 'driver'],
  ['Node: streams, sockets, ticks', 'node'],
  ['native code: system calls, what V8 has built in', 'native'],
  ['garbage collection', 'gc'],
  ['the benchmark itself', 'bench'],
];

/** Microseconds of one deed by where they are spent, beside those of the same deed by hand. */
export function profileTable({ name, sides }: ProfileReport): string {
  const { ours, byHand } = sides;
  const micros = (side: typeof ours, origins: readonly Origin[]): number =>
    origins.reduce((sum, origin) => sum + (side.micros[origin] ?? 0), 0);
  const all = ORIGINS.flatMap(([, ...origins]) => origins);
  const whole = micros(ours, all);
  const rows = ORIGINS.map(([say, ...origins]) => {
    const own = micros(ours, origins);
    return [say, figure(own), `${Math.round((100 * own) / whole)} %`, figure(micros(byHand, origins))];
  });
  return tableOf([
    ['where', `\`pool.${name.replace('profile.', '')}\`, µs`, 'share', 'pipelined `pg.Client` by hand, µs'],
    ...rows,
    ['**busy**', `**${figure(whole)}**`, '', `**${figure(micros(byHand, all))}**`],
    ['waiting for the server', figure(micros(ours, ['idle'])), '', figure(micros(byHand, ['idle']))],
    ['in a second, without the profiler', figure(ours.perSecond), '', figure(byHand.perSecond)],
    ['in a second, with it', figure(ours.perSecondProfiled), '', figure(byHand.perSecondProfiled)],
  ]);
}
