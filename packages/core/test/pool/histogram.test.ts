import { describe, expect, test } from '@lifeguard/testkit/vitest';
import fc from 'fast-check';
import { Histogram } from '../../src/pool/histogram.ts';

function histogramOf(values: readonly number[]): Histogram {
  const histogram = new Histogram(0);
  for (const value of values) histogram.record(value, 1_000);
  return histogram;
}

describe('a histogram of durations', () => {
  test('is empty at first, and says so with zeroes', () => {
    expect(new Histogram(0).read(0)).toEqual({ count: 0, sumMillis: 0, seconds: 0.001, p50: 0, p99: 0 });
  });

  test('counts and sums what it was told', () => {
    expect(histogramOf([1, 2, 3]).read(2_000)).toMatchObject({ count: 3, sumMillis: 6, seconds: 2 });
  });

  test('gives quantiles that are right within a tenth', () => {
    const values = fc.array(fc.double({ min: 0.002, max: 900_000, noNaN: true }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(values, (millis) => {
        const sorted = [...millis].sort((a, b) => a - b);
        const reading = histogramOf(millis).read(1_000);
        for (const [share, found] of [
          [0.5, reading.p50],
          [0.99, reading.p99],
        ] as const) {
          const right = sorted[Math.ceil(share * sorted.length) - 1] as number;
          expect(found).toBeGreaterThanOrEqual(right * 0.999);
          expect(found).toBeLessThanOrEqual(right * 1.1);
        }
      }),
    );
  });

  test('takes durations beyond both of its ends', () => {
    const reading = histogramOf([0, 1e-9, 1e12]).read(1_000);
    expect(reading.p50).toBeLessThanOrEqual(0.001);
    expect(reading.p99).toBeGreaterThan(900_000);
  });

  test('tells of the last one to two minutes', () => {
    const histogram = histogramOf([5]);
    histogram.record(7, 61_000);
    expect(histogram.read(62_000)).toMatchObject({ count: 2, seconds: 62 });
    histogram.record(9, 122_000);
    expect(histogram.read(122_000)).toMatchObject({ count: 2, sumMillis: 16, seconds: 61 });
  });

  test('tells nothing of what was before a long silence', () => {
    const histogram = histogramOf([5]);
    expect(histogram.read(1_000_000)).toMatchObject({ count: 0, sumMillis: 0, seconds: 60, p99: 0 });
  });
});
