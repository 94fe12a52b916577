import { waitUntil } from '@lifeguard/testkit';
import { expect, test } from '@lifeguard/testkit/vitest';
import { errorOf } from './error-codes.ts';
import type { Library, Session } from './library.ts';
import { playedOn, type Rig } from './rig.ts';

/** Many at once. */
export function declareCrowds(library: Library): void {
  test('twenty transactions on three connections see nothing of each other', playedOn(library, strangers));
  test('its first use holds up nobody who has a connection already', playedOn(library, firstUse, { max: 1 }));
  test('twenty statements at once in one transaction all count', playedOn(library, siblings));
}

const TWENTY = Array.from({ length: 20 }, (_, index) => index + 1);

/** The odd ones change their mind. Each sees its own row, and of the others only what has committed. */
async function strangers({ pool, session, stored }: Rig): Promise<void> {
  const work = async (id: number): Promise<void> => {
    await session.insert(id);
    expect(await session.ids()).toContain(id);
    const others = (await session.ids()).filter((one) => one !== id);
    expect(others.filter(isOdd)).toEqual([]);
    if (isOdd(id)) throw new Error('changed my mind');
  };
  await Promise.allSettled(TWENTY.map((id) => pool.transaction(() => work(id))));
  expect(await stored()).toEqual(TWENTY.filter((id) => !isOdd(id)));
}

/** What a library asks once for all may be asked by one who waits for the connection that another one has. */
async function firstUse({ pool, pgPool, session, stored }: Rig): Promise<void> {
  const queued = Promise.withResolvers<void>();
  const first = pool.transaction(async () => {
    await pgPool.query('insert into t (id) values (1)');
    await queued.promise;
    await session.insert(2);
  });
  const second = pool.transaction(() => session.insert(3));
  await waitUntil(() => pool.snapshot().waiting === 1, { what: 'the second one to wait for the connection' });
  queued.resolve();
  await Promise.all([first, second]);
  expect(await stored()).toEqual([1, 2, 3]);
}

async function siblings({ pool, session, stored }: Rig): Promise<void> {
  await session.insert(7);
  await pool.transaction(async () => {
    const refused = await Promise.all(TWENTY.map((id) => insertOrRefuse(session, id)));
    expect(refused.filter((id) => id !== undefined)).toEqual([7]);
    expect(await session.ids()).toEqual(TWENTY);
  });
  expect(await stored()).toEqual(TWENTY);
}

async function insertOrRefuse(session: Session, id: number): Promise<number | undefined> {
  if (id !== 7) return void (await session.insert(id));
  await errorOf(session.insert(id));
  return id;
}

function isOdd(id: number): boolean {
  return id % 2 === 1;
}
