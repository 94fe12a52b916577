/**
 * Writes the generated parts of docs/10-performance.md and its charts from the run that is kept beside them:
 * `node tools/performance-page.ts`; from a new run, which is kept then: `node tools/performance-page.ts FILE`.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { PerformanceParts } from './performance-parts.ts';
import { type Occasion, PerformanceRun } from './performance-run.ts';

const PAGE: URL = new URL('../docs/10-performance.md', import.meta.url);
const FOLDER: URL = new URL('../docs/performance/', import.meta.url);
const KEPT: URL = new URL('run.jsonl', FOLDER);

const PART = /(?<=<!-- from the run: ([\w.]+) -->\n).*?(?=<!-- end of \1 -->)/gs;

/** The same prose, with what the run says between the marks. */
export function performancePage(text: string, run: PerformanceRun): string {
  const parts = new PerformanceParts(run);
  const own = [...text.matchAll(PART)].map(([, name = '']) => name);
  return text.replace(PART, (_old, name: string) => `\n${parts.text(name, own)}\n\n`);
}

/** The charts by file name. */
export function performanceCharts(run: PerformanceRun): ReadonlyMap<string, string> {
  return new Map(new PerformanceParts(run).charts.map(({ file, svg }) => [file, svg]));
}

/** The run of the page, as it is kept. */
export function keptRun(): PerformanceRun {
  return new PerformanceRun(readFileSync(KEPT, 'utf8'));
}

/** Its lines, after one that says when it ended. What is no result of a run is left out. */
function keep(path: string): void {
  const lines = readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{'));
  const occasion: Occasion = { name: 'run', date: statSync(path).mtime.toISOString().slice(0, 10) };
  const results = lines.filter((line) => (JSON.parse(line) as Occasion).name !== 'run');
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(KEPT, `${[JSON.stringify(occasion), ...results].join('\n')}\n`);
}

function write(run: PerformanceRun): void {
  writeFileSync(PAGE, performancePage(readFileSync(PAGE, 'utf8'), run));
  for (const old of readdirSync(FOLDER).filter((name) => name.endsWith('.svg'))) rmSync(new URL(old, FOLDER));
  for (const [file, svg] of performanceCharts(run)) writeFileSync(new URL(file, FOLDER), svg);
}

if (import.meta.main) {
  const [path] = process.argv.slice(2);
  if (path !== undefined) keep(path);
  write(keptRun());
}
