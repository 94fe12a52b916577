import type { Report } from '../bench/src/report.ts';
import { type BarChart, type BarRow, barChart } from './performance-bars.ts';
import { type Chart, type ChartOf, dotted, figureAt, type Side, saidOf } from './performance-chart.ts';

export const barCharts: Readonly<Record<string, ChartOf>> = { query, transaction, parallel, mixed, distance, floor };

const QUERY_SIDES: readonly Side[] = [
  ['Lifeguard, 4 connections', 'ours', 'ours', 'max4'],
  ['Lifeguard, 10 connections', 'ours', 'ours', 'max10'],
  ['Lifeguard, 10, lanes off', 'oursPlain', 'ours', 'lanesOff'],
  ['pg.Client, pipelined by hand', 'floor', 'pg pipelined', ''],
  ['pg-pool, 10 connections', 'pgPool', 'pg-pool', 'plain'],
  ['pg-pool, 10, named', 'pgPool', 'pg-pool', 'named'],
  ['postgres, 10 connections', 'postgres', 'postgres', 'max10'],
  ['postgres, 2 connections', 'postgres', 'postgres', 'max2'],
];

function query(report: Report): Chart {
  const peer = most(report, 'pg-pool', ['plain.perSecond', 'named.perSecond']);
  const [few, ...others] = rowsOf(report, QUERY_SIDES, ['perSecond', 'cpuMicros']);
  return bars(report, {
    title: 'Single reads by primary key, 50 callers',
    columns: ['reads per second', 'client CPU per read, µs'],
    rows: few === undefined ? others : [{ ...few, targets: [times(report.target, peer)] }, ...others],
    targetIs: `target: ${report.target} × pg-pool`,
  });
}

const TRANSACTION_SIDES: readonly Side[] = [
  ['Lifeguard', 'ours', 'ours', 'plain'],
  ['Lifeguard, tx.last()', 'ours', 'ours', 'withLast'],
  ['Lifeguard, named', 'ours', 'ours', 'named'],
  ['pg by hand', 'pgPool', 'hand-written pg', 'plain'],
  ['pg by hand, named', 'pgPool', 'hand-written pg', 'named'],
  ['@fastify/postgres', 'peer', '@fastify/postgres', 'plain'],
  ['@fastify/postgres, named', 'peer', '@fastify/postgres', 'named'],
];

function transaction(report: Report): Chart {
  const [far, near] = ['far', 'near'].map((place) =>
    most(report, 'hand-written pg', [`${place}.plain`, `${place}.named`]),
  );
  const further = (name: string): number | undefined => report.also.find((one) => one.name === name)?.target;
  const targets: Readonly<Record<string, BarRow['targets']>> = {
    plain: [times(report.target, far), times(further('atZero'), near)],
    withLast: [times(further('withLast'), far)],
  };
  const rows = TRANSACTION_SIDES.map(([label, tone, who, form]): BarRow => {
    const values = ['far', 'near'].map((place) => figureAt(report, who, dotted(place, form)));
    return { label, tone, values, targets: who === 'ours' ? targets[form] : undefined };
  });
  return bars(report, {
    title: 'Transactions of two dependent statements, 8 callers',
    columns: ['per second at 1 ms per round trip', 'per second without delay'],
    rows,
    targetIs: 'target: a multiple of pg by hand',
  });
}

function parallel(report: Report): Chart {
  const sides: readonly Side[] = [
    ['Lifeguard', 'ours', 'ours', ''],
    ['pg.Client, pipelined by hand', 'floor', 'pg pipelined', ''],
    ['pg by hand', 'pgPool', 'pg by hand', ''],
  ];
  const [own, ...others] = rowsOf(report, sides, ['millis']);
  const target = times(report.target, figureAt(report, 'pg by hand', 'millis'));
  return bars(report, {
    title: '100 parallel statements of one transaction, 4 ms per round trip',
    columns: ['milliseconds for all of it'],
    rows: own === undefined ? others : [{ ...own, targets: [target] }, ...others],
    targetIs: `target: ${report.target} × pg by hand`,
  });
}

function mixed(report: Report): Chart {
  const sides: readonly Side[] = [
    ['Lifeguard', 'ours', 'ours', 'lanes'],
    ['Lifeguard, lanes off', 'oursPlain', 'ours', 'lanesOff'],
    ['pg-pool, named', 'pgPool', 'pg-pool', ''],
  ];
  return bars(report, {
    title: 'Fast reads beside 5 % of statements that take 50 ms',
    columns: ['p99 in ms, slow texts of their own', 'p99 in ms, slow by a parameter'],
    rows: rowsOf(report, sides, ['different.p99Millis', 'same.p99Millis']),
  });
}

function floor(report: Report): Chart {
  const sides: readonly Side[] = [
    ['libpq pipeline (pgbench)', 'native', 'libpq pipelined', ''],
    ['pg.Client, pipelined by hand', 'floor', 'pg pipelined', ''],
    ['Lifeguard', 'ours', 'ours', ''],
    ['pg by hand, one after the other', 'pgPool', 'pg by hand', ''],
  ];
  return bars(report, {
    title: 'How far from the floor',
    columns: ['reads per second, 50 callers', 'one transaction at 1 ms, in ms'],
    rows: rowsOf(report, sides, ['read.perSecond', 'transaction.p50Millis']),
  });
}

const PLACES = {
  at0: 'without delay',
  at1: '1 ms per round trip',
  at5: '5 ms per round trip',
  tls: 'TLS, without delay',
  pgbouncer: 'behind PgBouncer',
};

function distance(report: Report): Chart {
  const rows = Object.entries(PLACES).flatMap(([place, heading]): BarRow[] => {
    const at = (who: string, ...deeds: string[]): (number | undefined)[] =>
      deeds.map((deed) => figureAt(report, who, dotted(place, deed, 'perSecond')));
    return [
      { heading, label: 'Lifeguard', tone: 'ours', values: at('ours', 'reads', 'transactions') },
      { label: 'Lifeguard, lanes off', tone: 'oursPlain', values: at('ours', 'readsLanesOff') },
      { label: 'pg-pool', tone: 'pgPool', values: at('pg-pool', 'reads', 'transactions') },
    ];
  });
  return bars(report, {
    title: 'Reads and transactions by the way to the server',
    columns: ['reads per second', 'transactions per second'],
    rows,
  });
}

function rowsOf(report: Report, sides: readonly Side[], measures: readonly string[]): BarRow[] {
  return sides.map(([label, tone, who, form]) => {
    return { label, tone, values: measures.map((measure) => figureAt(report, who, dotted(form, measure))) };
  });
}

/** What the best form of a peer came to in this run. */
function most(report: Report, peer: string, keys: readonly string[]): number | undefined {
  const figures = keys.flatMap((key) => figureAt(report, peer, key) ?? []);
  return figures.length === 0 ? undefined : Math.max(...figures);
}

function times(target: number | null | undefined, peer: number | undefined): number | undefined {
  return target == null || peer === undefined ? undefined : target * peer;
}

function bars({ name, question }: Report, chart: Omit<BarChart, 'description'>): Chart {
  const rows = chart.rows.map(({ label, values }) => `${label}: ${values.map((value) => saidOf(value)).join(', ')}`);
  const measures = chart.columns.join(', ');
  const description = `${question} In ${measures}. ${rows.join('; ')}.`;
  return { part: name, file: `${name}.svg`, alt: chart.title, svg: barChart({ ...chart, description }) };
}
