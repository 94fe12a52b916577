import { expect, test } from '@lifeguard/testkit/vitest';
import { openPool } from './rig.ts';

const HALF = 500_000;

test('a million texts of which no two are alike leave nothing behind', async ({ database }) => {
  const pool = openPool(database.connection, { max: 3 });
  const ask = async (from: number): Promise<void> => {
    for (let at = from; at < from + HALF; at += 50) {
      const texts = Array.from({ length: 50 }, (_, place) => `select ${at + place} as it`);
      const answers = await Promise.all(texts.map((text) => pool.query(text)));
      if (!answers.every(({ rows }, place) => rows[0]?.['it'] === at + place)) throw new Error('a wrong answer');
    }
  };
  await ask(0);
  const before = heap();
  await ask(HALF);
  expect(heap() - before).toBeLessThan(2_000_000);
});

function heap(): number {
  for (let time = 0; time < 4; time += 1) globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}
