/** `node cls-awaits-main.ts none|ours|theirs`: what an await costs in a process that uses this, as JSON. */
import type { Namespace } from '@lifeguard/cls';
import { median } from './statistics.ts';

/** Nanoseconds per await. */
export interface Awaits {
  /** In code that has nothing to do with contexts, in a process that has used one. */
  readonly outside: number;
  readonly inside: number;
}

const AWAITS = 200_000;
const REPEATS = 5;

const side = process.argv[2];
const namespace = await openNamespace();
namespace?.run(() => namespace.set('key', 1));
const outside = await nanosPerAwait();
const inside = namespace === undefined ? outside : await namespace.runPromise(nanosPerAwait);
process.stdout.write(JSON.stringify({ outside, inside } satisfies Awaits));

async function openNamespace(): Promise<Namespace | undefined> {
  if (side === 'none') return undefined;
  const name = side === 'ours' ? '@lifeguard/cls' : 'cls-hooked';
  const { createNamespace } = (await import(name)) as typeof import('@lifeguard/cls');
  return createNamespace('bench');
}

/** The first round is for the compiler. */
async function nanosPerAwait(): Promise<number> {
  await awaits();
  const rounds: number[] = [];
  while (rounds.length < REPEATS) {
    const start = process.hrtime.bigint();
    await awaits();
    rounds.push(Number(process.hrtime.bigint() - start) / AWAITS);
  }
  return median(rounds);
}

async function awaits(): Promise<void> {
  for (let done = 0; done < AWAITS; done += 1) await undefined;
}
