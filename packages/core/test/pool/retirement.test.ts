import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { fails, never, slow } from './gate.ts';
import { Rig } from './rig.ts';

describe('the lifetime', () => {
  test('ends an idle connection', async () => {
    const rig = new Rig({ max: 2, maxLifetimeSeconds: 10, idleTimeoutMillis: 0 });
    await rig.idle(2);
    await rig.clock.advance(11_000);
    expect(rig.pool.snapshot()).toMatchObject({ size: 0, closed: { lifetime: 2 } });
  });

  test('ends a leased one only when it comes back', async () => {
    const rig = new Rig({ maxLifetimeSeconds: 10 });
    const caller = await rig.lease();
    await rig.clock.advance(60_000);
    expect(rig.pool.snapshot()).toMatchObject({ leased: 1, closed: {} });
    rig.giveBack(caller);
    await rig.clock.settle();
    expect(rig.closed()).toEqual({ lifetime: 1 });
  });

  test('ends one that is about to be lent', async () => {
    const rig = new Rig({ max: 1, maxLifetimeSeconds: 10, validateAfterIdleMillis: 0 });
    await rig.idle(1);
    rig.clock.block(11_000);
    const caller = await rig.lease();
    expect(caller.connection).toBe(2);
    expect(rig.closed()).toEqual({ lifetime: 1 });
  });

  test('differs by up to a quarter, so that not all end together', async () => {
    const rig = new Rig({ max: 20, min: 0, maxLifetimeSeconds: 100, idleTimeoutMillis: 0 });
    await rig.idle(20);
    await rig.clock.advance(74_000);
    expect(rig.pool.snapshot().size).toBe(20);
    await rig.clock.advance(13_000);
    expect(rig.pool.snapshot().size).toBeGreaterThan(0);
    expect(rig.pool.snapshot().size).toBeLessThan(20);
    await rig.clock.advance(14_000);
    expect(rig.pool.snapshot().size).toBe(0);
  });

  test('never ends where it is switched off', async () => {
    const rig = new Rig({ max: 1, maxLifetimeSeconds: 0, idleTimeoutMillis: 0 });
    await rig.idle(1);
    await rig.clock.advance(3_000_000);
    expect(rig.pool.snapshot()).toMatchObject({ idle: 1, closed: {} });
  });

  test('is replaced up to the minimum', async () => {
    const rig = new Rig({ max: 3, min: 2, maxLifetimeSeconds: 10, idleTimeoutMillis: 0 });
    await rig.clock.advance(30_000);
    expect(rig.pool.snapshot()).toMatchObject({ idle: 2, size: 2 });
    expect(rig.closed()['lifetime']).toBeGreaterThanOrEqual(4);
  });
});

describe('the number of uses', () => {
  test('ends a connection after its last one', async () => {
    const rig = new Rig({ max: 1, maxUses: 3 });
    for (let use = 0; use < 7; use += 1) rig.giveBack(await rig.lease());
    await rig.clock.settle();
    expect(rig.closed()).toEqual({ 'max-uses': 2 });
    expect(rig.seam.dials).toBe(3);
  });
});

describe('idle connections', () => {
  test('beyond the minimum go when they were idle for long', async () => {
    const rig = new Rig({ max: 6, min: 2, idleTimeoutMillis: 5_000 });
    await rig.idle(6);
    await rig.clock.advance(4_900);
    expect(rig.pool.snapshot().size).toBe(6);
    await rig.clock.advance(1_500);
    expect(rig.pool.snapshot()).toMatchObject({ size: 2, closed: { idle: 4 } });
  });

  test('stay where the limit is switched off', async () => {
    const rig = new Rig({ max: 3, idleTimeoutMillis: 0 });
    await rig.idle(3);
    await rig.clock.advance(600_000);
    expect(rig.pool.snapshot().size).toBe(3);
  });

  test('that are used now and then keep their place, and the others go', async () => {
    const rig = new Rig({ max: 4, idleTimeoutMillis: 5_000 });
    await rig.idle(4);
    for (let turn = 0; turn < 8; turn += 1) {
      rig.giveBack(await rig.lease());
      await rig.clock.advance(900);
    }
    expect(rig.pool.snapshot()).toMatchObject({ size: 1, closed: { idle: 3 } });
  });

  test('go and come with the load', async () => {
    const rig = new Rig({ max: 8, min: 1, idleTimeoutMillis: 2_000 });
    for (const load of [1, 3, 8, 5, 2]) {
      await rig.leases(load);
      rig.giveBackAll();
      await rig.clock.advance(500);
    }
    expect(rig.pool.snapshot().size).toBe(8);
    await rig.clock.advance(10_000);
    expect(rig.pool.snapshot()).toMatchObject({ size: 1, idle: 1 });
  });
});

describe('an invalidated pool', () => {
  test('closes idle connections now and leased ones when they come back', async () => {
    const rig = new Rig({ max: 3 });
    const [first, second] = await rig.leases(3);
    rig.giveBack(second as never);
    rig.pool.invalidate('failover');
    await rig.clock.settle();
    expect(rig.pool.snapshot()).toMatchObject({ leased: 2, size: 2, closed: { invalidated: 1 } });
    rig.giveBack(first as never);
    await rig.clock.settle();
    expect(rig.closed()).toEqual({ invalidated: 2 });
  });

  test('keeps none whose dial had begun before', async () => {
    const rig = new Rig({ max: 1 }, (seam) => seam.gates.connect.next(slow(100)));
    const caller = rig.ask('caller');
    await rig.clock.advance(50);
    rig.pool.invalidate('failover');
    await rig.clock.advance(100);
    expect(caller.connection).toBe(2);
    expect(rig.closed()).toEqual({ invalidated: 1 });
  });

  test('keeps none that was being checked', async () => {
    const rig = new Rig({ max: 1 });
    await rig.idle(1);
    await rig.clock.advance(1_001);
    rig.seam.gates.check.next(slow(50));
    const caller = rig.ask('caller');
    await rig.clock.settle();
    rig.pool.invalidate('failover');
    await rig.clock.advance(50);
    expect(caller.connection).toBe(2);
  });

  test('is filled to its minimum again', async () => {
    const rig = new Rig({ max: 4, min: 2 });
    await rig.clock.advance(0);
    rig.pool.invalidate('new password');
    await rig.clock.advance(0);
    expect(rig.pool.snapshot()).toMatchObject({ idle: 2, size: 2 });
    expect(rig.seam.log).toContain('3: open');
  });
});

describe('a verdict', () => {
  test('of keep makes a connection idle', async () => {
    const rig = new Rig();
    rig.giveBack(await rig.lease());
    expect(rig.pool.snapshot()).toMatchObject({ idle: 1, leased: 0 });
    expect(rig.connection(1).bearing).toBe('resting');
  });

  test('of clean makes it idle when its session was put back', async () => {
    const rig = new Rig();
    rig.seam.gates.clean.next(slow(10));
    rig.giveBack(await rig.lease(), { kind: 'clean' });
    expect(rig.pool.snapshot()).toMatchObject({ tending: 1 });
    await rig.clock.advance(10);
    expect(rig.pool.snapshot()).toMatchObject({ idle: 1, tending: 0 });
  });

  test('of clean serves the line when its session was put back', async () => {
    const rig = new Rig({ max: 1 });
    const caller = await rig.lease();
    rig.seam.gates.clean.next(slow(10));
    const next = rig.ask('next');
    rig.giveBack(caller, { kind: 'clean' });
    await rig.clock.advance(10);
    expect(next.connection).toBe(1);
  });

  test.each([
    ['clean', 'clean-failed'],
    ['interrupt', 'interrupt-failed'],
  ] as const)('of %s closes the connection when that fails, or takes too long', async (kind, reason) => {
    const rig = new Rig({ max: 2, cleanTimeoutMillis: 500 });
    rig.seam.gates[kind].next(fails, never);
    const callers = await rig.leases(2);
    for (const caller of callers) rig.giveBack(caller, { kind });
    await rig.clock.advance(501);
    expect(rig.closed()).toEqual({ [reason]: 2 });
    expect(rig.pool.snapshot().size).toBe(0);
  });

  test('of interrupt is counted as a cancel', async () => {
    const rig = new Rig();
    rig.giveBack(await rig.lease(), { kind: 'interrupt' });
    await rig.clock.settle();
    expect(rig.pool.snapshot()).toMatchObject({ cancels: 1, idle: 1 });
  });

  test.each(['in-transaction', 'dirty', 'lost', 'reclaimed', 'collected', 'discarded'] as const)(
    'of discard closes the connection as %s',
    async (reason) => {
      const rig = new Rig();
      rig.giveBack(await rig.lease(), { kind: 'discard', reason });
      await rig.clock.settle();
      expect(rig.pool.snapshot()).toMatchObject({ size: 0, closed: { [reason]: 1 } });
    },
  );
});

describe('a closing connection', () => {
  test('past its cap is cut off, reported and still counted', async () => {
    const rig = new Rig({ max: 1, closeTimeoutMillis: 1_000 });
    rig.seam.noticeMillis = 10_000;
    rig.seam.gates.close.next(never);
    rig.giveBack(await rig.lease(), { kind: 'discard', reason: 'lost' });
    await rig.clock.advance(1_300);
    expect(rig.pool.snapshot()).toMatchObject({ closing: 1, overdue: 1, size: 1 });
    expect(rig.seam.log).toContain('1: destroy');
  });

  test('is free again when the server says that it has gone', async () => {
    const rig = new Rig({ max: 1, closeTimeoutMillis: 1_000, acquireTimeoutMillis: 30_000 });
    rig.seam.gates.close.next(never);
    rig.giveBack(await rig.lease(), { kind: 'discard', reason: 'lost' });
    const next = rig.ask('next');
    await rig.clock.advance(3_900);
    expect(next.state).toBe('waiting');
    await rig.clock.advance(1_000);
    expect(next.connection).toBe(2);
  });

  test('is free again when it closes after all', async () => {
    const rig = new Rig({ max: 1, closeTimeoutMillis: 1_000, acquireTimeoutMillis: 30_000 });
    rig.seam.noticeMillis = 60_000;
    rig.seam.gates.close.next(slow(2_500));
    rig.giveBack(await rig.lease(), { kind: 'discard', reason: 'lost' });
    const next = rig.ask('next');
    await rig.clock.advance(2_500);
    expect(next.connection).toBe(2);
    expect(rig.pool.snapshot().overdue).toBe(0);
  });

  test('that arrived after its dial was overdue is cut off as well', async () => {
    const limits = { connectionTimeoutMillis: 500, closeTimeoutMillis: 1_000, acquireTimeoutMillis: 60_000 };
    const rig = new Rig({ max: 1, ...limits });
    rig.seam.gates.connect.next(slow(4_000));
    rig.seam.gates.close.next(never);
    const caller = rig.ask('caller');
    await rig.clock.advance(15_000);
    expect(rig.seam.log).toContain('1: destroy');
    expect(caller.connection).toBe(2);
  });
});
