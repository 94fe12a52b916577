/** The pieces of a drawing: elements, words and the frame that they stand in. */

export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** Who a colour stands for: one and the same in every chart. */
export type Tone = 'ours' | 'oursPlain' | 'floor' | 'pgPool' | 'postgres' | 'peer' | 'node' | 'native';

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Drawing {
  readonly title: string;
  /** What the picture shows, for those who do not see it. */
  readonly description: string;
  readonly width: number;
  readonly height: number;
  readonly body: readonly string[];
}

export function element(name: string, attributes: Attributes, ...content: readonly string[]): string {
  const given = Object.entries(attributes).filter(([, value]) => value !== undefined);
  const written = given
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? trimmed(value) : value}"`)
    .join('');
  return content.length === 0 ? `<${name}${written}/>` : `<${name}${written}>${content.join('')}</${name}>`;
}

export interface Words extends Point {
  readonly say: string;
  readonly anchor?: 'middle' | 'end' | undefined;
  readonly look?: string | undefined;
}

export function words({ x, y, say, anchor, look }: Words): string {
  return element('text', { x, y, 'text-anchor': anchor, class: look }, escaped(say));
}

/** A whole file: the colours follow the reader's light or dark, and words stay words. */
export function drawing({ title, description, width, height, body }: Drawing): string {
  const frame = {
    xmlns: 'http://www.w3.org/2000/svg',
    ...{ viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', 'aria-labelledby': 'title desc' },
  };
  const content = [
    element('title', { id: 'title' }, escaped(title)),
    element('desc', { id: 'desc' }, escaped(description)),
    element('style', {}, STYLE),
    element('rect', { class: 'surface', width, height, rx: 8 }),
    ...body,
  ];
  return `${element('svg', frame, '\n', content.join('\n'), '\n')}\n`;
}

/** About how wide a text of the drawing comes out: no font is at hand to ask. */
export function widthOf(text: string, size: number = FONT_SIZE): number {
  return text.length * size * 0.56;
}

export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

function trimmed(value: number): string {
  return String(Math.round(value * 10) / 10);
}

export const FONT_SIZE = 13;

type Pair = readonly [light: string, dark: string];

/** Told apart by lightness too, so that they differ for every kind of eye. */
const TONES: Readonly<Record<Tone, Pair>> = {
  ours: ['#1f5fbf', '#6aa9ff'],
  oursPlain: ['#7fb0ea', '#3a6fb5'],
  floor: ['#6b6b6b', '#a8a8a8'],
  pgPool: ['#bf540a', '#f0954a'],
  postgres: ['#1d7a55', '#4fc796'],
  peer: ['#8a4fa3', '#c393da'],
  node: ['#d8bb5c', '#c9ab4a'],
  native: ['#c9c7bf', '#5c5b57'],
};

/** For words that stand on a colour. */
const WORDS_ON: Readonly<Record<string, Pair>> = {
  ...{ ours: ['#ffffff', '#0b1a30'], pgPool: ['#ffffff', '#2b1200'], peer: ['#ffffff', '#24092f'] },
  ...{ node: ['#1c1c1c', '#1c1c1c'], native: ['#1c1c1c', '#ffffff'] },
};

const INKS: Readonly<Record<string, Pair>> = {
  surface: ['#ffffff', '#16181d'],
  ink: ['#1c1c1c', '#ececec'],
  quiet: ['#5a5a5a', '#a9a9a9'],
  grid: ['#e3e3e0', '#2f3239'],
};

const STYLE: string = [
  `text{font:${FONT_SIZE}px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:var(--ink)}`,
  '.heading{font-size:15px;font-weight:600}.strong{font-weight:600}.quiet{fill:var(--quiet)}.small{font-size:11px}',
  '.surface{fill:var(--surface)}.grid{stroke:var(--grid)}.axis{stroke:var(--quiet)}',
  '.target{stroke:var(--ink);stroke-width:2;stroke-dasharray:3 2}.line{fill:none;stroke-width:2.5;stroke-linejoin:round}',
  '.frame{stroke:var(--surface);stroke-width:.5}.code{font:11px ui-monospace,Menlo,Consolas,monospace}',
  '.halo{paint-order:stroke;stroke:var(--surface);stroke-width:4px}',
  ...Object.keys(TONES).map((tone) => `.${tone}{fill:var(--${tone})}.line.${tone}{fill:none;stroke:var(--${tone})}`),
  ...Object.keys(WORDS_ON).map((tone) => `.on-${tone}{fill:var(--on-${tone})}`),
  `:root{${variables(0)}}@media (prefers-color-scheme:dark){:root{${variables(1)}}}`,
].join('\n');

function variables(side: 0 | 1): string {
  const wordsOn = Object.entries(WORDS_ON).map(([tone, pair]) => [`on-${tone}`, pair] as const);
  return [...Object.entries(TONES), ...Object.entries(INKS), ...wordsOn]
    .map(([name, pair]) => `--${name}:${pair[side]}`)
    .join(';');
}
