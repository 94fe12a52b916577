import type { Frame, Origin } from './flame-tree.ts';
import { drawing, element, escaped, type Tone, words } from './performance-svg.ts';

/** One box: how deep it lies, what it is, and its share of the whole, in percent. */
export type FlameBox = readonly [depth: number, label: string, origin: Origin, from: number, percent: number];

export interface FlameGraph {
  readonly title: string;
  readonly description: string;
  readonly boxes: readonly FlameBox[];
}

/** Less is a hair, and nobody reads it. */
const LEAST_PERCENT = 0.3;
const WIDTH = 720;
const EDGE = 12;
const TOP = 64;
const ROW = 17;
/** Of a letter in the type of the boxes, which are all equally wide. */
const LETTER = 6.65;

const TONES: Readonly<Record<Origin, Tone>> = {
  ...{ pool: 'ours', scope: 'ours', pg: 'ours', core: 'ours', driver: 'pgPool' },
  ...{ node: 'node', gc: 'native', native: 'native', idle: 'native', bench: 'peer' },
};

const LEGEND: readonly (readonly [Tone, string])[] = [
  ['ours', 'Lifeguard'],
  ['pgPool', 'the driver pg'],
  ['node', 'Node'],
  ['native', 'native code and GC'],
  ['peer', 'the benchmark'],
];

/** The boxes from left to right and downwards. Waiting is left out: it is not spent by anybody. */
export function flameBoxes(root: Frame): FlameBox[] {
  const busy = [...root.callees.values()].filter(({ origin }) => origin !== 'idle');
  const whole = busy.reduce((sum, { total }) => sum + total, 0);
  return row(busy, { depth: 0, from: 0, whole });
}

function row(
  frames: readonly Frame[],
  { depth, from, whole }: { depth: number; from: number; whole: number },
): FlameBox[] {
  const widest = frames.toSorted((one, other) => other.total - one.total);
  let at = from;
  return widest.flatMap((frame): FlameBox[] => {
    const percent = (100 * frame.total) / whole;
    if (!(percent >= LEAST_PERCENT)) return [];
    const box: FlameBox = [depth, frame.label, frame.origin, rounded(at), rounded(percent)];
    const above = row([...frame.callees.values()], { depth: depth + 1, from: at, whole });
    at += percent;
    return [box, ...above];
  });
}

function rounded(percent: number): number {
  return Math.round(percent * 100) / 100;
}

export function flameGraph({ title, description, boxes }: FlameGraph): string {
  const deepest = Math.max(0, ...boxes.map(([depth]) => depth));
  return drawing({
    ...{ title, description, width: WIDTH, height: TOP + (deepest + 1) * ROW + EDGE },
    body: [words({ x: EDGE, y: 26, say: title, look: 'heading' }), ...legend(), ...boxes.map(drawn)],
  });
}

function legend(): string[] {
  let x = EDGE;
  return LEGEND.flatMap(([tone, say]) => {
    const sample = element('rect', { class: tone, x, y: 40, width: 11, height: 11, rx: 2 });
    const label = words({ x: x + 16, y: 50, say, look: 'quiet' });
    x += 16 + say.length * 7 + 20;
    return [sample, label];
  });
}

/** An inner picture clips what it holds, so no word leaves its box. */
function drawn([depth, label, origin, from, percent]: FlameBox): string {
  const scale = (WIDTH - 2 * EDGE) / 100;
  const tone = TONES[origin];
  const place = { x: EDGE + from * scale, y: TOP + depth * ROW, width: percent * scale, height: ROW - 1 };
  const box = element('rect', { class: `frame ${tone}`, width: place.width, height: place.height });
  const letters = Math.floor((place.width - 6) / LETTER);
  const say = label.length <= letters ? label : `${label.slice(0, letters - 1)}…`;
  const title = element('title', {}, escaped(`${label}: ${percent} %`));
  return element('svg', place, title, box, letters < 3 ? '' : words({ x: 3, y: 12, say, look: `code on-${tone}` }));
}
