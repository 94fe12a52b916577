import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Real time that must pass, because a server's or a program's own clock is what is tested. The reason is said at the
 * call; whatever can be waited for is waited for instead (`waitUntil`).
 */
export async function passes(millis: number, why: string): Promise<void> {
  if (why === '') throw new Error('Say why time must pass.');
  await sleep(millis);
}
