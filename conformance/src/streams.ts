import { expect, test } from '@lifeguard/testkit/vitest';
import type { Library, Session } from './library.ts';
import { playedOn, type Rig } from './rig.ts';

const ROWS = 250;

/** Rows that are read as they come, on the one connection that everything else needs, too. */
export function declareStreams(library: Library): void {
  test('a stream gives its rows inside a transaction and outside', playedOn(library, read));
  test('other queries run while a stream of the transaction is open', playedOn(library, interrupted));
  test('a stream that is left early holds nothing up', playedOn(library, leftEarly));
}

async function read({ pool, session }: Rig): Promise<void> {
  expect(await countOf(session)).toBe(ROWS);
  expect(await pool.transaction(() => countOf(session))).toBe(ROWS);
}

async function interrupted({ pool, session, stored }: Rig): Promise<void> {
  await pool.transaction(async () => {
    let rows = 0;
    for await (const _row of streamOf(session)) {
      rows += 1;
      if (rows % 100 === 0) await session.insert(rows);
    }
    expect(rows).toBe(ROWS);
    expect(await session.ids()).toEqual([100, 200]);
  });
  expect(await stored()).toEqual([100, 200]);
}

async function leftEarly({ pool, session, stored }: Rig): Promise<void> {
  await pool.transaction(async () => {
    for await (const _row of streamOf(session)) break;
    await session.insert(1);
  });
  expect(await stored()).toEqual([1]);
}

async function countOf(session: Session): Promise<number> {
  let rows = 0;
  for await (const _row of streamOf(session)) rows += 1;
  return rows;
}

function streamOf(session: Session): AsyncIterable<unknown> {
  if (session.stream === undefined) throw new Error('The library says that it streams, and has no stream().');
  return session.stream(`select n from generate_series(1, ${ROWS}) as n`);
}
