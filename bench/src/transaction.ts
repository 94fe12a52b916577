import fastifyPostgres from '@fastify/postgres';
import { createPool, type LifeguardPool, type Transaction } from '@lifeguard/core';
import { type ConnectionParameters, type PostgresServer, startPostgres } from '@lifeguard/testkit';
import fastify from 'fastify';
import type pg from 'pg';
import PgPool from 'pg-pool';
import type { Benchmark, Figures, Findings, Say } from './benchmark.ts';
import { closedLoop, type Throughput } from './closed-loop.ts';
import { roundTripMillis, startFarServer } from './far-server.ts';
import { inTransaction } from './hand-written.ts';
import { interleave, ratiosOf } from './interleave.ts';
import { median } from './statistics.ts';
import { PEER_TIMEOUTS, type PeerPool } from './stub-client.ts';

const ROUNDS = 9;
const SECONDS = 1;
const CALLERS = 8;
const MAX = 8;
const DELAY_MILLIS = 1;
const TIMEOUT_MILLIS = 5_000;
const ROWS = 10_000;

const READ = 'select balance from account where id = $1';
const WRITE = 'update account set balance = $2 where id = $1';
const NAMED = { read: { name: 'read', text: READ }, write: { name: 'write', text: WRITE } } as const;

/** Two statements, the second with a value of the first. */
interface Service {
  request(id: number): Promise<unknown>;
  close(): Promise<unknown>;
}

type Side = 'ours' | 'oursLast' | 'oursNamed' | 'handWritten' | 'handWrittenNamed' | 'fastify' | 'fastifyNamed';
type Readings = Record<Side, Throughput[]>;

export const transaction: Benchmark = {
  name: 'transaction',
  question:
    'How many transactions of two dependent statements, under a time limit, get through at 1 ms of network delay?',
  ratioOf: 'ours ÷ hand-written pg (the better of its two forms), plain code, 1 ms per round trip',
  target: { bound: 'at least', value: 1.5 },
  run,
};

async function run(say: Say): Promise<Findings> {
  const server = await startPostgres();
  const way = await startFarServer(server.connection(), DELAY_MILLIS);
  try {
    await fill(server);
    const trips = { far: await roundTripMillis(way.connection()), near: await roundTripMillis(server.connection()) };
    const far = await measure(way.connection(), (text) => say(`at ${DELAY_MILLIS} ms, ${text}`));
    const near = await measure(server.connection(), (text) => say(`at 0 ms, ${text}`));
    return findingsOf(far, near, trips);
  } finally {
    await way.close();
    await server.stop();
  }
}

function findingsOf(far: Readings, near: Readings, trips: Record<'far' | 'near', number>): Findings {
  const figures = (sides: Readonly<Record<string, Side>>): Figures => sideFigures({ far, near }, sides);
  return {
    ratios: ratiosOf(rates(far.ours), best(far, 'handWritten')),
    unit: 'transactions per second, µs of CPU of this process (medians)',
    ours: figures({ plain: 'ours', withLast: 'oursLast', named: 'oursNamed' }),
    peers: {
      'hand-written pg': figures({ plain: 'handWritten', named: 'handWrittenNamed' }),
      '@fastify/postgres': figures({ plain: 'fastify', named: 'fastifyNamed' }),
    },
    also: [
      further('withLast', ratio(far, 'oursLast', 'handWritten'), 2.2),
      further('atZero', ratio(near, 'ours', 'handWritten'), 1.3),
    ],
    extra: {
      named: ratio(far, 'oursNamed', 'handWritten'),
      atZeroWithLast: ratio(near, 'oursLast', 'handWritten'),
      atZeroNamed: ratio(near, 'oursNamed', 'handWritten'),
      atZeroBothPlain: median(ratiosOf(rates(near.ours), rates(near.handWritten))),
      vsFastify: ratio(far, 'ours', 'fastify'),
      vsFastifyWithLast: ratio(far, 'oursLast', 'fastify'),
      vsFastifyAtZero: ratio(near, 'ours', 'fastify'),
      'roundTripMillis.far': trips.far,
      'roundTripMillis.near': trips.near,
    },
    notes: NOTES,
  };
}

const NOTES = [
  `${CALLERS} callers who never pause, ${MAX} connections each. far: ${DELAY_MILLIS} ms for each round trip (not for each direction), near: none; roundTripMillis says what a statement took in truth.`,
  'All send the same two statements. plain: as text with values; named: prepared; withLast: plain, and the second one by tx.last(). Ratios are to the better form of a peer; atZeroBothPlain is not.',
  'near shares its cores with the server, so the server’s own work is part of every figure there. The CPU of far includes the threads that make the delay.',
];

function further(name: string, value: number, least: number): NonNullable<Findings['also']>[number] {
  return { name, value, target: { bound: 'at least', value: least }, unit: 'ours ÷ hand-written' };
}

function sideFigures(where: Record<'far' | 'near', Readings>, sides: Readonly<Record<string, Side>>): Figures {
  const rows = Object.entries(where).flatMap(([place, readings]) =>
    Object.entries(sides).flatMap(([form, side]): [string, number][] => [
      [`${place}.${form}`, median(rates(readings[side]))],
      [`${place}.${form}.cpuMicros`, median(readings[side].map(({ cpuMicros }) => cpuMicros))],
    ]),
  );
  return Object.fromEntries(rows);
}

type Peer = 'handWritten' | 'fastify';

function ratio(readings: Readings, ours: 'ours' | 'oursLast' | 'oursNamed', peer: Peer): number {
  return median(ratiosOf(rates(readings[ours]), best(readings, peer)));
}

/** With and without named statements: the better counts. */
function best(readings: Readings, peer: Peer): number[] {
  const [plain, named] = [rates(readings[peer]), rates(readings[`${peer}Named`])];
  return median(plain) > median(named) ? plain : named;
}

function rates(readings: readonly Throughput[]): number[] {
  return readings.map(({ perSecond }) => perSecond);
}

async function fill(server: PostgresServer): Promise<void> {
  // Room on each page, so that an update stays on it and the table as it is.
  await server.query('create table account (id int primary key, balance int not null) with (fillfactor = 50)');
  await server.query(`insert into account select id, 0 from generate_series(1, ${ROWS}) id`);
  await server.query('vacuum analyze account');
}

async function measure(target: ConnectionParameters, say: Say): Promise<Readings> {
  const services = await openServices(target);
  const load = (service: Service, seconds: number) => () => {
    const request = (): Promise<unknown> => service.request(1 + Math.floor(Math.random() * ROWS));
    return closedLoop({ callers: CALLERS, seconds, request });
  };
  // The compiler watches before it optimises, and the connections are opened.
  for (const service of Object.values(services)) await load(service, SECONDS)();
  const sides = Object.entries(services).map(([side, service]) => [side, load(service, SECONDS)]);
  try {
    return await interleave(ROUNDS, Object.fromEntries(sides) as Record<Side, () => Promise<Throughput>>, say);
  } finally {
    for (const service of Object.values(services)) await service.close();
  }
}

async function openServices(target: ConnectionParameters): Promise<Record<Side, Service>> {
  const options = { ...target, max: MAX };
  return {
    ours: ourService(createPool(options), plainly),
    oursLast: ourService(createPool(options), withLast),
    oursNamed: ourService(createPool(options), plainlyByName),
    handWritten: handWritten(new PgPool({ ...options, ...PEER_TIMEOUTS }), byText),
    handWrittenNamed: handWritten(new PgPool({ ...options, ...PEER_TIMEOUTS }), byName),
    fastify: await fastifyService({ ...options, ...PEER_TIMEOUTS }, byText),
    fastifyNamed: await fastifyService({ ...options, ...PEER_TIMEOUTS }, byName),
  };
}

function ourService(pool: LifeguardPool, work: (tx: Transaction, id: number) => Promise<unknown>): Service {
  return {
    request: (id) => pool.transaction((tx) => work(tx, id), { timeoutMillis: TIMEOUT_MILLIS }),
    close: () => pool.close(),
  };
}

async function plainly(tx: Transaction, id: number): Promise<unknown> {
  const { rows } = await tx.query<Account>(READ, [id]);
  return await tx.query(WRITE, [id, after(rows)]);
}

async function withLast(tx: Transaction, id: number): Promise<unknown> {
  const { rows } = await tx.query<Account>(READ, [id]);
  return await tx.last(WRITE, [id, after(rows)]);
}

async function plainlyByName(tx: Transaction, id: number): Promise<unknown> {
  const { rows } = await tx.query<Account>({ ...NAMED.read, values: [id] });
  return await tx.query({ ...NAMED.write, values: [id, after(rows)] });
}

interface Account {
  readonly balance: number;
}

function after(rows: readonly Account[]): number {
  return (rows[0]?.balance ?? 0) + 1;
}

type PeerWork = (client: pg.ClientBase, id: number) => Promise<unknown>;

async function byText(client: pg.ClientBase, id: number): Promise<unknown> {
  await client.query(`SET LOCAL statement_timeout = ${TIMEOUT_MILLIS}`);
  const { rows } = await client.query<Account>(READ, [id]);
  return await client.query(WRITE, [id, after(rows)]);
}

async function byName(client: pg.ClientBase, id: number): Promise<unknown> {
  await client.query(`SET LOCAL statement_timeout = ${TIMEOUT_MILLIS}`);
  const { rows } = await client.query<Account>({ ...NAMED.read, values: [id] });
  return await client.query({ ...NAMED.write, values: [id, after(rows)] });
}

function handWritten(pool: PeerPool, work: PeerWork): Service {
  return {
    request: (id) => inTransaction(pool, (client) => work(client, id)),
    close: () => pool.end(),
  };
}

async function fastifyService(options: pg.PoolConfig, work: PeerWork): Promise<Service> {
  const app = fastify();
  await app.register(fastifyPostgres, options);
  await app.ready();
  return { request: (id) => app.pg.transact((client) => work(client, id)), close: () => app.close() };
}
