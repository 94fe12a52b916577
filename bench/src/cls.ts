import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Benchmark, Figures, Findings, Say } from './benchmark.ts';
import type { Awaits } from './cls-awaits-main.ts';
import { interleave } from './interleave.ts';
import { median, medians } from './statistics.ts';

const run = promisify(execFile);

const ROUNDS = 9;
const ROUNDS_BESIDE = 3;
const SIDES = ['none', 'ours', 'theirs'] as const;
/** Where AsyncLocalStorage has a hook inside. */
const OLD_NODE = '22.23.2';

type Readings = Record<(typeof SIDES)[number], Awaits[]>;

export const cls: Benchmark = {
  name: 'cls',
  question: 'What does each await in the process pay for contexts that follow the running code?',
  ratioOf: 'cost added to an await, ours ÷ cls-hooked, outside or inside of a context: the worse of both',
  target: { bound: 'at most', value: 0.1 },
  run: answer,
};

async function answer(say: Say): Promise<Findings> {
  const here = await measure(process.execPath, ROUNDS, say);
  const old = await oldNode();
  const beside = old === undefined ? undefined : await measure(old, ROUNDS_BESIDE, say);
  const onOld = beside === undefined ? {} : { [`ratio.node${OLD_NODE}`]: median(ratios(beside)) };
  return {
    ratios: ratios(here),
    unit: 'nanoseconds per await (medians)',
    ours: { ...medians(here.ours), ...figuresOn(OLD_NODE, beside?.ours) },
    peers: {
      'cls-hooked': { ...medians(here.theirs), ...figuresOn(OLD_NODE, beside?.theirs) },
      nothing: { outside: medians(here.none).outside, ...figuresOn(OLD_NODE, beside?.none) },
    },
    extra: onOld,
    notes: [
      'Each side in a process of its own, in turn. A ratio is of what is added to the await of a process without either; below 0 it is noise, and so is a spread around 0.',
      beside === undefined
        ? `Node ${OLD_NODE}, where AsyncLocalStorage itself has a hook inside, is not to be had here.`
        : `On Node ${OLD_NODE} AsyncLocalStorage itself has a hook inside, which other users of it in the process pay for too.`,
    ],
  };
}

function measure(node: string, rounds: number, say: Say): Promise<Readings> {
  const sides = Object.fromEntries(SIDES.map((side) => [side, () => awaitsOf(node, side)]));
  return interleave(rounds, sides as Record<(typeof SIDES)[number], () => Promise<Awaits>>, say);
}

async function awaitsOf(node: string, side: string): Promise<Awaits> {
  const program = fileURLToPath(new URL('./cls-awaits-main.ts', import.meta.url));
  const { stdout } = await run(node, ['--no-warnings', '--conditions=@lifeguard/source', program, side]);
  return JSON.parse(stdout) as Awaits;
}

function ratios({ none, ours, theirs }: Readings): number[] {
  return none.map((plain, round) => {
    const [mine, peer] = [ours[round] as Awaits, theirs[round] as Awaits];
    const added = (place: keyof Awaits): number => (mine[place] - plain[place]) / (peer[place] - plain[place]);
    return Math.max(added('outside'), added('inside'));
  });
}

function figuresOn(version: string, readings: readonly Awaits[] | undefined): Figures {
  if (readings === undefined) return {};
  const named = Object.entries(medians(readings as readonly Record<keyof Awaits, number>[]));
  return Object.fromEntries(named.map(([place, value]) => [`${place}.node${version}`, value]));
}

/** Elsewhere than in the repository, where `npx` would find the Node that we run on. */
async function oldNode(): Promise<string | undefined> {
  const args = ['-y', '-p', `node@${OLD_NODE}`, '-c', 'command -v node'];
  const found = await run('npx', args, { cwd: tmpdir(), timeout: 60_000 }).catch(() => undefined);
  const path = found?.stdout.trim();
  if (!path) return undefined;
  const version = await run(path, ['--version']).catch(() => undefined);
  return version?.stdout.trim() === `v${OLD_NODE}` ? path : undefined;
}
