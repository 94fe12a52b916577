import { test } from '@lifeguard/testkit/vitest';
import { soak } from './lane-soak.ts';

test('each of 30,000 statements on lanes is answered with its own, whatever goes wrong', async ({ server }) => {
  await soak(server, { statements: 30_000, seed: 4, calm: 1_500 });
}, 120_000);
