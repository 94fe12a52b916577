import { type ConnectionParameters, type Message, startProxy } from '@lifeguard/testkit';
import { onTestFinished } from '@lifeguard/testkit/vitest';
import type { LifeguardPool, PoolOptions } from '../../src/index.ts';
import { Notes, openPool } from './rig.ts';

/** A pool whose messages to the server can be read. */
export interface Overheard {
  readonly pool: LifeguardPool;
  /** What some work sent: one letter a message, as in the protocol, and `*` behind it where it bears a name of ours. */
  during(work: () => Promise<unknown>): Promise<string>;
  /** All names of prepared statements so far. */
  readonly names: ReadonlySet<string>;
}

export async function overhear(
  target: ConnectionParameters,
  options: PoolOptions = {},
  isLost: (message: Message) => boolean = () => false,
): Promise<Overheard> {
  const names = new Set<string>();
  let said = '';
  const proxy = await startProxy(target, {
    onMessage: (message) => {
      if (message.from !== 'client') return undefined;
      const name = nameIn(message);
      if (name !== '') names.add(name);
      said += name.startsWith('lg_') ? `${message.type}*` : message.type;
      return isLost(message) ? 'drop' : undefined;
    },
  });
  onTestFinished(() => proxy.close());
  const pool = openPool(proxy.connection(), { logger: new Notes(), ...options });
  const during = async (work: () => Promise<unknown>): Promise<string> => {
    said = '';
    await work();
    return said;
  };
  return { pool, during, names };
}

/** Parse begins with the name; before it Describe and Close have a letter, and Bind has a portal. */
function nameIn({ type, body }: Message): string {
  const [first = '', second = ''] = body.toString('latin1').split('\0');
  if (type === 'P') return first;
  if (type === 'B') return second;
  return (type === 'D' || type === 'C') && first.startsWith('S') ? first.slice(1) : '';
}

/** One after another. */
export async function repeat(times: number, work: (use: number) => Promise<unknown>): Promise<void> {
  for (let use = 1; use <= times; use += 1) await work(use);
}
