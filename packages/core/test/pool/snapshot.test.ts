import { channel } from 'node:diagnostics_channel';
import { describe, expect, onTestFinished, test } from '@lifeguard/testkit/vitest';
import { fails, never, slow } from './gate.ts';
import { listen } from './listen.ts';
import { Rig } from './rig.ts';

describe('a snapshot', () => {
  test('is frozen, and does not change when the pool does', async () => {
    const rig = new Rig();
    const before = rig.pool.snapshot();
    await rig.lease();
    expect(before.leased).toBe(0);
    for (const part of [before, before.wait, before.hold, before.held, before.closed]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  test('counts every connection in exactly one state', async () => {
    const rig = new Rig({ max: 5, overflow: 1 });
    const [kept, cleaned, closed] = await rig.leases(4);
    rig.seam.gates.clean.next(slow(100));
    rig.seam.gates.close.next(slow(100));
    rig.giveBack(kept as never);
    rig.giveBack(cleaned as never, { kind: 'clean' });
    rig.giveBack(closed as never, { kind: 'discard', reason: 'lost' });
    rig.seam.gates.connect.next(slow(100));
    rig.askMany(2);
    await rig.clock.settle();
    const counted = { connecting: 0, idle: 0, leased: 2, tending: 1, closing: 1, size: 4, waiting: 1 };
    expect(rig.pool.snapshot()).toMatchObject(counted);
  });

  test('never counts anything backwards', async () => {
    const rig = new Rig({ max: 2, acquireTimeoutMillis: 50 });
    let before = rig.pool.snapshot();
    for (let turn = 0; turn < 40; turn += 1) {
      if (turn % 7 === 0) rig.seam.gates.connect.next(fails);
      rig.askMany(3);
      await rig.clock.advance(30);
      rig.giveBackAll(turn % 3 === 0 ? { kind: 'discard', reason: 'lost' } : { kind: 'keep' });
      const after = rig.pool.snapshot();
      for (const count of ['acquired', 'timeouts', 'aborted', 'shed', 'opened', 'failedDials', 'cancels'] as const) {
        expect(after[count]).toBeGreaterThanOrEqual(before[count]);
      }
      before = after;
    }
    expect(before.acquired + before.timeouts + before.waiting).toBe(120);
  });

  test('counts every refusal once, and by its kind', async () => {
    const rig = new Rig({ max: 1, maxWaiting: 3, acquireTimeoutMillis: 100 });
    await rig.lease('holder');
    const signal = AbortSignal.abort();
    rig.ask('had given up', { signal });
    rig.ask('too late', { deadline: rig.clock.now() });
    const giveUp = new AbortController();
    rig.ask('gives up', { signal: giveUp.signal });
    rig.ask('out of time');
    rig.ask('out of its own time', { deadline: rig.clock.now() + 50 });
    rig.ask('one too many');
    giveUp.abort();
    await rig.clock.advance(200);
    expect(rig.pool.snapshot()).toMatchObject({ acquired: 1, timeouts: 3, aborted: 2, shed: 1, waiting: 0 });
  });

  test('accounts for connections opened, closed and there', async () => {
    const rig = new Rig({ max: 3, maxUses: 2 });
    for (let turn = 0; turn < 20; turn += 1) {
      await rig.leases(3);
      rig.giveBackAll();
      await rig.clock.settle();
    }
    const { opened, closed, size } = rig.pool.snapshot();
    expect(Object.values(closed).reduce((sum, count) => sum + count, 0)).toBe(opened - size);
  });

  test('tells who has waited for the longest time, and for how long', async () => {
    const rig = new Rig({ max: 1 });
    await rig.lease('holder');
    rig.ask('first', { priority: 'low' });
    await rig.clock.advance(70);
    rig.ask('second', { priority: 'high' });
    await rig.clock.advance(30);
    expect(rig.pool.snapshot().oldestWaitMillis).toBe(100);
  });

  test('tells how long leases were held without a query, by name', async () => {
    const rig = new Rig();
    const caller = await rig.lease('GET /users', { queriedMillis: () => 30 });
    await rig.clock.advance(100);
    rig.giveBack(caller);
    const { held, hold } = rig.pool.snapshot();
    expect(held['GET /users']).toEqual({ leases: 1, heldMillis: 100, silentMillis: 70 });
    expect(hold.p50Millis).toBeGreaterThanOrEqual(100);
    expect(hold.p50Millis).toBeLessThan(110);
  });

  test('counts a lease that is still out', async () => {
    const rig = new Rig({ max: 2 });
    await rig.lease('forgotten');
    await rig.clock.advance(10_000);
    const { held, utilisation } = rig.pool.snapshot();
    expect(held['forgotten']).toMatchObject({ leases: 1, heldMillis: 10_000 });
    expect(utilisation).toBeCloseTo(0.5, 1);
  });

  test('tells the load by Little’s law', async () => {
    const rig = new Rig({ max: 4 });
    for (let at = 0; at < 10_000; at += 100) {
      rig.ask('visitor');
      await rig.clock.advance(50);
      rig.giveBackAll();
      await rig.clock.advance(50);
    }
    const { arrivalsPerSecond, impliedConcurrency, utilisation } = rig.pool.snapshot();
    expect(arrivalsPerSecond).toBeCloseTo(10, 1);
    expect(impliedConcurrency).toBeCloseTo(0.5, 1);
    expect(utilisation).toBeCloseTo(0.125, 2);
  });

  test('keeps a bounded number of names', async () => {
    const rig = new Rig();
    for (let index = 0; index < 500; index += 1) rig.giveBack(await rig.lease(`GET /users/${index}`));
    expect(Object.keys(rig.pool.snapshot().held).length).toBeLessThanOrEqual(201);
    expect(rig.pool.snapshot().held['(others)']?.leases).toBe(300);
  });

  test('takes names that are names of object members', async () => {
    const rig = new Rig();
    for (const name of ['__proto__', 'constructor', 'toString']) {
      rig.giveBack(await rig.lease(name));
      expect(rig.pool.snapshot().held[name]).toMatchObject({ leases: 1 });
    }
  });
});

describe('events', () => {
  test('tell the life of a connection in its order', async () => {
    const heard: string[] = [];
    for (const name of ['opened', 'closing', 'overdue', 'closed'] as const) {
      listen(`lifeguard:pool:${name}`, () => heard.push(name));
    }
    const rig = new Rig({ closeTimeoutMillis: 500 });
    rig.seam.gates.close.next(never);
    rig.giveBack(await rig.lease(), { kind: 'discard', reason: 'lost' });
    await rig.clock.advance(10_000);
    expect(heard).toEqual(['opened', 'closing', 'overdue', 'closed']);
  });

  test('tell when the breaker opens and closes, once each', async () => {
    const heard: string[] = [];
    listen('lifeguard:pool:breaker', ({ state }: { state: string }) => heard.push(state));
    const rig = new Rig({}, (seam) => seam.gates.connect.always(fails));
    rig.ask('caller');
    await rig.clock.advance(6_000);
    rig.seam.gates.connect.always({ kind: 'ok' });
    await rig.clock.advance(1_000);
    expect(heard).toEqual(['open', 'closed']);
  });

  test('may ask the pool for a connection while they are told', async () => {
    const rig = new Rig({ max: 2 });
    listen('lifeguard:pool:closing', () => rig.ask('listener'));
    rig.giveBack(await rig.lease(), { kind: 'discard', reason: 'lost' });
    await rig.clock.advance(100);
    expect(rig.callers.at(-1)?.state).toBe('served');
  });

  test('cost a listener that throws nothing but its own turn', async () => {
    const rig = new Rig({ max: 1 });
    const thrown = catchUncaught();
    listen('lifeguard:pool:opened', () => {
      throw new Error('broken listener');
    });
    const caller = rig.ask('caller');
    await rig.clock.settle();
    expect(caller.state).toBe('served');
    expect(thrown).toEqual(['broken listener']);
  });

  test('are not made when nobody listens', () => {
    expect(channel('lifeguard:pool:opened').hasSubscribers).toBe(false);
  });
});

/** Uncaught errors are ours for the time of a test, and not the test runner's. */
function catchUncaught(): string[] {
  const thrown: string[] = [];
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => void thrown.push(error.message));
  onTestFinished(() => {
    process.removeAllListeners('uncaughtException');
    for (const other of others) process.on('uncaughtException', other);
  });
  return thrown;
}
