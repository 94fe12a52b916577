/** What one deed costs. */
export interface Row {
  readonly name: string;
  readonly trips: number;
  readonly packets: number;
  readonly writes: number;
  readonly sent: number;
  readonly received: number;
  readonly timers: number;
  readonly promises: number;
  /** How many of each type were sent: `1P 1B 1D 1E 1S`. */
  readonly messages: string;
}

export const FIGURES = ['trips', 'packets', 'writes', 'sent', 'received', 'timers', 'promises'] as const;

const NAME_WIDTH = 38;
const FIGURE_WIDTH = 9;

/** The form in which the table is kept: a line for each deed, so that a commit shows which ones it has changed. */
export function writeTable(rows: readonly Row[]): string {
  const lines = rows.map((row) => lineOf(row.name, [...FIGURES.map((figure) => String(row[figure])), row.messages]));
  return ['', lineOf('', [...FIGURES, 'messages']), ...lines, ''].join('\n');
}

function lineOf(name: string, cells: readonly string[]): string {
  const figures = cells.slice(0, FIGURES.length).map((cell) => cell.padStart(FIGURE_WIDTH));
  return `${name.padEnd(NAME_WIDTH)}${figures.join('')}  ${cells[FIGURES.length]}`;
}

export function readTable(table: string): Row[] {
  return table.trim().split('\n').slice(1).map(readLine);
}

function readLine(line: string): Row {
  const cell = (at: number, end: number): string => line.slice(NAME_WIDTH + at * FIGURE_WIDTH, end).trim();
  const figures = FIGURES.map((figure, at) => [figure, Number(cell(at, NAME_WIDTH + (at + 1) * FIGURE_WIDTH))]);
  const name = line.slice(0, NAME_WIDTH).trim();
  return { name, ...Object.fromEntries(figures), messages: cell(FIGURES.length, line.length) } as Row;
}

/** Where two tables differ, a sentence each. */
export function differences(before: readonly Row[], after: readonly Row[]): string[] {
  const names = new Set([...before, ...after].map(({ name }) => name));
  const rowOf = (rows: readonly Row[], name: string): Row | undefined => rows.find((row) => row.name === name);
  return [...names].flatMap((name) => differencesOf(name, rowOf(before, name), rowOf(after, name)));
}

function differencesOf(name: string, before: Row | undefined, after: Row | undefined): string[] {
  if (before === undefined) return [`${name}: is new`];
  if (after === undefined) return [`${name}: is gone`];
  const changed = FIGURES.filter((figure) => before[figure] !== after[figure]);
  const figures = changed.map((figure) => {
    return `${name}: ${after[figure] > before[figure] ? 'MORE' : 'fewer'} ${figure}: ${before[figure]} → ${after[figure]}`;
  });
  if (before.messages === after.messages) return figures;
  return [...figures, `${name}: other messages: ${before.messages} → ${after.messages}`];
}
