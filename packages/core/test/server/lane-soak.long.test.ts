import { test } from '@lifeguard/testkit/vitest';
import { soak } from './lane-soak.ts';

const STATEMENTS = Number(process.env['LIFEGUARD_SOAK_STATEMENTS'] ?? 10_000_000);
const SEED = Number(process.env['LIFEGUARD_SOAK_SEED'] ?? Date.now() % 1_000_000);

test('each of millions of statements on lanes is answered with its own, whatever goes wrong', async ({ server }) => {
  await soak(server, { statements: STATEMENTS, seed: SEED, calm: 5_000 });
}, 10_800_000);
