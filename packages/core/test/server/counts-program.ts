/**
 * A program of its own, because a test runner's promises and timers are not to be counted: prints as JSON what each deed
 * costs, for the pool or by hand on pg-pool. `PGHOST=… node --conditions=@lifeguard/source counts-program.ts ours|byHand`
 */
import { promiseHooks } from 'node:v8';
import pg from 'pg';
import { createPool } from '../../src/index.ts';
import { DEEDS, type Deed } from './counts-deeds.ts';
import { Lockstep, type Passage } from './counts-socket.ts';
import type { Row } from './counts-table.ts';
import { StillTime } from './counts-time.ts';

/** Enough for all texts to be known on all connections. */
const WARM_UP = 32;
/** A mean of so many is a whole number, unless something happens now and then. */
const REPEATS = 100;
const CONNECTIONS = 10;

interface Counted {
  readonly promises: number;
  readonly timers: number;
  readonly passage: Passage;
}

const time = new StillTime();
const lockstep = new Lockstep();
const nothing = Promise.resolve();

time.install();
const rows = await (process.argv[2] === 'byHand' ? countByHand() : countOurs());
process.stdout.write(JSON.stringify(rows), () => process.exit());

/** One pool after the other, so that they never have more connections than one of them. */
async function countOurs(): Promise<Row[]> {
  const counted: Row[] = [];
  for (const [options, deeds] of Map.groupBy(DEEDS, (deed) => deed.options)) {
    const stream = (): unknown => lockstep.socket();
    const pool = createPool({ min: CONNECTIONS, max: CONNECTIONS, stream, ...options });
    await pool.ready();
    counted.push(...(await countAll(deeds, (deed) => deed.ours(pool))));
    await pool.close();
  }
  return counted;
}

async function countByHand(): Promise<Row[]> {
  const pool = new pg.Pool({ max: CONNECTIONS, stream: () => lockstep.socket() });
  const deeds = DEEDS.filter(({ options }) => options === undefined);
  return countAll(deeds, (deed) => deed.byHand(pool));
}

async function countAll(deeds: readonly Deed[], does: (deed: Deed) => Promise<unknown>): Promise<Row[]> {
  const own = await count(() => nothing);
  const counted: Row[] = [];
  for (const deed of deeds) {
    const { promises, ...rest } = await count(() => does(deed));
    counted.push(rowOf(deed.name, { ...rest, promises: promises - own.promises }));
  }
  return counted;
}

/** What is still under way when a deed is through falls to the next one: into the first of all, and out of the last. */
async function count(deed: () => Promise<unknown>): Promise<Counted> {
  for (let done = 0; done < WARM_UP; done += 1) await deed();
  lockstep.reset();
  const before = time.made;
  let promises = 0;
  const stop = promiseHooks.onInit(() => {
    promises += 1;
  });
  for (let done = 0; done < REPEATS; done += 1) await deed();
  stop();
  return { promises, timers: time.made - before, passage: lockstep.passage };
}

function rowOf(name: string, { promises, timers, passage }: Counted): Row {
  const { trips, packets, writes, sent, received } = passage;
  const sums = Object.entries({ trips, packets, writes, sent, received, timers, promises });
  const messages = [...passage.messages].map(([type, sum]) => `${sum / REPEATS}${type}`).join(' ');
  return { name, ...Object.fromEntries(sums.map(([figure, sum]) => [figure, sum / REPEATS])), messages } as Row;
}
