import type { PoolSnapshot } from '@lifeguard/core';
import type { Entry, Tone } from './logbook.ts';
import type { Colour, Paint } from './paint.ts';
import type { Tally } from './tally.ts';

/** What a picture is drawn from. */
export interface View {
  readonly pool: PoolSnapshot;
  readonly tally: Tally;
  readonly entries: readonly Entry[];
  /** Seconds since the load began. */
  readonly seconds: number;
  /** On `performance.now()`. */
  readonly nowMillis: number;
  /** Requests per second that are sent. */
  readonly rate: number;
  /** Where in the tour this is, and what to look at. */
  readonly chapter: string;
  readonly caption: string;
  /** What may be pressed; empty where there are no keys. */
  readonly help: string;
}

export interface Frame {
  readonly columns: number;
  readonly rows: number;
}

/** Everything about the pool at one moment, from top to bottom, in as much room as there is. */
export function drawPicture(view: View, paint: Paint, { columns, rows }: Frame): string[] {
  const roomy = rows >= 30;
  const gap = roomy ? [''] : [];
  const top = [
    drawTitle(view, paint),
    ...drawCaption(view, paint, columns),
    ...gap,
    ...drawSlots(view.pool, paint, columns),
    drawLine(view.pool, paint, columns),
    ...gap,
    ...drawTimes(view.pool, paint),
    ...gap,
    ...drawAnswers(view, paint, columns),
    ...gap,
    ...drawTurnover(view.pool, paint),
    ...drawHeld(view.pool, paint, roomy ? 4 : 2),
    ...gap,
  ];
  const bottom = view.help === '' ? [] : [` ${paint.in('bold', view.help)}`];
  const left = Math.max(0, rows - top.length - bottom.length);
  const lines = [...top, ...drawEntries(view, paint, { columns, rows: left }), ...bottom];
  return lines.slice(0, rows).map((line) => paint.cut(line, columns));
}

/** The same in one line, for a log. */
export function drawTicker({ pool, tally, seconds, nowMillis }: View, paint: Paint): string {
  const counts = STATES.filter(({ of }) => of(pool) > 0).map(({ name, of }) => `${of(pool)} ${name}`);
  const answers = byStatus(tally.lastSecond(nowMillis)).map(([status, count]) => `${count}x${status || 'none'}`);
  const health = pool.health === 'healthy' ? '' : ` ${pool.health}`;
  return [
    `${seconds.toFixed(1).padStart(5)} s [${letters(pool)}] ${pool.state}${health}`,
    counts.join(', ') || 'no connection',
    `${pool.waiting} waiting${pool.waiting > 0 ? ` (oldest ${millis(pool.oldestWaitMillis)})` : ''}`,
    `wait p99 ${millis(pool.wait.p99Millis)}`,
    `answers/s ${answers.join(' ') || 'none'}`,
  ]
    .map((part) => paint.in('bold', part))
    .join(' | ');
}

/** States in the order in which their cells are drawn. */
const STATES: readonly {
  readonly name: string;
  readonly letter: string;
  readonly colour: Colour;
  readonly of: (pool: PoolSnapshot) => number;
}[] = [
  { name: 'leased', letter: 'L', colour: 'onGreen', of: ({ leased }) => leased },
  { name: 'tending', letter: 'T', colour: 'onMagenta', of: ({ tending }) => tending },
  { name: 'idle', letter: 'i', colour: 'onGrey', of: ({ idle }) => idle },
  { name: 'connecting', letter: 'c', colour: 'onYellow', of: ({ connecting }) => connecting },
  { name: 'closing', letter: 'x', colour: 'onRed', of: ({ closing, overdue }) => closing - overdue },
  { name: 'overdue', letter: '!', colour: 'onRed', of: ({ overdue }) => overdue },
];

function drawTitle({ pool, seconds, chapter }: View, paint: Paint): string {
  const state = paint.in(pool.state === 'open' ? 'green' : 'yellow', pool.state);
  const health = paint.in(pool.health === 'healthy' ? 'green' : 'red', pool.health);
  const name = paint.in('bold', `Lifeguard, pool "${pool.name}"`);
  return ` ${name}: ${state}, server ${health}   ${seconds.toFixed(0)} s   ${paint.in('dim', chapter)}`;
}

/** Always as high, so that what is below stays where it is. */
function drawCaption({ caption }: View, paint: Paint, columns: number): string[] {
  const lines = wrap(caption, columns - 2);
  return Array.from({ length: CAPTION_ROWS }, (_, index) => ` ${paint.in('yellow', lines[index] ?? '')}`);
}

function drawSlots(pool: PoolSnapshot, paint: Paint, columns: number): string[] {
  const cells = STATES.flatMap(({ letter, colour, of }) => Array(of(pool)).fill(drawCell(letter, colour, paint)));
  const free = Array(Math.max(0, pool.max - pool.size)).fill(paint.color ? paint.in('dim', ' . ') : '[ ]');
  // Where there is no room for all states, those that no slot is in are left out.
  const named = columns >= LEGEND_COLUMNS ? STATES : STATES.filter(({ of }) => of(pool) > 0);
  const legend = named.map(({ letter, colour, name, of }) => {
    const count = of(pool);
    const text = `${count} ${name}`;
    return `${drawCell(letter, colour, paint)} ${count > 0 ? text : paint.in('dim', text)}`;
  });
  const space = paint.color ? ' ' : '';
  return [
    `${label('slots', paint)}${[...cells, ...free].join(space)}  of ${pool.max}`,
    `${BLANK}${legend.join(' ') || paint.in('dim', 'no connection')}`,
  ];
}

function drawCell(letter: string, colour: Colour, paint: Paint): string {
  return paint.color ? paint.in(colour, ` ${letter} `) : `[${letter}]`;
}

function drawLine({ waiting, oldestWaitMillis }: PoolSnapshot, paint: Paint, columns: number): string {
  if (waiting === 0) return `${label('line', paint)}${paint.in('dim', 'empty')}`;
  const room = Math.max(10, columns - BLANK.length - 34);
  const people = 'o'.repeat(Math.min(waiting, room)) + (waiting > room ? '...' : '');
  const colour = oldestWaitMillis > LONG_WAIT_MILLIS ? 'red' : 'yellow';
  return `${label('line', paint)}${paint.in(colour, people)} ${waiting} waiting, oldest ${millis(oldestWaitMillis)}`;
}

function drawTimes({ wait, hold, utilisation, impliedConcurrency }: PoolSnapshot, paint: Paint): string[] {
  const both = ({ p50Millis, p99Millis }: typeof wait): string =>
    `p50 ${millis(p50Millis).padStart(7)}  p99 ${millis(p99Millis).padStart(7)}`;
  const note = `busy ${(utilisation * 100).toFixed(0)} %, that is ${impliedConcurrency.toFixed(1)} connections`;
  return [
    `${label('wait', paint)}${both(wait)}    ${paint.in('dim', '(of the last minute or two)')}`,
    `${label('hold', paint)}${both(hold)}    ${paint.in('dim', note)}`,
  ];
}

function drawAnswers({ tally, nowMillis, rate }: View, paint: Paint, columns: number): string[] {
  const seconds = Math.min(60, columns - BLANK.length - 30);
  const good = tally.history(seconds, nowMillis, isGood);
  const bad = tally.history(seconds, nowMillis, (status) => !isGood(status));
  const highest = Math.max(1, ...good, ...bad);
  const last = (numbers: readonly number[]): string => `${numbers[numbers.length - 1] ?? 0}/s`.padStart(6);
  const totals = byStatus(tally.totals).map(([status, count]) => {
    const text = `${status || 'no answer'}: ${count}`;
    return isGood(status) ? text : paint.in('red', text);
  });
  return [
    `${label('answers', paint)}${last(good)} good ${paint.in('green', paint.bars(good, highest))} ${paint.in('dim', `${rate}/s come`)}`,
    `${BLANK}${last(bad)} bad  ${paint.in('red', paint.bars(bad, highest))}`,
    `${BLANK}${totals.join('   ')}`,
  ];
}

function drawTurnover(pool: PoolSnapshot, paint: Paint): string[] {
  const closed = closedByReason(pool);
  return [
    `${label('turnover', paint)}opened ${pool.opened}, dials failed ${pool.failedDials}; closed ${paint.in('cyan', closed)}`,
    `${BLANK}shed ${pool.shed}, timed out ${pool.timeouts}, cancelled ${pool.cancels}, leases given ${pool.acquired}`,
  ];
}

export function closedByReason({ closed }: PoolSnapshot): string {
  const reasons = Object.entries(closed).map(([reason, count]) => `${reason} ${count}`);
  return reasons.join(', ') || 'none';
}

/** Leases that were held while nothing ran on them, worst first. */
function drawHeld({ held }: PoolSnapshot, paint: Paint, rows: number): string[] {
  const worst = Object.entries(held)
    .sort(([, a], [, b]) => b.silentMillis - a.silentMillis)
    .slice(0, rows);
  return worst.map(([name, { leases, heldMillis, silentMillis }], index) => {
    const share = heldMillis === 0 ? 0 : (100 * silentMillis) / heldMillis;
    const text = `${name.padEnd(15)} ${millis(silentMillis).padStart(7)} of ${millis(heldMillis).padStart(7)} held (${share.toFixed(0).padStart(2)} %), ${leases} leases`;
    return `${index === 0 ? label('silent', paint) : BLANK}${text}`;
  });
}

/** The last ones, in full where there is room: a message says what to do only at its end. */
function drawEntries({ entries }: View, paint: Paint, { columns, rows }: Frame): string[] {
  const most = rows >= 10 ? 3 : 1;
  const lines: string[] = [];
  for (const entry of entries.toReversed()) {
    const wrapped = drawWrapped(entry, paint, { columns: columns - ENTRY_COLUMNS, rows: most });
    if (lines.length + wrapped.length > rows) break;
    lines.unshift(...wrapped);
  }
  if (lines[0] !== undefined) lines[0] = label('events', paint) + lines[0].slice(LABEL_COLUMNS);
  return [...lines, ...Array(rows - lines.length).fill('')];
}

function drawWrapped(entry: Entry, paint: Paint, frame: Frame): string[] {
  const time = paint.in('dim', `${entry.at.toFixed(1).padStart(5)} s`);
  return wrap(textOf(entry), frame.columns)
    .slice(0, frame.rows)
    .map((line, index) => `${BLANK}${index === 0 ? time : ' '.repeat(7)} ${inTone(entry.tone, line, paint)}`);
}

export function drawEntry(entry: Entry, paint: Paint): string {
  return inTone(entry.tone, textOf(entry), paint);
}

function inTone(tone: Tone, text: string, paint: Paint): string {
  const colour = TONES[tone];
  return colour === undefined ? text : paint.in(colour, text);
}

function textOf({ text, times }: Entry): string {
  return times > 1 ? `${times}x ${text}` : text;
}

const TONES: Readonly<Record<Tone, Colour | undefined>> = {
  deed: 'yellow',
  plain: undefined,
  good: 'green',
  bad: 'red',
};
const LABEL_COLUMNS = 10;
const ENTRY_COLUMNS = LABEL_COLUMNS + 8;
const BLANK = ' '.repeat(LABEL_COLUMNS);
const CAPTION_ROWS = 2;
const LEGEND_COLUMNS = 98;
const LONG_WAIT_MILLIS = 100;

function label(text: string, paint: Paint): string {
  return paint.in('dim', ` ${text}`.padEnd(LABEL_COLUMNS));
}

function letters(pool: PoolSnapshot): string {
  const used = STATES.map(({ letter, of }) => letter.repeat(of(pool))).join('');
  return used.padEnd(pool.max, '.');
}

export function byStatus(counts: ReadonlyMap<number, number>): [number, number][] {
  return [...counts].sort(([a], [b]) => a - b);
}

export function isGood(status: number): boolean {
  return status >= 200 && status < 500;
}

/** "0.4 ms", "37 ms", "1.2 s": as exact as one can read. */
function millis(value: number): string {
  if (value >= 1_000) return `${(value / 1_000).toFixed(1)} s`;
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}

function wrap(text: string, columns: number): string[] {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const line = lines[lines.length - 1] as string;
    if (line !== '' && line.length + 1 + word.length > columns) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines;
}
