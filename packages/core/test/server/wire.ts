import { type ConnectionParameters, type Message, startProxy } from '@lifeguard/testkit';
import { onTestFinished } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, PoolOptions } from '../../src/index.ts';
import { Notes, openPool } from './rig.ts';

/** What some work cost on the wire between the pool and whatever it talks to. */
export interface Cost {
  /** How often it asked and was then answered: the changes of direction. */
  readonly trips: number;
  /** Packets in each direction. */
  readonly sent: number;
  readonly received: number;
  /** Groups of messages that ask for an answer (Sync, or a simple query), and their ends (ReadyForQuery). */
  readonly asked: number;
  readonly answered: number;
}

/** A pool of one connection, whose messages are counted. */
export interface Wire {
  readonly pool: LifeguardPool;
  /** The texts that were sent by the last work: those to be parsed, and simple queries. */
  readonly texts: readonly string[];
  cost(work: () => Promise<unknown>): Promise<Cost>;
}

/** So many round trips, each of one packet there and one back. */
export function trips(count: number): Cost {
  return { trips: count, sent: count, received: count, asked: count, answered: count };
}

export async function wiretap(target: ConnectionParameters, options: PoolOptions = {}): Promise<Wire> {
  const messages: Message[] = [];
  const proxy = await startProxy(target, {
    onMessage: (message) => {
      // A copy: the bytes of the proxy's buffer are its own.
      messages.push({ ...message, body: Buffer.from(message.body) });
      return undefined;
    },
  });
  onTestFinished(() => proxy.close());
  const pool = openPool(proxy.connection(), { max: 1, logger: new Notes(), ...options });
  const texts: string[] = [];
  const cost = async (work: () => Promise<unknown>): Promise<Cost> => {
    await pool.query('select 1');
    messages.length = 0;
    proxy.resetCounts();
    await work();
    texts.splice(0, texts.length, ...messages.flatMap(textOf));
    const { roundTrips, toServer, toClient } = proxy.counts();
    const asked = messages.filter(({ from, type }) => from === 'client' && 'QS'.includes(type)).length;
    const answered = messages.filter(({ from, type }) => from === 'server' && type === 'Z').length;
    return { trips: roundTrips, sent: toServer.packets, received: toClient.packets, asked, answered };
  };
  return { pool, texts, cost };
}

/** Of Parse it is the second string, of Query the only one. */
function textOf({ from, type, body }: Message): string[] {
  const strings = body.toString().split('\0');
  if (from !== 'client') return [];
  if (type === 'P') return [strings[1] ?? ''];
  return type === 'Q' ? [strings[0] ?? ''] : [];
}
