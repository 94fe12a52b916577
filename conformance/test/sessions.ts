import { type Host, type Library, openHost, type Session } from '@lifeguard/conformance';
import type { Database } from '@lifeguard/testkit';
import { onTestFinished } from '@lifeguard/testkit/vitest';

/** Several libraries on one pool of ten, which is in no hurry; they end with the test. */
export async function openAll(
  database: Database,
  libraries: readonly Library[],
): Promise<Host & { readonly sessions: readonly Session[] }> {
  const host = await openHost(database, { max: 10, acquireTimeoutMillis: 0, overload: false });
  const sessions = await Promise.all(libraries.map((library) => library.open(host)));
  onTestFinished(async () => {
    for (const session of sessions) await session.close();
    await host.pool.close({ graceMillis: 0 });
  });
  return { ...host, sessions };
}
