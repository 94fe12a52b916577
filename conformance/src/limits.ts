import { expect, test } from '@lifeguard/testkit/vitest';
import { codesOf, errorOf } from './error-codes.ts';
import type { Library } from './library.ts';
import { playedOn, type Rig } from './rig.ts';

/** The limits of our transaction hold for its statements, and so do our retries. */
export function declareLimits(library: Library): void {
  test('the deadline of the transaction ends its statement', playedOn(library, deadline));
  test('a serialization failure is tried again from the start', playedOn(library, retry));
  if (library.transactions === 'none') return;
  test('a serialization failure in its own transaction is tried again as well', playedOn(library, retryOwn));
}

async function deadline({ pool, session, stored }: Rig): Promise<void> {
  let sleeping: Promise<unknown> = Promise.resolve();
  const whole = pool.transaction(
    async () => {
      await session.insert(1);
      sleeping = session.run('select 1 as slept from pg_sleep(60)');
      await sleeping;
    },
    { timeoutMillis: 300 },
  );
  expect(codesOf(await errorOf(whole))).toContain('ERR_LIFEGUARD_DEADLINE');
  expect(codesOf(await errorOf(sleeping))).toContain('ERR_LIFEGUARD_DEADLINE');
  expect(await stored()).toEqual([]);
}

const SERIALIZATION_FAILURE = "do $$ begin raise exception 'try again' using errcode = '40001'; end $$";

async function retry({ pool, session, stored }: Rig): Promise<void> {
  const attempts: number[] = [];
  await pool.transaction(async ({ attempt }) => {
    attempts.push(attempt);
    await session.insert(attempt);
    if (attempt < 3) await session.run(SERIALIZATION_FAILURE);
  });
  expect(attempts).toEqual([1, 2, 3]);
  expect(await stored()).toEqual([3]);
}

async function retryOwn({ pool, session, stored }: Rig): Promise<void> {
  const attempts: number[] = [];
  await pool.transaction(async ({ attempt }) => {
    attempts.push(attempt);
    await session.transaction?.(async (tx) => {
      await tx.insert(attempt);
      if (attempt < 2) await tx.run(SERIALIZATION_FAILURE);
    });
  });
  expect(attempts).toEqual([1, 2]);
  expect(await stored()).toEqual([2]);
}
