import { type ConnectionParameters, startPostgres } from '@lifeguard/testkit';
import type { Benchmark, Figures, Findings, Say } from './benchmark.ts';
import type { Address, ContenderOptions } from './contender.ts';
import { contest, figuresOf, type Standings } from './contest.ts';
import { roundTripMillis, startFarServer } from './far-server.ts';
import { interleave, ratiosOf } from './interleave.ts';
import { fillItems } from './items.ts';
import { Pgbench } from './pgbench.ts';
import { median } from './statistics.ts';
import { type Team, withTeams } from './team.ts';

const DELAY_MILLIS = 1;
const TRANSACTION = { deed: 'transaction', callers: 1, seconds: 1 } as const;
const TRANSACTION_ROUNDS = 7;
const READ = { deed: 'read', callers: 50, seconds: 1 } as const;
const READ_ROUNDS = 5;
const RAW_CLIENTS = 2;
const MAX = 4;

type Way = 'ours' | 'pipelined' | 'byHand';
type Reader = 'ours' | 'pipelined' | 'libpq';

export const floor: Benchmark = {
  name: 'floor',
  question: 'How far from the floor are a transaction of two dependent statements at 1 ms, and a read?',
  ratioOf: 'time of one transaction at 1 ms per round trip, ours ÷ pg pipelined by hand',
  target: { bound: 'at most', value: 1.15 },
  run,
};

async function run(say: Say): Promise<Findings> {
  const server = await startPostgres();
  try {
    await fillItems(server);
    const transactions = await transactionsAt(server.connection(), say);
    return findingsOf(transactions, await readsAt(server.connection(), say));
  } finally {
    await server.stop();
  }
}

interface Transactions {
  readonly tripMillis: number;
  readonly found: Standings<Way>;
}

async function transactionsAt(target: ConnectionParameters, say: Say): Promise<Transactions> {
  const way = await startFarServer(target, DELAY_MILLIS);
  const address = way.connection();
  const sides: Record<Way, ContenderOptions> = {
    ours: { kind: 'ours', address, max: 1 },
    pipelined: { kind: 'pipelined', address, max: 1 },
    byHand: { kind: 'pgPoolNamed', address, max: 1 },
  };
  try {
    const rules = { rounds: TRANSACTION_ROUNDS, load: TRANSACTION, warmSeconds: 1 };
    const tripMillis = await roundTripMillis(address);
    const found = await withTeams(sides, (teams) => contest(teams, rules, (text) => say(`transactions, ${text}`)));
    return { tripMillis, found };
  } finally {
    await way.close();
  }
}

type Reads = Record<Reader, number[]>;

/** Reads per second. Those of libpq are none where pgbench is not installed. */
async function readsAt(address: Address, say: Say): Promise<Reads> {
  const pgbench = await Pgbench.find();
  const sides: Record<'ours' | 'pipelined', ContenderOptions> = {
    ours: { kind: 'ours', address, max: MAX },
    pipelined: { kind: 'pipelined', address, max: RAW_CLIENTS },
  };
  const batch = { connections: RAW_CLIENTS, depth: READ.callers / RAW_CLIENTS, seconds: READ.seconds };
  try {
    const readings = await withTeams(sides, async ({ ours, pipelined }) => {
      const rate = async (team: Team): Promise<number[]> => [(await team.load(READ)).perSecond];
      const libpq = async (): Promise<number[]> => (pgbench ? [await pgbench.read(address, batch)] : []);
      const inTurn = { ours: () => rate(ours), pipelined: () => rate(pipelined), libpq };
      await interleave(1, inTurn); // Connections open, and code is compiled.
      return await interleave(READ_ROUNDS, inTurn, (text) => say(`reads, ${text}`));
    });
    return { ours: readings.ours.flat(), pipelined: readings.pipelined.flat(), libpq: readings.libpq.flat() };
  } finally {
    await pgbench?.close();
  }
}

function findingsOf({ found, tripMillis }: Transactions, reads: Reads): Findings {
  const installed = reads.libpq.length > 0;
  const times = (way: Way): number[] => found[way].map(({ p50Millis }) => p50Millis);
  const transactionFigures = (way: Way): Figures => figuresOf(found[way], 'transaction');
  return {
    ratios: ratiosOf(times('ours'), times('pipelined')),
    unit: 'transactions and reads per second, µs of CPU of the asking process for each, milliseconds (medians)',
    ours: { ...transactionFigures('ours'), 'read.perSecond': median(reads.ours) },
    peers: {
      'pg pipelined': { ...transactionFigures('pipelined'), 'read.perSecond': median(reads.pipelined) },
      'pg by hand': transactionFigures('byHand'),
      ...(installed ? { 'libpq pipelined': { 'read.perSecond': median(reads.libpq) } } : {}),
    },
    also: [
      {
        name: 'vsRaw',
        value: median(ratiosOf(reads.ours, reads.pipelined)),
        target: { bound: 'at least', value: 0.8 },
        unit: 'reads, ours ÷ pg pipelined',
      },
    ],
    extra: {
      ...(installed ? { vsLibpq: median(ratiosOf(reads.ours, reads.libpq)) } : {}),
      vsByHand: median(ratiosOf(times('ours'), times('byHand'))),
      roundTripMillis: tripMillis,
    },
    notes: [...NOTES, ...(installed ? [] : ['libpq: NOT MEASURED, because pgbench is not installed here.'])],
  };
}

const NOTES = [
  `transaction: one caller, ${DELAY_MILLIS} ms for each round trip, so p50Millis is the time of one. pg pipelined sends BEGIN, SET LOCAL and the first statement at once, then the second, then COMMIT; pg by hand, on pg-pool, waits for each.`,
  `read: ${READ.callers} callers without delay. Ours has a pool of ${MAX}; pg pipelined ${RAW_CLIENTS} clients; libpq pipelined is pgbench with ${RAW_CLIENTS} connections and ${READ.callers / RAW_CLIENTS} statements in a pipeline, all under one Sync: the server is asked for less, and the client, in C, looks at no answer.`,
];
