/** The alarm clock of `far-line.ts`: a thread that only sleeps. Node's timers know whole milliseconds; this knows parts of them. */
import { type MessagePort, workerData } from 'node:worker_threads';

/** Instants to wake at, in the order in which they come; a ring that one thread fills and one empties. */
export interface Alarms {
  readonly due: Float64Array<SharedArrayBuffer>;
  /** How many were ever set. */
  readonly set: Int32Array<SharedArrayBuffer>;
  readonly port: MessagePort;
}

/** On the clock that all threads share. */
export function nowMillis(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

const alarms = workerData as Alarms | undefined;
if (alarms?.due !== undefined) ring(alarms);

function ring({ due, set, port }: Alarms): never {
  const never = new Int32Array(new SharedArrayBuffer(4));
  for (let rung = 0; ; rung += 1) {
    while (Atomics.load(set, 0) === rung) Atomics.wait(set, 0, rung);
    const at = due[rung % due.length] as number;
    // Never early: a piece that is not due yet when it rings would lie there until the next one rings.
    for (let left = at - nowMillis(); left > 0; left = at - nowMillis()) Atomics.wait(never, 0, 0, left);
    port.postMessage(undefined);
  }
}
