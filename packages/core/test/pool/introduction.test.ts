import { channel } from 'node:diagnostics_channel';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import { fails, never, slow } from './gate.ts';
import { keep, Rig } from './rig.ts';

describe('a connection that is open and still being introduced', () => {
  test('is connecting to whoever looks, and lent to nobody', async () => {
    const rig = new Rig({ max: 1 });
    rig.seam.gates.introduce.next(slow(50));
    const caller = rig.ask();
    await rig.clock.advance(40);
    expect(rig.pool.snapshot()).toMatchObject({ connecting: 1, idle: 0 });
    await rig.clock.advance(20);
    expect(caller.connection).toBe(1);
  });

  test('is closed when its introduction fails, and counted until the server has closed it', async () => {
    const rig = new Rig({ max: 1, closeTimeoutMillis: 1_000 });
    rig.seam.gates.introduce.next(fails);
    rig.seam.gates.close.next(never);
    const caller = rig.ask('caller', { deadline: 60_000 });
    await rig.clock.advance(900);
    expect(rig.pool.snapshot()).toMatchObject({ closing: 1, size: 1, closed: { 'hook-failed': 1 } });
    await rig.clock.advance(6_000);
    expect(caller.state).not.toBe('waiting');
    expect(rig.pool.snapshot().overdue).toBe(0);
  });

  test('is closed when its introduction takes longer than a dial may', async () => {
    const rig = new Rig({ max: 1, connectionTimeoutMillis: 100, acquireTimeoutMillis: 5_000 });
    rig.seam.gates.introduce.next(never);
    const caller = rig.ask();
    await rig.clock.advance(2_000);
    expect(caller.connection).toBe(2);
    expect(rig.closed()).toEqual({ 'dial-timed-out': 1 });
  });

  test('is closed with the pool', async () => {
    const rig = new Rig({ max: 1 });
    rig.seam.gates.introduce.next(never);
    rig.ask();
    await rig.clock.advance(10);
    const closed = rig.pool.close(1_000);
    await rig.clock.advance(10);
    await closed;
    expect(rig.closed()).toEqual({ 'dial-abandoned': 1 });
  });
});

describe('a goodbye whose end is not seen', () => {
  test('keeps the slot counted until the server has been asked', async () => {
    const rig = new Rig({ max: 1 });
    const first = await rig.lease();
    rig.seam.gates.close.next(fails);
    rig.seam.gates.confirm.always(fails);
    rig.giveBack(first, { kind: 'discard', reason: 'discarded' });
    const next = rig.ask();
    await rig.clock.advance(3_000);
    expect(rig.pool.snapshot()).toMatchObject({ size: 1, overdue: 1 });
    rig.seam.gates.confirm.always(slow(1));
    await rig.clock.advance(1_900);
    expect(next.connection).toBe(2);
  });
});

describe('a session that nobody can end', () => {
  async function overdue(): Promise<Rig> {
    const rig = new Rig({ max: 1, closeTimeoutMillis: 1_000 });
    const lease = await rig.lease();
    rig.seam.gates.close.next(fails);
    rig.seam.gates.confirm.always(fails);
    rig.giveBack(lease, { kind: 'discard', reason: 'discarded' });
    await rig.clock.advance(10);
    return rig;
  }

  test('is not asked about any more once the pool is closed', async () => {
    const rig = await overdue();
    const closed = rig.pool.close(0);
    await rig.clock.advance(3_000);
    await closed;
    const { length } = rig.seam.log;
    await rig.clock.advance(60_000);
    expect(rig.seam.log).toHaveLength(length);
  });
});

describe('a time limit that runs out while the loop is blocked', () => {
  test('fails no dial whose answer lies in the socket', async () => {
    const rig = new Rig({ max: 1, connectionTimeoutMillis: 1_000 });
    rig.seam.gates.connect.next(slow(900));
    const caller = rig.ask('caller', { deadline: 60_000 });
    await rig.clock.advance(10);
    rig.clock.block(1_500);
    await rig.clock.advance(50);
    expect(caller.connection).toBe(1);
    expect(rig.closed()).toEqual({});
  });

  test('fails no check whose answer lies in the socket', async () => {
    const rig = new Rig({ max: 1, validateAfterIdleMillis: 10, checkTimeoutMillis: 500 });
    rig.giveBack(await rig.lease(), keep);
    await rig.clock.advance(20);
    rig.seam.gates.check.next(slow(400));
    const caller = rig.ask('caller', { deadline: 60_000 });
    await rig.clock.advance(10);
    rig.clock.block(900);
    await rig.clock.advance(50);
    expect(caller.connection).toBe(1);
    expect(rig.closed()).toEqual({});
  });
});

describe('a subscriber that asks the pool for a connection', () => {
  function onClosing(listener: () => void): void {
    const closing = channel('lifeguard:pool:closing');
    closing.subscribe(listener);
    onTestFinished(() => void closing.unsubscribe(listener));
  }

  test('in the middle of an invalidation takes nothing that is being closed', async () => {
    const rig = new Rig({ max: 3 });
    const leases = [await rig.lease(), await rig.lease(), await rig.lease()];
    for (const lease of leases) rig.giveBack(lease, keep);
    const takers: ReturnType<Rig['ask']>[] = [];
    onClosing(() => takers.push(rig.ask('subscriber')));
    rig.pool.invalidate('test');
    await rig.clock.advance(100);
    expect(takers.length).toBeGreaterThan(0);
    for (const taker of takers) expect(['served', 'waiting']).toContain(taker.state);
    expect(rig.seam.violations).toEqual([]);
  });
});
