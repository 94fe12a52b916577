import { once } from 'node:events';
import { MessageChannel, Worker } from 'node:worker_threads';
import type { Dice } from './dice.ts';
import { type Alarms, nowMillis } from './pacer.ts';

export interface PacedLoad {
  readonly perSecond: number;
  readonly seconds: number;
  /** How many of the arrivals are slow ones. */
  readonly slowShare: number;
  readonly dice: Dice;
  readonly request: (slow: boolean) => Promise<unknown>;
}

/** Milliseconds from the scheduled arrival to the answer, of each that was answered. */
export interface Latencies {
  readonly fast: readonly number[];
  readonly slow: readonly number[];
  readonly failures: number;
}

interface Arrival {
  readonly dueAt: number;
  readonly slow: boolean;
}

/**
 * An open loop as `openLoop`, for latencies below a millisecond: a thread that only sleeps says when somebody arrives.
 * They arrive as users do, each without regard to the others (a Poisson process).
 */
export async function pacedLoop(load: PacedLoad): Promise<Latencies> {
  const { port1, port2 } = new MessageChannel();
  const capacity = Math.ceil(2 * load.perSecond * load.seconds) + 64;
  const alarms: Alarms = {
    due: new Float64Array(new SharedArrayBuffer(8 * capacity)),
    set: new Int32Array(new SharedArrayBuffer(4)),
    port: port2,
  };
  const pacer = new Worker(new URL('./pacer.ts', import.meta.url), { workerData: alarms, transferList: [port2] });
  await once(pacer, 'online');
  const arrivals = scheduleOf(load).slice(0, capacity);
  for (const [place, { dueAt }] of arrivals.entries()) alarms.due[place] = dueAt;
  const served = serve(arrivals, { port: port1, request: load.request });
  Atomics.store(alarms.set, 0, arrivals.length);
  Atomics.notify(alarms.set, 0);
  try {
    return await served;
  } finally {
    port1.close();
    await pacer.terminate();
  }
}

function scheduleOf({ perSecond, seconds, slowShare, dice }: PacedLoad): Arrival[] {
  const arrivals: Arrival[] = [];
  const startsAt = nowMillis() + LEAD_MILLIS;
  for (let dueAt = startsAt; dueAt < startsAt + seconds * 1_000; ) {
    arrivals.push({ dueAt, slow: dice() < slowShare });
    dueAt += (-Math.log(1 - dice()) * 1_000) / perSecond;
  }
  return arrivals;
}

type Gate = Pick<PacedLoad, 'request'> & { readonly port: MessageChannel['port1'] };

async function serve(arrivals: readonly Arrival[], { port, request }: Gate): Promise<Latencies> {
  const [fast, slow]: [number[], number[]] = [[], []];
  let failures = 0;
  const one = async (arrival: Arrival): Promise<void> => {
    await request(arrival.slow).then(
      () => (arrival.slow ? slow : fast).push(nowMillis() - arrival.dueAt),
      () => {
        failures += 1;
      },
    );
  };
  await new Promise<void>((resolve) => {
    const asked: Promise<void>[] = [];
    port.on('message', () => {
      for (const now = nowMillis(); (arrivals[asked.length]?.dueAt ?? now + 1) <= now; ) {
        asked.push(one(arrivals[asked.length] as Arrival));
      }
      if (asked.length === arrivals.length) void Promise.all(asked).then(() => resolve());
    });
  });
  return { fast, slow, failures };
}

/** Until the pacer has woken. */
const LEAD_MILLIS = 20;
