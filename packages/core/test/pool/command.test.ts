import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { never, slow } from './gate.ts';
import { Rig } from './rig.ts';

describe('resizing', () => {
  test('down closes idle connections at once and leased ones when they come back', async () => {
    const rig = new Rig({ max: 6 });
    const callers = await rig.leases(6);
    for (const caller of callers.slice(0, 2)) rig.giveBack(caller);
    rig.pool.resize(0, 3);
    await rig.clock.settle();
    expect(rig.pool.snapshot()).toMatchObject({ leased: 4, idle: 0, max: 3 });
    rig.giveBackAll();
    await rig.clock.settle();
    expect(rig.pool.snapshot()).toMatchObject({ idle: 3, size: 3, closed: { surplus: 3 } });
  });

  test('down keeps newcomers waiting until the pool is small enough', async () => {
    const rig = new Rig({ max: 3 });
    const callers = await rig.leases(3);
    rig.pool.resize(0, 1);
    const next = rig.ask('next');
    rig.giveBack(callers[0] as never);
    rig.giveBack(callers[1] as never);
    await rig.clock.advance(100);
    expect(next.state).toBe('waiting');
    rig.giveBack(callers[2] as never);
    await rig.clock.settle();
    expect(next.connection).toBe(callers[2]?.slot?.id);
    expect(rig.pool.snapshot().size).toBe(1);
  });

  test('down closes connections that were on their way', async () => {
    const rig = new Rig({ max: 4 }, (seam) => seam.gates.connect.always(slow(100)));
    rig.askMany(4);
    await rig.clock.advance(50);
    rig.pool.resize(0, 1);
    await rig.clock.advance(100);
    expect(rig.pool.snapshot()).toMatchObject({ leased: 1, size: 1 });
  });

  test('up serves those who wait', async () => {
    const rig = new Rig({ max: 1 });
    rig.askMany(4);
    await rig.clock.advance(50);
    expect(rig.count('served')).toBe(1);
    rig.pool.resize(0, 4);
    await rig.clock.advance(50);
    expect(rig.count('served')).toBe(4);
  });

  test('up fills the new minimum, and keeps what is there', async () => {
    const rig = new Rig({ max: 2 });
    await rig.idle(2);
    rig.pool.resize(5, 8);
    await rig.clock.advance(0);
    expect(rig.pool.snapshot()).toMatchObject({ idle: 5, size: 5, min: 5, max: 8, closed: {} });
  });

  test('down makes a pool ready that had not yet opened its old minimum', async () => {
    const rig = new Rig({ max: 4, min: 4 }, (seam) => seam.gates.connect.always(never).next(slow(1)));
    const ready = rig.pool.ready(undefined);
    await rig.clock.advance(1);
    rig.pool.resize(0, 4);
    await expect(ready).resolves.toBeUndefined();
  });
});

describe('a paused pool', () => {
  test('holds those who come, and lends nothing', async () => {
    const rig = new Rig();
    await rig.idle(1);
    rig.pool.pause();
    expect(rig.take()).toBeUndefined();
    const caller = rig.ask('caller');
    await rig.clock.advance(1_000);
    expect(caller.state).toBe('waiting');
    expect(rig.pool.snapshot()).toMatchObject({ state: 'paused', waiting: 1 });
  });

  test('dials nothing for those who wait for it to go on', async () => {
    const rig = new Rig();
    rig.pool.pause();
    rig.askMany(5);
    await rig.clock.advance(1_000);
    expect(rig.seam.dials).toBe(0);
    rig.pool.resume();
    await rig.clock.advance(100);
    expect(rig.count('served')).toBe(5);
  });

  test('serves everybody in order when it goes on', async () => {
    const rig = new Rig({ max: 1 });
    await rig.idle(1);
    rig.log.length = 0;
    rig.pool.pause();
    const callers = rig.askMany(3);
    rig.pool.resume();
    for (let turn = 0; turn < 3; turn += 1) {
      await rig.clock.settle();
      rig.giveBackAll();
    }
    expect(rig.states(callers)).toEqual(['done', 'done', 'done']);
    expect(rig.log).toEqual(['0: served by 1', '1: served by 1', '2: served by 1']);
  });

  test('lets go of those whose time is up', async () => {
    const rig = new Rig({ acquireTimeoutMillis: 300 });
    await rig.idle(1);
    rig.pool.pause();
    const caller = rig.ask('caller');
    await rig.clock.advance(310);
    expect(caller.error?.code).toBe('ERR_LIFEGUARD_ACQUIRE_TIMEOUT');
    expect(caller.error?.message).toContain('paused');
  });

  test('takes back what is leased', async () => {
    const rig = new Rig();
    const holder = await rig.lease('holder');
    rig.pool.pause();
    rig.ask('caller');
    rig.giveBack(holder);
    await rig.clock.settle();
    expect(rig.pool.snapshot()).toMatchObject({ idle: 1, leased: 0, waiting: 1 });
  });

  test('keeps its minimum open', async () => {
    const rig = new Rig({ max: 3, min: 2 });
    await rig.clock.advance(0);
    rig.pool.pause();
    rig.seam.lose(rig.connection(1));
    await rig.clock.advance(0);
    expect(rig.pool.snapshot()).toMatchObject({ idle: 2 });
  });
});
