import type { Report } from '../bench/src/report.ts';

/** A figure that ours and a peer both have. */
export interface Comparison {
  readonly name: string;
  readonly ours: number;
  /** The peer that did best, and what it did. */
  readonly peer: string;
  readonly theirs: number;
  /** Ours as a multiple of the peer's, turned so that more is always better for us. */
  readonly advantage: number;
}

/** Every figure of ours that stands behind that of the best peer, form by form. */
export function slowerFigures(report: Report): Comparison[] {
  return comparisons(report).filter(({ advantage }) => advantage < 1);
}

export function comparisons(report: Report): Comparison[] {
  const theirs = Object.entries(report.peers)
    .filter(([peer]) => !NO_PEER.test(peer))
    .flatMap(([peer, figures]) => Object.entries(figures).map(([key, value]) => ({ peer, key, value })));
  return Object.entries(report.ours).flatMap(([key, ours]): Comparison[] => {
    const lessIsBetter = LESS.test(key) || COSTS.includes(report.name);
    const advantage = (value: number): number => (lessIsBetter ? value / ours : ours / value);
    const alike = theirs.filter((other) => measureOf(other.key) === measureOf(key) && !NO_MEASURE.test(key));
    const [best] = alike.toSorted((one, other) => advantage(one.value) - advantage(other.value));
    if (best === undefined || ours === best.value) return [];
    const name = `${report.name} ${key}`;
    return [{ name, ours, peer: best.peer, theirs: best.value, advantage: advantage(best.value) }];
  });
}

/** What was measured, whichever form of a side it was. */
function measureOf(key: string): string {
  return key
    .split('.')
    .map((word) => word.replace(/LanesOff$/, ''))
    .filter((word) => !FORM.test(word))
    .join('.');
}

const FORM = /^(max\d+|lanes|lanesOff|plain|named|withLast)$/;
/** A floor is no peer, and neither are we ourselves. */
const NO_PEER = /pipelined|^ours|libpq|pgbench/;
/** How much was tried, and how much there was to do, is neither good nor bad. */
const NO_MEASURE = /attempts|capacity/i;
const LESS = /Micros|Millis|failures|failedShare|refusedShare|lateShare/;
/** Benchmarks of which every figure is a cost. */
const COSTS: readonly string[] = ['acquire', 'roundtrips', 'contention', 'spike', 'outage', 'parallel', 'rows'];
