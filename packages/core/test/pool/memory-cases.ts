import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { fails } from './gate.ts';
import { growth, LeanPool } from './memory.ts';

/** What a leak of a few bytes each would exceed, and what the engine's own caches do not. */
const ALLOWED_BYTES = 1_500_000;

interface Amounts {
  readonly leases: number;
  readonly waiters: number;
  readonly deaths: number;
}

/** The same cases for CI and for the long run: only the amounts differ. */
export function describeMemory({ leases, waiters, deaths }: Amounts): void {
  describe('the heap does not grow', () => {
    test(`over ${leases} leases that are given back`, async () => {
      const lean = new LeanPool({ max: 5 });
      expect(await growth(() => lean.borrow(leases / 2))).toBeLessThan(ALLOWED_BYTES);
    });

    test(`over ${leases} places on lanes that are left`, async () => {
      const lean = new LeanPool({ max: 5 });
      expect(await growth(() => lean.ride(leases / 2))).toBeLessThan(ALLOWED_BYTES);
      expect(lean.pool.snapshot()).toMatchObject({ lanes: 1, onLanes: 0, size: 1 });
    });

    test(`over ${waiters} waiters who run out of time`, async () => {
      const lean = new LeanPool({ max: 1, acquireTimeoutMillis: 500 });
      await lean.timeOut(1);
      expect(await growth(() => lean.timeOut(waiters / 2))).toBeLessThan(ALLOWED_BYTES);
    });

    test(`over ${waiters} waiters who give up`, async () => {
      const lean = new LeanPool({ max: 1 });
      await lean.timeOut(1);
      expect(await growth(() => lean.abort(waiters / 2))).toBeLessThan(ALLOWED_BYTES);
    });

    test(`over ${deaths} connections that die`, async () => {
      const lean = new LeanPool({ max: 5 });
      const die = () => lean.borrow(deaths / 2, { kind: 'discard', reason: 'lost' });
      expect(await growth(die)).toBeLessThan(ALLOWED_BYTES);
      expect(lean.pool.snapshot().closed).toEqual({ lost: deaths });
    });

    test(`over ${deaths} checks that fail`, async () => {
      const lean = new LeanPool({ max: 2, min: 2, keepaliveMillis: 100 });
      lean.seam.gates.check.always(fails);
      expect(await growth(() => lean.clock.advance(deaths * 25))).toBeLessThan(ALLOWED_BYTES);
      expect(lean.pool.snapshot().closed['check-failed']).toBeGreaterThan(deaths / 2);
    });
  });
}
