import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { failing, fails, never, ScriptedError, slow } from './gate.ts';
import { listen } from './listen.ts';
import { type Caller, Rig } from './rig.ts';

/** Connections that have lain idle for longer than they may be trusted. */
async function stalePool(count: number, options: ConstructorParameters<typeof Rig>[0] = {}): Promise<Rig> {
  const rig = new Rig({ max: count, idleTimeoutMillis: 0, keepaliveMillis: 0, ...options });
  await rig.idle(count);
  await rig.clock.advance(1_001);
  rig.seam.log.length = 0;
  return rig;
}

/** A pool whose clocks have been watched for a while. */
async function watchedPool(options: ConstructorParameters<typeof Rig>[0] = {}): Promise<Rig> {
  const rig = new Rig({ max: 3, validateAfterIdleMillis: 0, ...options });
  await rig.idle(3);
  await rig.clock.advance(2_500);
  rig.seam.log.length = 0;
  return rig;
}

describe('a check before lending', () => {
  test('is spared for a connection that was used lately', async () => {
    const rig = new Rig();
    await rig.idle(1);
    await rig.clock.advance(900);
    await rig.lease();
    expect(rig.seam.log).not.toContain('1: check');
  });

  test('is spared for a connection that is new', async () => {
    const rig = new Rig();
    await rig.lease();
    expect(rig.seam.log).toEqual(['1: dial', '1: open', '1: introduce']);
  });

  test('comes first when a connection was idle for long', async () => {
    const rig = await stalePool(1);
    const caller = await rig.lease();
    expect(caller.connection).toBe(1);
    expect(rig.seam.log).toEqual(['1: check']);
  });

  test('is never made where it is switched off', async () => {
    const rig = await stalePool(1, { validateAfterIdleMillis: 0 });
    await rig.clock.advance(100_000);
    await rig.lease();
    expect(rig.seam.log).toEqual([]);
  });

  test('goes on to another connection when the first one fails', async () => {
    const rig = await stalePool(3);
    rig.seam.gates.check.next(fails, fails);
    const caller = await rig.lease();
    expect(caller.connection).toBe(2);
    expect(rig.closed()).toEqual({ 'check-failed': 2 });
  });

  test('is followed by a dial when no connection answers it', async () => {
    const rig = await stalePool(2);
    rig.seam.gates.check.always(fails);
    const caller = await rig.lease();
    expect(caller.connection).toBe(3);
    expect(rig.closed()).toEqual({ 'check-failed': 2 });
  });

  test('that always fails costs the minimum one dial each, and no storm', async () => {
    const rig = await stalePool(4, { min: 4, checkTimeoutMillis: 50 });
    rig.seam.gates.check.always(never);
    rig.ask('caller');
    await rig.clock.advance(900);
    expect(rig.seam.dials).toBe(8);
    expect(rig.closed()).toEqual({ 'check-failed': 4 });
    expect(rig.pool.snapshot()).toMatchObject({ leased: 1, idle: 3 });
  });

  test('that gets no answer is told by the name of that failure', async () => {
    const rig = await stalePool(1);
    const closing = listen('lifeguard:pool:closing');
    rig.seam.gates.check.next(never);
    rig.ask('caller');
    await rig.clock.advance(1_001);
    expect(closing).toMatchObject([{ reason: 'check-failed', error: 'ETIMEDOUT' }]);
  });

  test('ends at its own limit and goes on within the deadline', async () => {
    const rig = await stalePool(2);
    rig.seam.gates.check.next(never);
    const caller = rig.ask('caller', { deadline: rig.clock.now() + 1_500 });
    await rig.clock.advance(1_001);
    expect(caller.connection).toBe(1);
    expect(rig.closed()).toEqual({ 'check-failed': 1 });
  });

  test('that hangs is no reason to wait when another connection lies idle', async () => {
    const rig = await stalePool(2);
    rig.seam.gates.check.next(never);
    const caller = rig.ask('caller', { deadline: rig.clock.now() + 200 });
    await rig.clock.advance(100);
    expect(caller.connection).toBe(1);
  });

  test('that hangs is no reason to wait when there is room for a dial', async () => {
    const rig = await stalePool(1, { max: 2 });
    rig.seam.gates.check.next(never);
    const caller = rig.ask('caller', { deadline: rig.clock.now() + 200 });
    await rig.clock.advance(100);
    expect(caller.connection).toBe(2);
  });

  test('is made although another connection is being cleaned', async () => {
    const rig = new Rig({ max: 2, cleanTimeoutMillis: 60_000 });
    const [first, second] = await rig.leases(2);
    rig.giveBack(second as never);
    rig.seam.gates.interrupt.next(never);
    await rig.clock.advance(1_001);
    rig.giveBack(first as never, { kind: 'interrupt' });
    const caller = rig.ask('caller');
    await rig.clock.advance(50);
    expect(caller.connection).toBe(second?.connection);
  });

  test('is made for as many connections as are waited for', async () => {
    const rig = await stalePool(5);
    rig.seam.gates.check.always(slow(5));
    rig.askMany(3);
    await rig.clock.advance(4);
    expect(rig.pool.snapshot()).toMatchObject({ tending: 3, idle: 2, connecting: 0 });
    await rig.clock.advance(1);
    expect(rig.pool.snapshot()).toMatchObject({ leased: 3, idle: 2 });
  });

  test('is no use, so that an idle connection still grows old', async () => {
    const rig = new Rig({ max: 1, idleTimeoutMillis: 10_000, keepaliveMillis: 2_000 });
    await rig.idle(1);
    await rig.clock.advance(11_000);
    expect(rig.seam.log.filter((line) => line === '1: check').length).toBeGreaterThanOrEqual(3);
    expect(rig.closed()).toEqual({ idle: 1 });
  });
});

describe('keepalive', () => {
  test('checks idle connections where they lie', async () => {
    const rig = new Rig({ max: 2, keepaliveMillis: 5_000, idleTimeoutMillis: 0 });
    await rig.idle(2);
    await rig.clock.advance(4_900);
    expect(rig.seam.log.join()).not.toContain('check');
    await rig.clock.advance(1_200);
    expect(rig.seam.log.filter((line) => line.endsWith('check')).sort()).toEqual(['1: check', '2: check']);
    expect(rig.pool.snapshot()).toMatchObject({ idle: 2, size: 2 });
  });

  test('removes the dead, and fills the minimum again', async () => {
    const rig = new Rig({ max: 2, min: 2, keepaliveMillis: 5_000, idleTimeoutMillis: 0 });
    await rig.clock.advance(0);
    rig.seam.gates.check.next(fails, fails);
    await rig.clock.advance(6_500);
    expect(rig.closed()).toEqual({ 'check-failed': 2 });
    expect(rig.pool.snapshot()).toMatchObject({ idle: 2, size: 2 });
  });

  test('serves whoever came while it was made', async () => {
    const rig = new Rig({ max: 1, keepaliveMillis: 5_000, idleTimeoutMillis: 0 });
    await rig.idle(1);
    rig.seam.gates.check.next(slow(300));
    await rig.clock.advance(5_100);
    const caller = rig.ask('caller');
    expect(rig.pool.snapshot().tending).toBe(1);
    await rig.clock.advance(300);
    expect(caller.connection).toBe(1);
  });
});

describe('a connection that is lost', () => {
  test('while idle is closed, counted and replaced when needed', async () => {
    const rig = new Rig();
    await rig.idle(1);
    rig.seam.lose(rig.connection(1));
    await rig.clock.settle();
    expect(rig.pool.snapshot()).toMatchObject({ size: 0, closed: { lost: 1 } });
    expect((await rig.lease()).connection).toBe(2);
  });

  test('while leased stays its holder’s until it is given back', async () => {
    const rig = new Rig();
    const caller = await rig.lease();
    rig.seam.lose(rig.connection(1));
    await rig.clock.settle();
    expect(rig.pool.snapshot()).toMatchObject({ leased: 1, size: 1 });
    rig.giveBack(caller, { kind: 'discard', reason: 'lost' });
    await rig.clock.settle();
    expect(rig.pool.snapshot()).toMatchObject({ size: 0, closed: { lost: 1 } });
  });

  test('makes the others suspect when its end says so', async () => {
    const rig = new Rig({ max: 3 });
    await rig.idle(3);
    rig.seam.gates.check.always(fails);
    rig.seam.lose(rig.connection(2), new ScriptedError('57P01', { contagion: 'suspect' }));
    await rig.clock.settle();
    expect(rig.closed()).toEqual({ lost: 1, 'check-failed': 2 });
  });

  test('says nothing of the others when it ended alone', async () => {
    const rig = new Rig({ max: 3 });
    await rig.idle(3);
    rig.seam.lose(rig.connection(2));
    await rig.clock.settle();
    expect(rig.pool.snapshot()).toMatchObject({ idle: 2, closed: { lost: 1 } });
    expect(rig.seam.log.join()).not.toContain('check');
  });

  test('while it is checked is not lent', async () => {
    const rig = await stalePool(1);
    rig.seam.gates.check.next(slow(100));
    const caller = rig.ask('caller');
    await rig.clock.advance(50);
    rig.seam.lose(rig.connection(1));
    await rig.clock.advance(60);
    expect(caller.connection).toBe(2);
  });
});

describe('a failed statement', () => {
  test('that tells of a server on its way down has the idle ones checked', async () => {
    const rig = new Rig({ max: 3 });
    const [first, ...others] = await rig.leases(3);
    for (const other of others) rig.giveBack(other);
    rig.learn(first, new ScriptedError('57P02', { contagion: 'suspect' }));
    await rig.clock.settle();
    expect(rig.seam.log.filter((line) => line.endsWith('check')).length).toBe(2);
    expect(rig.pool.snapshot()).toMatchObject({ idle: 2, leased: 1 });
  });

  test('that tells of a demoted primary replaces all connections', async () => {
    const rig = new Rig({ max: 3 });
    const [first, second, third] = await rig.leases(3);
    await rig.clock.advance(6_000);
    rig.giveBack(third as never);
    rig.learn(first, new ScriptedError('25006', { contagion: 'stale' }));
    for (const caller of [first, second]) rig.giveBack(caller as never);
    await rig.clock.settle();
    expect(rig.pool.snapshot()).toMatchObject({ size: 0, closed: { invalidated: 3 } });
  });

  test('says nothing when its lease has ended, whoever has the connection now', async () => {
    const rig = new Rig({ max: 2 });
    const [first, other] = await rig.leases(2);
    rig.giveBack(other as Caller);
    rig.giveBack(first as Caller);
    const next = await rig.lease('next');
    expect(next.connection).toBe(first?.connection);
    rig.learn(first, new ScriptedError('57P02', { contagion: 'suspect' }));
    await rig.clock.settle();
    expect(rig.seam.log.join()).not.toContain('check');
  });

  test('of that kind replaces them once, and not at every statement', async () => {
    const rig = new Rig({ max: 3 });
    const caller = await rig.lease();
    for (let turn = 0; turn < 10; turn += 1) {
      rig.learn(caller, new ScriptedError('25006', { contagion: 'stale' }));
      await rig.clock.advance(100);
    }
    rig.giveBack(caller);
    expect(rig.pool.snapshot()).toMatchObject({ idle: 1 });
  });
});

describe('a process that was not awake', () => {
  test('checks its idle connections when the loop was blocked for seconds', async () => {
    const rig = await watchedPool();
    rig.clock.block(10_000);
    await rig.clock.advance(0);
    expect(rig.seam.log.filter((line) => line.endsWith('check')).length).toBe(3);
  });

  test('checks them when only the wall clock went on', async () => {
    const rig = await watchedPool();
    rig.clock.sleep(3_600_000);
    await rig.clock.advance(1_000);
    expect(rig.seam.log.filter((line) => line.endsWith('check')).length).toBe(3);
  });

  test('lends none unchecked when only the wall clock went on, and checks them once', async () => {
    const rig = await watchedPool();
    rig.clock.sleep(3_600_000);
    const taken = rig.take();
    const caller = rig.ask('early');
    await rig.clock.settle();
    expect([taken, caller.state]).toEqual([undefined, 'served']);
    await rig.clock.advance(2_500);
    expect(rig.seam.log.filter((line) => line.endsWith('check')).sort()).toEqual(['1: check', '2: check', '3: check']);
  });

  test('does not look at the wall clock for a connection that has hardly rested', async () => {
    const rig = await watchedPool();
    rig.giveBack(await rig.lease());
    rig.clock.sleep(3_600_000);
    await rig.clock.advance(50);
    expect(rig.take()).toBeDefined();
  });

  test('checks nothing when the wall clock was set back', async () => {
    const rig = await watchedPool();
    rig.clock.sleep(-3_600_000);
    await rig.clock.advance(2_000);
    expect(rig.seam.log).toEqual([]);
  });

  test('lends no connection unchecked to whoever comes before the late tick', async () => {
    const rig = await watchedPool();
    rig.clock.block(10_000);
    expect(rig.pool.take({ name: 'early', queriedMillis: () => 0 })).toBeUndefined();
    const caller = rig.ask('early');
    await rig.clock.advance(0);
    expect(rig.seam.log.slice(0, 3).every((line) => line.endsWith('check'))).toBe(true);
    expect(caller.state).toBe('served');
  });

  test('lends none unchecked to a member of a group either', async () => {
    const rig = await watchedPool({ groups: { reports: { maxConcurrent: 2 } } });
    rig.clock.block(10_000);
    rig.seam.gates.check.always(slow(10));
    const caller = rig.ask('report', { group: 'reports' });
    expect(rig.pool.snapshot().leased).toBe(0);
    await rig.clock.advance(10);
    expect(caller.state).toBe('served');
  });

  test('replaces what did not survive', async () => {
    const rig = await watchedPool({ min: 2 });
    rig.seam.gates.check.always(failing('ECONNRESET'));
    rig.clock.block(10_000);
    await rig.clock.advance(0);
    expect(rig.closed()).toEqual({ 'check-failed': 3 });
    expect(rig.pool.snapshot()).toMatchObject({ idle: 2, size: 2 });
  });
});

describe('half-open connections', () => {
  test('are replaced although neither a check nor a goodbye is answered', async () => {
    const rig = await stalePool(3, { acquireTimeoutMillis: 30_000 });
    rig.seam.gates.check.always(never);
    rig.seam.gates.close.next(never, never, never);
    const caller = rig.ask('caller');
    await rig.clock.advance(4_100);
    expect(rig.pool.snapshot()).toMatchObject({ closing: 3, overdue: 3, size: 3 });
    expect(caller.state).toBe('waiting');
    await rig.clock.advance(5_000);
    expect(caller.connection).toBe(4);
    expect(rig.closed()).toEqual({ 'check-failed': 3 });
  });

  test('are counted for as long as the server cannot be asked', async () => {
    const rig = await stalePool(1);
    rig.seam.gates.check.always(never);
    rig.seam.gates.close.always(never);
    rig.seam.gates.confirm.always(fails);
    rig.ask('caller');
    await rig.clock.advance(60_000);
    expect(rig.pool.snapshot()).toMatchObject({ overdue: 1, size: 1 });
    rig.seam.gates.confirm.always(slow(5));
    await rig.clock.advance(2_000);
    expect(rig.pool.snapshot().size).toBe(0);
  });

  test('are asked about again when an answer fails to come', async () => {
    const rig = await stalePool(1);
    rig.seam.gates.check.next(never);
    rig.seam.gates.close.next(never);
    rig.seam.gates.confirm.next(never);
    rig.ask('caller');
    await rig.clock.advance(60_000);
    expect(rig.pool.snapshot().overdue).toBe(0);
  });
});
