import * as net from 'node:net';
import * as tls from 'node:tls';
import type { Clock } from '../clock.ts';
import type { PgConnection } from './pg-connection.ts';
import type { PgClient } from './pg-subset.ts';

/**
 * Sends CancelRequest and resolves when the server has closed that connection: only then has the request been passed
 * on. It travels to the address of the connection itself and not to a name that may mean another server by now, and
 * encrypted where the connection is: it carries the secret key.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
 */
async function sendCancel(connection: PgConnection): Promise<void> {
  const { client } = connection;
  const { processID, secretKey } = client;
  if (processID === null || secretKey === null) throw new Error('The server gave no key to cancel with.');
  const socket = await open(client, connection.session.address);
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject).once('close', () => resolve());
    socket.resume();
    // It may have been answered while we dialled, and what runs by now is somebody else's.
    if (connection.kind !== 'running') return void socket.destroy();
    const giveUp = (): void => reject(leftAlone(socket));
    patient(socket, PATIENCE_MILLIS, giveUp);
    // Once the statement is over there is nothing to cancel, and a server that does not answer would keep us for long.
    void connection.quiet().then(() => patient(socket, AFTERWARDS_MILLIS, giveUp));
    // Not `end`: to PgBouncer a client that has half closed has gone, and 1.18 dies of it. The server closes.
    socket.write(cancelRequest(processID, secretKey));
  });
}

/**
 * Nobody waits for it any more, and nobody hangs up: PgBouncer 1.18 also dies of a client that has gone while its request
 * waits for a turn. It ends such requests by itself after `cancel_wait_timeout`, 10 s by default.
 * https://www.pgbouncer.org/config.html#cancel_wait_timeout
 */
function leftAlone(socket: net.Socket): Error {
  patient(socket.unref(), KEPT_MILLIS, () => socket.destroy());
  return new Error('The server did not take the cancel request in time.');
}

function patient(socket: net.Socket, millis: number, then: () => void): void {
  socket.removeAllListeners('timeout').setTimeout(millis, then);
}

async function open(client: PgClient, address: net.NetConnectOpts): Promise<net.Socket> {
  const socket = limited(net.connect(address));
  try {
    await settled(socket, 'connect');
    return client.ssl ? await encrypted(client, socket) : socket;
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function limited<Socket extends net.Socket>(socket: Socket): Socket {
  socket.setTimeout(PATIENCE_MILLIS, () =>
    socket.destroy(new Error('The server did not take the cancel request in time.')),
  );
  return socket;
}

async function encrypted(client: PgClient, socket: net.Socket): Promise<net.Socket> {
  const isDirect = client.sslNegotiation === 'direct';
  if (!isDirect) await askForTls(socket);
  const secure = limited(
    tls.connect({
      ...(typeof client.ssl === 'object' ? client.ssl : {}),
      // pg hides the key from whoever prints it, and so from a spread.
      ...(typeof client.ssl === 'object' && 'key' in client.ssl ? { key: client.ssl.key as string } : {}),
      socket,
      host: client.host,
      ...(net.isIP(client.host) === 0 ? { servername: client.host } : {}),
      ...(isDirect ? { ALPNProtocols: ['postgresql'] } : {}),
    }),
  );
  await settled(secure, 'secureConnect');
  return secure;
}

async function askForTls(socket: net.Socket): Promise<void> {
  const answer = new Promise<Buffer>((resolve, reject) => {
    socket
      .once('data', resolve)
      .once('error', reject)
      .once('close', () => reject(new Error('closed')));
  });
  socket.write(sslRequest());
  if ((await answer).toString('latin1') !== 'S') throw new Error('The server takes no encrypted cancel request.');
}

function settled(socket: net.Socket, event: 'connect' | 'secureConnect'): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve());
    socket.once('error', reject);
  });
}

const CANCEL_CODE = 80_877_102;
const SSL_CODE = 80_877_103;

function cancelRequest(processId: number, secretKey: number): Buffer {
  const message = Buffer.alloc(16);
  message.writeInt32BE(message.length, 0);
  message.writeInt32BE(CANCEL_CODE, 4);
  message.writeInt32BE(processId, 8);
  message.writeInt32BE(secretKey, 12);
  return message;
}

function sslRequest(): Buffer {
  const message = Buffer.alloc(8);
  message.writeInt32BE(message.length, 0);
  message.writeInt32BE(SSL_CODE, 4);
  return message;
}

/** Each request makes the server fork a process: a thousand callers who hang up must not become a thousand forks. */
const AT_A_TIME = 2;
const PATIENCE_MILLIS = 2_000;
/** A server that took the request closes at once: this is for one that does not. */
const AFTERWARDS_MILLIS = 200;
/** For a request that was left alone: longer than any pooler keeps it. */
const KEPT_MILLIS = 60_000;

/** By then the server has read the statement that was sent before the request; asked again at ever longer intervals. */
const FIRST_PAUSE_MILLIS = 50;

/** The cancel requests of one pool, a few at a time. */
export class Cancels {
  readonly #clock: Clock;
  /** Some poolers drop them. */
  readonly #arePassedOn: () => boolean;
  #underway = 0;
  readonly #next: (() => void)[] = [];

  constructor(clock: Clock, arePassedOn: () => boolean) {
    this.#clock = clock;
    this.#arePassedOn = arePassedOn;
  }

  /** Resolves when nothing runs any more. A request that overtakes its statement hits nothing, so it is repeated. */
  async stop(connection: PgConnection): Promise<void> {
    for (let pause = FIRST_PAUSE_MILLIS; connection.kind === 'running'; pause *= 2) {
      if (!this.#arePassedOn()) throw new Error('No cancel request gets through this pooler.');
      await this.#send(connection);
      await this.#quietFor(connection, pause);
    }
  }

  #quietFor(connection: PgConnection, millis: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(millis, resolve);
      void connection.quiet().then(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  async #send(connection: PgConnection): Promise<void> {
    if (this.#underway >= AT_A_TIME) await new Promise<void>((resolve) => this.#next.push(resolve));
    else this.#underway += 1;
    try {
      // While it waited for its turn the statement may have ended, or the connection.
      if (connection.kind === 'running') await sendCancel(connection);
    } finally {
      // The place is handed over: between giving it up and the next one's taking it, a third could come in.
      const next = this.#next.shift();
      if (next === undefined) this.#underway -= 1;
      else next();
    }
  }
}
