import { setTimeout as pause } from 'node:timers/promises';
import { createPool, type LifeguardPool } from '@lifeguard/core';
import { type PostgresServer, startPostgres } from '@lifeguard/testkit';
import type pg from 'pg';
import PgPool from 'pg-pool';
import type { Benchmark, Figures, Findings, Say } from './benchmark.ts';
import { interleave, ratiosOf } from './interleave.ts';
import { median, medians } from './statistics.ts';
import { PEER_TIMEOUTS, type PeerPool } from './stub-client.ts';

const ROUNDS = 9;
const WRITERS = 32;
const ROWS = 4;
/** Of each writer, one after the other. */
const DEEDS = 5;
/** The first one included: our default. */
const ATTEMPTS = 10;
const CONFLICTS: ReadonlySet<unknown> = new Set(['40001', '40P01']);

const READ = 'select balance from account where id = $1';
const WRITE = 'update account set balance = $2 where id = $1';

/** Reads a row and writes it back, one higher, and counts its attempts. */
interface Writer {
  add(id: number, tried: () => void): Promise<unknown>;
  close(): Promise<unknown>;
}

type Reading = Record<'wallMillis' | 'attempts' | 'failures', number>;
type Side = 'ours' | 'oursOfTen' | 'fixed10' | 'fixed50' | 'fixed10OfTen';
type Readings = Record<Side, Reading[]>;

export const contention: Benchmark = {
  name: 'contention',
  question: 'How long do 32 writers take over 4 rows at serializable, when whoever loses tries again?',
  ratioOf: 'wall time, ours ÷ hand-written pg with the better of its fixed pauses',
  target: undefined,
  run,
};

async function run(say: Say): Promise<Findings> {
  const server = await startPostgres();
  await server.query('create table account (id int primary key, balance int not null) with (fillfactor = 50)');
  await server.query(`insert into account select id, 0 from generate_series(1, ${ROWS}) id`);
  const writers = openWriters(server);
  const sides = Object.entries(writers).map(([side, writer]) => [side, () => measure(writer)]);
  const reading = Object.fromEntries(sides) as Record<Side, () => Promise<Reading>>;
  try {
    await interleave(2, reading); // Connections open, and code is compiled.
    const before = await sum(server);
    const found = await interleave(ROUNDS, reading, say);
    return findingsOf(found, { lost: lostUpdates(found, (await sum(server)) - before) });
  } finally {
    await Promise.all(Object.values(writers).map((writer) => writer.close()));
    await server.stop();
  }
}

function findingsOf(found: Readings, extra: Figures): Findings {
  const best = median(walls(found.fixed10)) < median(walls(found.fixed50)) ? found.fixed10 : found.fixed50;
  return {
    ratios: ratiosOf(walls(found.ours), walls(best)),
    unit: 'milliseconds, attempts and failures of one round (medians)',
    ours: { ...medians(found.ours), ...prefixed('of10', found.oursOfTen) },
    peers: {
      'pg, 10 ms': { ...medians(found.fixed10), ...prefixed('of10', found.fixed10OfTen) },
      'pg, 50 ms': medians(found.fixed50),
    },
    extra: {
      ...extra,
      of10Ratio: median(ratiosOf(walls(found.oursOfTen), walls(found.fixed10OfTen))),
      failuresOfOurs: total(found.ours),
      failuresAt10: total(found.fixed10),
      failuresAt50: total(found.fixed50),
    },
    notes: [
      `${WRITERS} writers, each with a connection of its own, do ${DEEDS} read-modify-writes on one of ${ROWS} rows at random: ${WRITERS * DEEDS} deeds in a round, ${ATTEMPTS} attempts at most for each. failures: deeds given up; failuresOf… are of all rounds.`,
      'Ours with its default retry (full jitter); by hand with the same attempts and a pause that is always the same. of10: the same on 10 connections, the default.',
      'A side that gives up deeds has less to do: read its wall time with its failures. lost: updates that were confirmed and are not in the table.',
    ],
  };
}

function prefixed(prefix: string, readings: readonly Reading[]): Figures {
  return Object.fromEntries(Object.entries(medians(readings)).map(([name, value]) => [`${prefix}.${name}`, value]));
}

function walls(readings: readonly Reading[]): number[] {
  return readings.map(({ wallMillis }) => wallMillis);
}

function total(readings: readonly Reading[]): number {
  return readings.reduce((all, { failures }) => all + failures, 0);
}

function lostUpdates(found: Readings, added: number): number {
  const all = Object.values(found).flat();
  return all.length * WRITERS * DEEDS - total(all) - added;
}

async function sum(server: PostgresServer): Promise<number> {
  const [row] = await server.query<{ sum: number }>('select sum(balance)::int as sum from account');
  return row?.sum ?? Number.NaN;
}

async function measure(writer: Writer): Promise<Reading> {
  let [attempts, failures] = [0, 0];
  const since = performance.now();
  const one = async (): Promise<void> => {
    for (let done = 0; done < DEEDS; done += 1) {
      const id = 1 + Math.floor(Math.random() * ROWS);
      await writer
        .add(id, () => {
          attempts += 1;
        })
        .catch((error: unknown) => {
          if (!isConflict(error)) throw error;
          failures += 1;
        });
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, one));
  return { wallMillis: performance.now() - since, attempts, failures };
}

function openWriters(server: PostgresServer): Record<Side, Writer> {
  const ours = (max: number): Writer => ourWriter(createPool({ ...server.connection(), max }));
  const byHand = (max: number, millis: number): Writer =>
    handWritten(new PgPool({ ...server.connection(), ...PEER_TIMEOUTS, max }), millis);
  return {
    ours: ours(WRITERS),
    oursOfTen: ours(10),
    fixed10: byHand(WRITERS, 10),
    fixed50: byHand(WRITERS, 50),
    fixed10OfTen: byHand(10, 10),
  };
}

function ourWriter(pool: LifeguardPool): Writer {
  return {
    add: (id, tried) =>
      pool.transaction(
        async (tx) => {
          tried();
          const { rows } = await tx.query<Account>(READ, [id]);
          await tx.query(WRITE, [id, after(rows)]);
        },
        { isolation: 'serializable' },
      ),
    close: () => pool.close(),
  };
}

function handWritten(pool: PeerPool, pauseMillis: number): Writer {
  return {
    async add(id, tried) {
      for (let attempt = 1; ; attempt += 1) {
        tried();
        try {
          return await addByHand(pool, id);
        } catch (error) {
          if (attempt === ATTEMPTS || !isConflict(error)) throw error;
          await pause(pauseMillis);
        }
      }
    },
    close: () => pool.end(),
  };
}

async function addByHand(pool: PeerPool, id: number): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN ISOLATION LEVEL SERIALIZABLE');
    await rewrite(client, id);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}

async function rewrite(client: pg.ClientBase, id: number): Promise<void> {
  const { rows } = await client.query<Account>(READ, [id]);
  await client.query(WRITE, [id, after(rows)]);
}

interface Account {
  readonly balance: number;
}

function after(rows: readonly Account[]): number {
  return (rows[0]?.balance ?? 0) + 1;
}

function isConflict(error: unknown): boolean {
  return CONFLICTS.has((error as { code?: unknown }).code);
}
