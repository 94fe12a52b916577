import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { courses, MOMENTS, tellAll } from './gate-story.ts';

describe('the whole matrix of steps that go well, fail, take long or never end', () => {
  test.each(MOMENTS)('recovers, loses nobody and stays below its ceiling when one gives up: %s', async (moment) => {
    expect(await tellAll(courses(), moment)).toBe(1_024);
  });
});
