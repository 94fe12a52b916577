import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { fails, never, slow } from './gate.ts';
import { Rig } from './rig.ts';
import { watch } from './watch.ts';

describe('closing a pool', () => {
  test('resolves at once when nothing is open', async () => {
    const rig = new Rig();
    await rig.pool.close(10_000);
    expect(rig.pool.snapshot()).toMatchObject({ state: 'closed', size: 0 });
    expect(rig.clock.pending).toBe(0);
  });

  test('rejects those who wait, and refuses those who come', async () => {
    const rig = new Rig({ max: 1 });
    await rig.lease('holder');
    const waiting = rig.ask('waiting');
    const closing = watch(rig.pool.close(1_000));
    const late = rig.ask('late');
    await rig.clock.settle();
    for (const caller of [waiting, late]) expect(caller.error).toMatchObject({ code: 'ERR_LIFEGUARD_POOL_CLOSED' });
    expect(closing.state).toBe('pending');
    expect(rig.pool.snapshot().state).toBe('closing');
  });

  test('waits for leases and closes them as they come back', async () => {
    const rig = new Rig({ max: 2 });
    const [first, second] = await rig.leases(2);
    const closing = watch(rig.pool.close(10_000));
    rig.giveBack(first as never);
    await rig.clock.advance(5_000);
    expect(rig.closed()).toEqual({ 'pool-closed': 1 });
    expect(closing.state).toBe('pending');
    rig.giveBack(second as never);
    await rig.clock.settle();
    expect(closing.state).toBe('kept');
    expect(rig.seam.sessions).toBe(0);
  });

  test('closes leases under their holders’ hands when the grace is over', async () => {
    const rig = new Rig();
    const holder = await rig.lease('holder');
    const closing = watch(rig.pool.close(500));
    await rig.clock.advance(499);
    expect(holder.slot?.state.kind).toBe('leased');
    await rig.clock.advance(1);
    expect(closing.state).toBe('kept');
    rig.giveBack(holder);
    expect(rig.pool.snapshot()).toMatchObject({ state: 'closed', size: 0, closed: { 'pool-closed': 1 } });
  });

  test('is one and the same however often it is asked for', async () => {
    const rig = new Rig();
    await rig.idle(1);
    const first = rig.pool.close(1_000);
    expect(rig.pool.close(0)).toBe(first);
    await first;
    expect(rig.pool.close(0)).toBe(first);
  });

  test('waits for the server to close its side', async () => {
    const rig = new Rig();
    await rig.idle(1);
    rig.seam.gates.close.next(slow(300));
    const closing = watch(rig.pool.close(1_000));
    await rig.clock.advance(299);
    expect(closing.state).toBe('pending');
    await rig.clock.advance(1);
    expect(closing.state).toBe('kept');
  });

  test('ends in bounded time when nothing lets go', async () => {
    const rig = new Rig({ max: 3, closeTimeoutMillis: 2_000 });
    await rig.leases(3);
    rig.seam.gates.close.always(never);
    rig.seam.gates.confirm.always(never);
    const closing = watch(rig.pool.close(1_000));
    await rig.clock.advance(3_000);
    expect(closing.state).toBe('kept');
    expect(rig.seam.log.filter((line) => line.endsWith('destroy')).length).toBeGreaterThanOrEqual(3);
  });

  test('gives up a dial that is under way', async () => {
    const rig = new Rig();
    rig.seam.gates.connect.next(never);
    rig.ask('caller');
    await rig.clock.settle();
    const closing = watch(rig.pool.close(1_000));
    await rig.clock.settle();
    expect(closing.state).toBe('kept');
    expect(rig.closed()).toEqual({ 'dial-abandoned': 1 });
  });

  test('closes the connection of a dial that comes all the same', async () => {
    const rig = new Rig();
    rig.seam.gates.connect.next(slow(200));
    rig.ask('caller');
    const closing = watch(rig.pool.close(1_000));
    await rig.clock.advance(199);
    expect(closing.state).toBe('pending');
    await rig.clock.advance(1);
    expect(closing.state).toBe('kept');
    expect(rig.seam.sessions).toBe(0);
  });

  test('does not call a dial failed that it gave up itself', async () => {
    const rig = new Rig({ connectionTimeoutMillis: 100 });
    rig.seam.gates.connect.next(slow(500));
    rig.ask('caller');
    const closing = rig.pool.close(1_000);
    await rig.clock.advance(500);
    await closing;
    expect(rig.pool.snapshot()).toMatchObject({ failedDials: 0, health: 'healthy' });
  });

  test.each(['clean', 'interrupt', 'check'] as const)('waits for a %s that is under way', async (task) => {
    const rig = new Rig({ max: 1 });
    rig.seam.gates[task].next(slow(300));
    const holder = await rig.lease('holder');
    rig.giveBack(holder, task === 'check' ? { kind: 'keep' } : { kind: task });
    if (task === 'check') {
      await rig.clock.advance(1_001);
      rig.ask('caller');
    }
    const closing = watch(rig.pool.close(1_000));
    await rig.clock.advance(300);
    expect(closing.state).toBe('kept');
    expect(rig.closed()).toEqual({ 'pool-closed': 1 });
  });

  test('does not dial again for the minimum', async () => {
    const rig = new Rig({ max: 3, min: 3 });
    await rig.clock.advance(0);
    await rig.pool.close(0);
    await rig.clock.advance(5_000);
    expect(rig.seam.dials).toBe(3);
  });

  test('ends the prober of a server that is down', async () => {
    const rig = new Rig({ min: 1 }, (seam) => seam.gates.connect.always(fails));
    await rig.clock.advance(3_000);
    const closing = watch(rig.pool.close(1_000));
    await rig.clock.settle();
    expect(closing.state).toBe('kept');
    const { dials } = rig.seam;
    await rig.clock.advance(10_000);
    expect(rig.seam.dials).toBe(dials);
  });

  test('leaves no timer behind', async () => {
    const rig = new Rig({ max: 4, min: 2 });
    await rig.leases(4);
    rig.giveBackAll();
    await rig.clock.advance(1_500);
    rig.askMany(3);
    await rig.clock.settle();
    const closing = rig.pool.close(200);
    await rig.clock.advance(200);
    await closing;
    await rig.clock.advance(100);
    expect(rig.clock.pending).toBe(0);
  });

  test('works while the pool is paused', async () => {
    const rig = new Rig({ max: 1 });
    await rig.idle(1);
    rig.pool.pause();
    const caller = rig.ask('caller');
    await rig.pool.close(1_000);
    expect(caller.error?.code).toBe('ERR_LIFEGUARD_POOL_CLOSED');
    rig.pool.resume();
    expect(rig.pool.snapshot().state).toBe('closed');
  });

  test('tells whoever awaits that the pool is ready', async () => {
    const rig = new Rig({}, (seam) => seam.gates.connect.always(never));
    const ready = watch(rig.pool.ready(undefined));
    await rig.clock.settle();
    const closing = rig.pool.close(0);
    await rig.clock.settle();
    await closing;
    expect(ready.error).toMatchObject({ code: 'ERR_LIFEGUARD_POOL_CLOSED' });
    await expect(rig.pool.ready(undefined)).rejects.toMatchObject({ code: 'ERR_LIFEGUARD_POOL_CLOSED' });
  });

  test('takes nothing more by any door', async () => {
    const rig = new Rig();
    await rig.idle(1);
    await rig.pool.close(0);
    expect(rig.pool.take({ name: 'late', queriedMillis: () => 0 })).toBeUndefined();
    rig.pool.resize(1, 5);
    rig.pool.invalidate('late');
    await rig.clock.advance(1_000);
    expect(rig.pool.snapshot()).toMatchObject({ size: 0, state: 'closed' });
  });
});
