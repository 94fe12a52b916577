import { setImmediate as turn } from 'node:timers/promises';
import type { Benchmark, Figures, Findings, Say, Target } from './benchmark.ts';
import { interleave, ratiosOf } from './interleave.ts';
import { StandingLine } from './standing-line.ts';
import { median, medians } from './statistics.ts';

const ROUNDS = 9;
const SHORT = 100;
const LONG = 100_000;
const BATCH = 100;
const WARM_UP = 100;
const BATCHES = 200;

const OPERATIONS = ['enqueue', 'dequeue', 'timeout', 'abort'] as const;
/** Nanoseconds per operation. */
type Reading = Record<(typeof OPERATIONS)[number], number>;

const TARGET: Target = { bound: 'at most', value: 4 };

export const queue: Benchmark = {
  name: 'queue',
  question: 'Does an operation on the line cost more when 100,000 wait than when 100 do?',
  ratioOf: 'time per operation at 100,000 waiters ÷ at 100, mean of the four',
  target: TARGET,
  run,
};

async function run(say: Say): Promise<Findings> {
  // An error of a refused caller keeps no stack here: making one costs the same at every length, and would hide the rest.
  Error.stackTraceLimit = 0;
  const { short, long } = await interleave(ROUNDS, { short: () => measure(SHORT), long: () => measure(LONG) }, say);
  const operations = operationRatios(long, short);
  return {
    ratios: ratiosOf(long.map(mean), short.map(mean)),
    unit: 'ns of CPU per operation (medians)',
    ours: medians(long),
    peers: { 'ours at 100': medians(short) },
    extra: operations,
    also: [{ name: 'worst', value: Math.max(...Object.values(operations)), target: TARGET, unit: 'of the four' }],
    notes: [
      `Through the engine's own acquire, giveBack, signal and clock, in batches of ${BATCH} on a line that keeps its length; all callers have a limit and a signal.`,
      'A collection of garbage counts for the line in which it happens; errors are made without their stacks, which cost the same at every length.',
    ],
  };
}

async function measure(length: number): Promise<Reading> {
  const line = new StandingLine();
  await line.form(length);
  // The rubbish of the line before, and the compiled code that went with it, are not this one's affair.
  globalThis.gc?.();
  for (let batch = 0; batch < WARM_UP; batch += 1) await measureBatch(line);
  const sum: Reading = { enqueue: 0, dequeue: 0, timeout: 0, abort: 0 };
  for (let batch = 0; batch < BATCHES; batch += 1) {
    const times = await measureBatch(line);
    for (const name of OPERATIONS) sum[name] += times[name] / BATCHES;
  }
  if (line.length !== length) throw new Error(`bug: a line of ${length} has become one of ${line.length}`);
  await line.close();
  return sum;
}

async function measureBatch(line: StandingLine): Promise<Reading> {
  const late = line.callers(BATCH, 1);
  line.join(late);
  const timeout = timeOf(() => line.timePasses());
  line.forget(late);
  await turn();
  const leaving = line.scattered(BATCH);
  const abort = timeOf(() => line.leave(leaving));
  line.forget(leaving);
  await turn();
  const joining = line.callers(BATCH);
  const enqueue = timeOf(() => line.join(joining));
  line.join(line.callers(BATCH));
  await turn();
  line.forget(line.first(BATCH));
  const dequeue = timeOf(() => line.serve(BATCH));
  await turn();
  return { enqueue, dequeue, timeout, abort };
}

/** CPU and not the clock on the wall: a neighbour who takes the core for a moment would cost a batch more than the batch. */
function timeOf(work: () => void): number {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  return ((user + system) * 1_000) / BATCH;
}

function mean(reading: Reading): number {
  return OPERATIONS.reduce((sum, name) => sum + reading[name], 0) / OPERATIONS.length;
}

function operationRatios(long: readonly Reading[], short: readonly Reading[]): Figures {
  const ratio = (name: keyof Reading): number =>
    median(
      ratiosOf(
        long.map((reading) => reading[name]),
        short.map((reading) => reading[name]),
      ),
    );
  return Object.fromEntries(OPERATIONS.map((name) => [`${name}Ratio`, ratio(name)]));
}
