/** Where the time goes: `bench/profile.ts query|transaction [--json] [--seconds N] [--keep FILE]`, as README.md says. */
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { parseArgs } from 'node:util';
import { startPostgres } from '@lifeguard/testkit';
import pg from 'pg';
import { type FlameBox, flameBoxes } from '../tools/flame-graph.ts';
import { type CpuProfile, flameTree, type Origin, ownByOrigin } from '../tools/flame-tree.ts';
import { closedLoop, type Throughput } from './src/closed-loop.ts';
import { type Address, type ContenderOptions, openContender } from './src/contender.ts';
import { anyId, fillItems, READ } from './src/items.ts';
import { type Machine, thisMachine } from './src/machine.ts';

/** What `--json` prints. */
export interface ProfileReport {
  readonly name: `profile.${Deed}`;
  readonly sides: Readonly<Record<'ours' | 'byHand', ProfiledSide>>;
  /** The flame graph of ours. */
  readonly boxes: readonly FlameBox[];
  readonly machine: Machine;
  readonly node: string;
  readonly postgres: string;
}

export interface ProfiledSide {
  /** Deeds in a second, without the profiler and with it. */
  readonly perSecond: number;
  readonly perSecondProfiled: number;
  /** Microseconds of this thread for one deed, by where they were spent; `idle` is waiting. */
  readonly micros: Readonly<Partial<Record<Origin, number>>>;
}

type Deed = 'query' | 'transaction';

const DEEDS: Readonly<Record<Deed, { callers: number; maxOfOurs: number; maxByHand: number }>> = {
  query: { callers: 50, maxOfOurs: 4, maxByHand: 2 },
  // By hand nobody keeps callers from each other's transactions, so there is one.
  transaction: { callers: 1, maxOfOurs: 1, maxByHand: 1 },
};
const SAMPLING_MICROS = 100;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '8' },
    keep: { type: 'string' },
  },
});
const [asked = ''] = positionals;

if (asked === 'query' || asked === 'transaction') {
  const report = await run(asked, Number(values.seconds));
  process.stdout.write(`${values.json ? JSON.stringify(report) : toText(report)}\n`, () => process.exit());
} else {
  process.stderr.write('Ask for "query" or for "transaction".\n');
  process.exitCode = 2;
}

async function run(deed: Deed, seconds: number): Promise<ProfileReport> {
  const machine = thisMachine();
  const server = await startPostgres();
  const { maxOfOurs, maxByHand } = DEEDS[deed];
  try {
    await fillItems(server);
    const address = server.connection();
    const ours = await profiled(deed, { kind: 'ours', address, max: maxOfOurs }, seconds);
    const byHand = await profiled(deed, { kind: 'pipelined', address, max: maxByHand }, seconds);
    if (values.keep !== undefined) writeFileSync(values.keep, JSON.stringify(ours.profile));
    return {
      ...{ name: `profile.${deed}`, sides: { ours: ours.figures, byHand: byHand.figures } },
      ...{ boxes: flameBoxes(flameTree(ours.profile)), machine, node: process.version },
      postgres: await versionOf(address),
    };
  } finally {
    await server.stop();
  }
}

async function versionOf(address: Address): Promise<string> {
  const client = new pg.Client(address);
  await client.connect();
  const { rows } = await client.query<{ server_version: string }>('show server_version');
  await client.end();
  return rows[0]?.server_version.split(' ')[0] ?? '';
}

interface Profiled {
  readonly figures: ProfiledSide;
  readonly profile: CpuProfile;
}

async function profiled(deed: Deed, options: ContenderOptions, seconds: number): Promise<Profiled> {
  const contender = await openContender(options);
  const request = (): Promise<unknown> => {
    return deed === 'query' ? contender.query(READ, anyId(Math.random)) : contender.transaction(anyId(Math.random));
  };
  const load = (): Promise<Throughput> => closedLoop({ callers: DEEDS[deed].callers, seconds, request });
  await load(); // The compiler watches before it optimises.
  const { perSecond } = await load();
  const { profile, during } = await underProfiler(load);
  await contender.close();
  const spent = ownByOrigin(flameTree(profile));
  const micros = [...spent].map(([origin, sum]) => [origin, rounded(sum / (during.perSecond * seconds))]);
  return {
    profile,
    figures: {
      ...{ perSecond: Math.round(perSecond), perSecondProfiled: Math.round(during.perSecond) },
      micros: Object.fromEntries(micros) as ProfiledSide['micros'],
    },
  };
}

async function underProfiler(load: () => Promise<Throughput>): Promise<{ profile: CpuProfile; during: Throughput }> {
  const session = new Session();
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.setSamplingInterval', { interval: SAMPLING_MICROS });
  await session.post('Profiler.start');
  const during = await load();
  const { profile } = await session.post('Profiler.stop');
  session.disconnect();
  return { profile: profile as CpuProfile, during };
}

function rounded(micros: number): number {
  return Number(micros.toPrecision(3));
}

function toText({ name, sides }: ProfileReport): string {
  const tables = Object.entries(sides).flatMap(([side, { perSecond, perSecondProfiled, micros }]) => [
    `\n${side}: ${perSecond} per second, ${perSecondProfiled} with the profiler; µs for one, by where they are spent`,
    ...Object.entries(micros).map(([origin, spent]) => `  ${origin.padEnd(8)}${String(spent).padStart(7)}`),
  ]);
  return [name, ...tables, ''].join('\n');
}
