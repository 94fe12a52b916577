/** `pnpm bench [NAME…] [--json]`: see README.md beside this file. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Benchmark } from './src/benchmark.ts';
import { catalogue } from './src/catalogue.ts';
import { thisMachine } from './src/machine.ts';
import { type Report, reportOn, toJson, toText } from './src/report.ts';

const args = process.argv.slice(2);
const wantsJson = args.includes('--json');
const names = args.filter((arg) => arg !== '--json' && arg !== '--');
const chosen = names.length === 0 ? catalogue : catalogue.filter(({ name }) => names.includes(name));
const unknown = names.find((name) => !catalogue.some((benchmark) => benchmark.name === name));

if (unknown !== undefined) {
  const known = catalogue.map(({ name, question }) => `  ${name.padEnd(10)}${question}`).join('\n');
  process.stderr.write(`There is no benchmark "${unknown}". There are:\n${known}\n`);
  process.exitCode = 2;
} else if (chosen.length === 1) {
  const report = await run(chosen[0] as Benchmark);
  // pg-pool keeps a timer for each idle connection, which would keep us for half a minute.
  process.stdout.write(`${wantsJson ? toJson(report) : toText(report)}\n`, () => process.exit());
} else {
  process.exitCode = Math.max(...chosen.map(runApart));
}

async function run(benchmark: Benchmark): Promise<Report> {
  const machine = thisMachine();
  const startedAt = performance.now();
  const say = (text: string): void => void process.stderr.write(`${benchmark.name}: ${text}\n`);
  const findings = await benchmark.run(say);
  return reportOn(benchmark, findings, { machine, seconds: (performance.now() - startedAt) / 1_000 });
}

/** Each in a process of its own, so that no benchmark finds the heap and the compiled code of another. */
function runApart({ name }: Benchmark): number {
  const self = [...process.execArgv, fileURLToPath(import.meta.url), name, ...(wantsJson ? ['--json'] : [])];
  return spawnSync(process.execPath, self, { stdio: 'inherit' }).status ?? 1;
}
