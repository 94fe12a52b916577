import { describe, expect, test } from '@lifeguard/testkit/vitest';
import pg from 'pg';
import { accidents } from '../server/rig.ts';
import { Grace } from './inside-grace.ts';
import { play, type Stage } from './inside-random.ts';
import { leavesNothing, prepared } from './inside-rig.ts';

const SEEDS = Array.from({ length: 12 }, (_, at) => at + 1);
/** So short that waiting siblings are taken for callees, and so long that they mostly are not. */
const GRACES = [1, 5, 20];

describe('libraries that work in parallel, each as it pleases', () => {
  test.for(SEEDS)('never lose what they were told is done, with seed %i', async (seed, { database }) => {
    Grace.lasting(GRACES[seed % GRACES.length] as number);
    const seen = accidents();
    const { pool, orm, stored } = await prepared(database, { pool: { max: 6 } });
    const libraries = [orm, pool.asPgPool({ pg, isolateStatements: false })];
    const stage: Stage = { pool, libraries, marks: seed % 2 === 0 };
    const told = await play(stage, { seed, rounds: 12 });
    await leavesNothing(database, pool);
    const [there, kept] = [new Set(await stored()), told.flatMap((one) => one.kept)];
    const acknowledged = [...kept, ...told.flatMap(({ guests }) => guests)];
    expect({ seed, lost: acknowledged.filter((id) => !there.has(id)) }).toEqual({ seed, lost: [] });
    expect({ seed, refused: [...there].filter((id) => !acknowledged.includes(id)) }).toEqual({ seed, refused: [] });
    expect(told.filter(({ code }) => !LOUD.has(code))).toEqual([]);
    expect(kept.length).toBeGreaterThan(0);
    expect(seen).toEqual([]);
  });
});

/** How a whole may end: well, by its own error, or loudly. */
const LOUD: ReadonlySet<unknown> = new Set(['ok', 'mine', 'ERR_LIFEGUARD_INTERLEAVED']);
