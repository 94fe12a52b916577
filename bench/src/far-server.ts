import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { ConnectionParameters } from '@lifeguard/testkit';
import pg from 'pg';
import { median } from './statistics.ts';

/** A server at the end of a longer way. */
export interface FarServer {
  connection(): ConnectionParameters;
  close(): Promise<unknown>;
}

/**
 * Puts a delay before a server: so many milliseconds for each round trip, all of them on the way back, because Node's
 * timers know no halves. Whatever is under way at the same time is delayed at the same time.
 */
export async function startFarServer(target: ConnectionParameters, delayMillis: number): Promise<FarServer> {
  const { host, port } = target;
  const worker = new Worker(new URL('./far-line.ts', import.meta.url), { workerData: { host, port, delayMillis } });
  const [place] = (await once(worker, 'message')) as [{ port: number }];
  return { connection: () => ({ ...target, port: place.port }), close: () => worker.terminate() };
}

/** What a round trip takes in truth, the server's work for the least statement included. */
export async function roundTripMillis(target: ConnectionParameters): Promise<number> {
  const client = new pg.Client(target);
  await client.connect();
  const millis: number[] = [];
  while (millis.length < 200) {
    const since = performance.now();
    await client.query('select 1');
    millis.push(performance.now() - since);
  }
  await client.end();
  return median(millis);
}
