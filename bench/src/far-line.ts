/** The thread behind `far-server.ts`: it shares no turn of the loop, and no garbage collection, with what is measured. */
import { connect, createServer, type Socket } from 'node:net';
import { MessageChannel, parentPort, Worker, workerData } from 'node:worker_threads';
import { type Alarms, nowMillis } from './pacer.ts';

interface Way {
  readonly host: string;
  readonly port: number;
  readonly delayMillis: number;
}

interface Piece {
  readonly client: Socket;
  readonly bytes: Buffer;
  readonly due: number;
}

const { host, port, delayMillis } = workerData as Way;
const { port1, port2 } = new MessageChannel();
const alarms: Alarms = {
  due: new Float64Array(new SharedArrayBuffer(8 * 65_536)),
  set: new Int32Array(new SharedArrayBuffer(4)),
  port: port2,
};
const queue: Piece[] = [];

new Worker(new URL('./pacer.ts', import.meta.url), { workerData: alarms, transferList: [port2] });
port1.on('message', deliver);

const listener = createServer({ noDelay: true }, (client) => {
  const server = connect({ host, port, noDelay: true });
  client.on('data', (bytes) => server.write(bytes));
  server.on('data', (bytes: Buffer) => later(client, bytes));
  together(client, server);
});

/** All are late by the same time, so they leave in the order in which they came. */
function later(client: Socket, bytes: Buffer): void {
  const due = nowMillis() + delayMillis;
  queue.push({ client, bytes, due });
  const place = Atomics.load(alarms.set, 0);
  alarms.due[place % alarms.due.length] = due;
  Atomics.store(alarms.set, 0, place + 1);
  Atomics.notify(alarms.set, 0);
}

function deliver(): void {
  const now = nowMillis();
  while ((queue[0]?.due ?? Number.POSITIVE_INFINITY) <= now) {
    const piece = queue.shift();
    piece?.client.write(piece.bytes);
  }
}

function together(one: Socket, other: Socket): void {
  for (const socket of [one, other]) socket.on('error', () => undefined); // 'close' follows
  one.on('close', () => other.destroy());
  other.on('close', () => one.destroy());
}

listener.listen(0, '127.0.0.1', () => parentPort?.postMessage(listener.address()));
