import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { type Course, courses, MOMENTS, STEPS, tellAll } from './gate-story.ts';

/** Whatever goes wrong at one or two of the steps; and of what goes wrong at more of them, each ninth. */
function* selection(): Generator<Course> {
  let number = 0;
  for (const course of courses()) {
    number += 1;
    if (STEPS.filter((step) => course[step] !== 'ok').length <= 2 || number % 9 === 0) yield course;
  }
}

describe('a pool whose every step may go well, fail, take long or never end', () => {
  test.each(MOMENTS)('recovers, loses nobody and stays below its ceiling when one gives up: %s', async (moment) => {
    expect(await tellAll(selection(), moment)).toBeGreaterThan(150);
  });
});
