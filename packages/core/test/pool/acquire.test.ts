import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { never, slow } from './gate.ts';
import { Rig } from './rig.ts';

/** A pool of one whose connection is out. */
async function busyPool(options: ConstructorParameters<typeof Rig>[0] = {}) {
  const rig = new Rig({ max: 1, ...options });
  const holder = await rig.lease('holder');
  return { rig, holder };
}

describe('a free connection', () => {
  test('is lent without a dial while it is fresh', async () => {
    const rig = new Rig();
    await rig.idle(1);
    const caller = await rig.lease();
    expect(caller.connection).toBe(1);
    expect(rig.seam.dials).toBe(1);
  });

  test('is taken without a promise when nobody waits', async () => {
    const rig = new Rig();
    await rig.idle(1);
    const request = { name: 'taker', queriedMillis: () => 0 };
    const slot = rig.pool.take(request);
    expect(slot?.state).toMatchObject({ kind: 'leased', holder: request });
    expect(rig.pool.take({ name: 'second', queriedMillis: () => 0 })).toBeUndefined();
  });

  test('is not taken past those who wait', async () => {
    const { rig, holder } = await busyPool({ groups: { reports: { maxConcurrent: 1 } }, max: 2 });
    rig.giveBack(holder);
    await rig.lease('report', { group: 'reports' });
    rig.ask('second report', { group: 'reports' });
    await rig.clock.settle();
    expect(rig.pool.take({ name: 'taker', queriedMillis: () => 0 })).toBeUndefined();
    expect((await rig.lease('newcomer')).state).toBe('served');
  });

  test('goes to the one who was idle last', async () => {
    const rig = new Rig({ max: 3 });
    const [first, second, third] = await rig.leases(3);
    for (const caller of [second, third, first]) if (caller !== undefined) rig.giveBack(caller);
    expect((await rig.lease()).connection).toBe(first?.connection ?? 1);
  });
});

describe('the figures of an error', () => {
  test('tell connections in the pool’s own hands from leased ones', async () => {
    const { rig, holder } = await busyPool({ acquireTimeoutMillis: 100, cleanTimeoutMillis: 60_000 });
    rig.seam.gates.clean.next(never);
    rig.giveBack(holder, { kind: 'clean' });
    const caller = rig.ask('caller');
    await rig.clock.advance(110);
    expect(caller.error?.figures).toMatchObject({ size: 1, leased: 0, tending: 1 });
    expect(caller.error?.message).toContain('0 leased, 1 being checked or cleaned, 0 idle');
    expect(caller.error?.message).toContain('Connections are being checked, cleaned or interrupted');
  });

  test('do not mention those hands when they are empty', async () => {
    const { rig } = await busyPool({ acquireTimeoutMillis: 100 });
    const caller = rig.ask('caller');
    await rig.clock.advance(110);
    expect(caller.error?.message).toContain('1 leased, 0 idle');
  });
});

describe('the ceiling', () => {
  test('holds for many callers at once', async () => {
    const rig = new Rig({ max: 3, maxWaiting: 0 });
    rig.askMany(50);
    await rig.clock.advance(1_000);
    expect(rig.pool.snapshot()).toMatchObject({ leased: 3, size: 3, waiting: 47 });
    expect(rig.seam.peak).toBe(3);
  });

  test('counts connections that are still closing', async () => {
    const { rig, holder } = await busyPool();
    rig.seam.gates.close.next(slow(400));
    rig.giveBack(holder, { kind: 'discard', reason: 'lost' });
    const next = rig.ask('next');
    await rig.clock.advance(399);
    expect(next.state).toBe('waiting');
    expect(rig.pool.snapshot()).toMatchObject({ closing: 1, size: 1 });
    await rig.clock.advance(1);
    expect(next.state).toBe('served');
    expect(rig.seam.peak).toBe(1);
  });

  test('holds when a flood of callers gives up', async () => {
    const rig = new Rig({ max: 4, maxWaiting: 0 }, (seam) => seam.gates.connect.always(slow(100)));
    const giveUp = new AbortController();
    for (let wave = 0; wave < 20; wave += 1) {
      rig.askMany(25, { signal: giveUp.signal });
      await rig.clock.advance(7);
    }
    giveUp.abort();
    await rig.clock.advance(200);
    rig.giveBackAll({ kind: 'discard', reason: 'lost' });
    await rig.clock.advance(1_000);
    expect(rig.seam.peak).toBeLessThanOrEqual(4);
    expect(rig.count('waiting')).toBe(0);
  });

  test('holds for a pool of one and ten users', async () => {
    const { rig } = await busyPool();
    rig.askMany(9);
    for (let turn = 0; turn < 10; turn += 1) {
      expect(rig.count('served')).toBe(1);
      rig.giveBackAll();
      await rig.clock.advance(5);
    }
    expect(rig.count('done')).toBe(10);
    expect(rig.seam.dials).toBe(1);
  });
});

describe('a caller with a deadline', () => {
  test('is told of it when its time in the line is up', async () => {
    const { rig } = await busyPool();
    const caller = rig.ask('late', { deadline: rig.clock.now() + 100 });
    await rig.clock.advance(110);
    expect(caller.error).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE', statusCode: 504 });
    expect(caller.error?.message).toMatch(/the caller's deadline.*1 leased.*"holder" since 1\d\d ms/s);
  });

  test('is bound by the limit of the pool where that is earlier', async () => {
    const { rig } = await busyPool({ acquireTimeoutMillis: 50 });
    const caller = rig.ask('late', { deadline: rig.clock.now() + 10_000 });
    await rig.clock.advance(60);
    expect(caller.error).toMatchObject({ code: 'ERR_LIFEGUARD_ACQUIRE_TIMEOUT', statusCode: 503, retryable: true });
    expect(caller.error?.figures).toMatchObject({ max: 1, size: 1, leased: 1, waiting: 0 });
  });

  test('is refused at once when it has passed', async () => {
    const rig = new Rig();
    const caller = rig.ask('late', { deadline: rig.clock.now() });
    await rig.clock.settle();
    expect(caller.error?.code).toBe('ERR_LIFEGUARD_DEADLINE');
    expect(rig.seam.dials).toBe(0);
  });

  test('consumes no connection that comes after it gave up', async () => {
    const { rig, holder } = await busyPool({ acquireTimeoutMillis: 50 });
    rig.ask('late');
    await rig.clock.advance(60);
    const next = rig.ask('next');
    rig.giveBack(holder);
    await rig.clock.settle();
    expect(rig.states()).toEqual(['done', 'refused', 'served']);
    expect(next.connection).toBe(1);
  });

  test('keeps it while its dial fails and another one goes on', async () => {
    const limits = { connectionTimeoutMillis: 1_000, acquireTimeoutMillis: 5_000 };
    const rig = new Rig({ max: 1, ...limits }, (seam) => seam.gates.connect.always(never));
    const caller = rig.ask('patient', { deadline: rig.clock.now() + 1_500 });
    await rig.clock.advance(1_499);
    expect(rig.seam.dials).toBe(2);
    expect(caller.state).toBe('waiting');
    await rig.clock.advance(10);
    expect(caller.error).toMatchObject({ code: 'ERR_LIFEGUARD_DEADLINE' });
    expect(caller.error?.cause).toMatchObject({ code: 'ERR_LIFEGUARD_CONNECT_TIMEOUT' });
  });

  test('waits without end when there is no limit at all', async () => {
    const { rig, holder } = await busyPool({ acquireTimeoutMillis: 0 });
    const caller = rig.ask('patient');
    await rig.clock.advance(100_000);
    expect(caller.state).toBe('waiting');
    rig.giveBack(holder);
    await rig.clock.settle();
    expect(caller.state).toBe('served');
  });
});

describe('a caller who gives up', () => {
  test('leaves the line with its own reason', async () => {
    const { rig } = await busyPool();
    const giveUp = new AbortController();
    const caller = rig.ask('leaver', { signal: giveUp.signal });
    giveUp.abort(new Error('hung up'));
    await rig.clock.settle();
    expect(caller.error).toMatchObject({ code: 'ERR_LIFEGUARD_ABORTED', cause: new Error('hung up') });
    expect(rig.pool.snapshot()).toMatchObject({ waiting: 0, aborted: 1 });
  });

  test('changes nothing when it had given up before', async () => {
    const rig = new Rig();
    const caller = rig.ask('leaver', { signal: AbortSignal.abort() });
    await rig.clock.settle();
    expect(caller.error?.code).toBe('ERR_LIFEGUARD_ABORTED');
    expect(rig.pool.snapshot()).toMatchObject({ size: 0, waiting: 0, aborted: 1 });
    expect(rig.seam.dials).toBe(0);
  });

  test('keeps the connection that was lent before', async () => {
    const rig = new Rig();
    const giveUp = new AbortController();
    const caller = await rig.lease('holder', { signal: giveUp.signal });
    giveUp.abort();
    await rig.clock.settle();
    expect(caller.slot?.state.kind).toBe('leased');
  });

  test('leaves no listener behind on its signal', async () => {
    const { rig, holder } = await busyPool();
    const listeners = countingSignal();
    rig.ask('served', { signal: listeners.signal });
    rig.ask('timed out', { signal: listeners.signal, deadline: rig.clock.now() + 10 });
    await rig.clock.advance(30);
    rig.giveBack(holder);
    await rig.clock.settle();
    expect(rig.states()).toEqual(['done', 'served', 'refused']);
    expect(listeners.count()).toBe(0);
  });
});

describe('giving back', () => {
  test('ends a lease once, however often it is done', async () => {
    const rig = new Rig({ max: 1 });
    const caller = await rig.lease('twice');
    rig.giveBack(caller);
    const next = await rig.lease('next');
    rig.pool.giveBack(caller.slot as never, caller.request, { kind: 'discard', reason: 'lost' });
    await rig.clock.settle();
    expect(next.slot?.state).toMatchObject({ kind: 'leased', holder: next.request });
    expect(rig.pool.snapshot()).toMatchObject({ leased: 1, closing: 0, acquired: 2 });
  });

  test('serves the line before the stack of idle ones', async () => {
    const { rig, holder } = await busyPool();
    const next = rig.ask('next');
    rig.giveBack(holder);
    expect(rig.pool.snapshot()).toMatchObject({ leased: 1, idle: 0, waiting: 0 });
    await rig.clock.settle();
    expect(next.state).toBe('served');
  });
});

function countingSignal(): { readonly signal: AbortSignal; count(): number } {
  const { signal } = new AbortController();
  let count = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: unknown[]) => {
    count += 1;
    addEventListener.apply(signal, args as never);
  };
  signal.removeEventListener = (...args: unknown[]) => {
    count -= 1;
    removeEventListener.apply(signal, args as never);
  };
  return { signal, count: () => count };
}
