import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  /** What is awaited, for the message of the failure: `3 idle backends`. */
  readonly what: string;
  /** Milliseconds until it fails; 5,000 by default. */
  readonly timeoutMillis?: number;
  /** Milliseconds between two looks; 10 by default. */
  readonly everyMillis?: number;
}

type Falsy = false | undefined | null | 0 | '';

/** Looks again and again until the condition answers something true, and returns that. */
export async function waitUntil<T>(
  condition: () => T | Promise<T>,
  { what, timeoutMillis = 5_000, everyMillis = 10 }: WaitOptions,
): Promise<Exclude<T, Falsy>> {
  const end = performance.now() + timeoutMillis;
  for (;;) {
    const answer = await condition();
    if (answer) return answer as Exclude<T, Falsy>;
    if (performance.now() >= end) throw new Error(`Waited ${timeoutMillis} ms in vain for ${what}.`);
    await sleep(everyMillis);
  }
}
