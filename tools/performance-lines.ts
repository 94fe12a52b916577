import { figure, linearScale, logScale, type Scale } from './performance-scale.ts';
import { drawing, element, type Tone, words } from './performance-svg.ts';

/** Panels one below the other, over the same x. */
export interface LineChart {
  readonly title: string;
  readonly description: string;
  /** What x counts; its steps are factors. */
  readonly xHeading: string;
  readonly panels: readonly LinePanel[];
}

export interface LinePanel {
  /** The measure and its unit. */
  readonly heading: string;
  readonly series: readonly Series[];
}

export interface Series {
  readonly label: string;
  readonly tone: Tone;
  readonly points: readonly (readonly [x: number, y: number])[];
}

const WIDTH = 720;
const EDGE = 16;
const LEFT = 64;
const RIGHT = WIDTH - 150;
const TOP = 74;
const PANEL = 190;
const BETWEEN = 62;
const FOOT = 50;
/** Labels that are closer would touch. */
const LABEL_STEP = 16;

interface Frame {
  readonly top: number;
  readonly x: Scale;
  readonly y: Scale;
}

export function lineChart({ title, description, xHeading, panels }: LineChart): string {
  const xs = panels.flatMap(({ series }) => series.flatMap(({ points }) => points.map(([x]) => x)));
  const x = logScale(xs, [LEFT + 14, RIGHT - 10]);
  const frames = panels.map((panel, index) => ({ panel, frame: frameOf(panel, x, TOP + index * (PANEL + BETWEEN)) }));
  const height = TOP + panels.length * (PANEL + BETWEEN) - BETWEEN + FOOT;
  return drawing({
    ...{ title, description, width: WIDTH, height },
    body: [
      words({ x: EDGE, y: 26, say: title, look: 'heading' }),
      ...frames.flatMap(({ panel, frame }) => [...grid(panel, frame), ...lines(panel, frame), ...labels(panel, frame)]),
      words({ x: (LEFT + RIGHT) / 2, y: height - 12, say: xHeading, anchor: 'middle', look: 'quiet' }),
    ],
  });
}

function frameOf({ series }: LinePanel, x: Scale, top: number): Frame {
  const most = Math.max(...series.flatMap(({ points }) => points.map(([, y]) => y)));
  return { top, x, y: linearScale(most, [top + PANEL, top]) };
}

function grid({ heading }: LinePanel, { top, x, y }: Frame): string[] {
  const across = y.ticks.flatMap((tick) => [
    element('line', { class: tick === 0 ? 'axis' : 'grid', x1: LEFT, x2: RIGHT, y1: y(tick), y2: y(tick) }),
    words({ x: LEFT - 8, y: y(tick) + 4, say: figure(tick), anchor: 'end', look: 'quiet small' }),
  ]);
  const along = x.ticks.flatMap((tick) => [
    element('line', { class: 'axis', x1: x(tick), x2: x(tick), y1: top + PANEL, y2: top + PANEL + 4 }),
    words({ x: x(tick), y: top + PANEL + 17, say: figure(tick), anchor: 'middle', look: 'quiet small' }),
  ]);
  return [words({ x: EDGE, y: top - 14, say: heading, look: 'quiet' }), ...across, ...along];
}

function lines({ series }: LinePanel, { x, y }: Frame): string[] {
  return series.flatMap(({ tone, points }) => {
    const path = points.map(
      ([at, value], index) => `${index === 0 ? 'M' : 'L'}${x(at).toFixed(1)} ${y(value).toFixed(1)}`,
    );
    const dots = points.map(([at, value]) => element('circle', { class: tone, cx: x(at), cy: y(value), r: 3.5 }));
    return [element('path', { class: `line ${tone}`, d: path.join('') }), ...dots];
  });
}

/** Each at the end of its line, moved apart where they would meet. */
function labels({ series }: LinePanel, { top, y }: Frame): string[] {
  const ends = series
    .flatMap(({ label, tone, points }) => points.slice(-1).map(([, value]) => ({ label, tone, value })))
    .sort((one, other) => other.value - one.value);
  const places = apart(
    ends.map(({ value }) => y(value)),
    top + PANEL,
  );
  return ends.flatMap(({ label, tone }, index) => {
    const place = places[index] ?? top;
    return [
      element('rect', { class: tone, x: RIGHT + 8, y: place - 5, width: 10, height: 10, rx: 2 }),
      words({ x: RIGHT + 22, y: place + 4, say: label }),
    ];
  });
}

/** Downwards in order, none closer to the next than a label is high, and none below the floor. */
function apart(wanted: readonly number[], floor: number): number[] {
  let next = -Infinity;
  const down = wanted.map((place) => {
    const free = Math.max(place, next);
    next = free + LABEL_STEP;
    return free;
  });
  return down.map((place, index) => Math.min(place, floor - (down.length - 1 - index) * LABEL_STEP));
}
