import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { failing, fails, never, slow } from './gate.ts';
import { type Caller, Rig } from './rig.ts';

/** Five warm connections of fifty, and a server that takes 150 ms to accept one more. */
async function warmPool(holdMillis: number): Promise<Rig> {
  const rig = new Rig({ max: 50, min: 5 });
  await rig.clock.advance(0);
  for (let round = 0; round < 20; round += 1) {
    await rig.leases(5);
    await rig.clock.advance(holdMillis);
    rig.giveBackAll();
    await rig.clock.settle();
  }
  expect(rig.pool.snapshot().size).toBe(5);
  rig.seam.gates.connect.always(slow(150));
  return rig;
}

/** Everybody who is served gives back after as long, until nobody is left. */
async function serveAll(rig: Rig, callers: readonly Caller[], holdMillis: number): Promise<void> {
  const since = new Map<Caller, number>();
  while (callers.some(({ state }) => state !== 'done')) {
    for (const caller of callers) {
      if (caller.state === 'served' && !since.has(caller)) since.set(caller, rig.clock.now());
      if (caller.state === 'served' && rig.clock.now() - (since.get(caller) ?? 0) >= holdMillis) rig.giveBack(caller);
    }
    await rig.clock.advance(1);
  }
}

describe('a spike of fifty callers', () => {
  test('opens few connections when leases come back at once', async () => {
    const rig = await warmPool(2);
    await serveAll(rig, rig.askMany(50), 2);
    expect(rig.seam.peak).toBeLessThanOrEqual(8);
  });

  test('opens many when leases are held for long', async () => {
    const rig = await warmPool(500);
    const callers = rig.askMany(50);
    await rig.clock.advance(1);
    expect(rig.pool.snapshot().connecting).toBeGreaterThan(20);
    await serveAll(rig, callers, 500);
    expect(rig.seam.peak).toBeGreaterThan(40);
  });

  test('opens many as soon as nothing has come back for a while', async () => {
    const rig = await warmPool(2);
    await rig.clock.advance(1);
    rig.askMany(50);
    await rig.clock.advance(19);
    expect(rig.pool.snapshot().connecting).toBeLessThanOrEqual(3);
    await rig.clock.advance(2);
    expect(rig.pool.snapshot().connecting).toBe(45);
  });

  test('does not take a blocked loop for connections that do not come back', async () => {
    const rig = await warmPool(2);
    rig.askMany(50);
    await rig.clock.settle();
    rig.clock.block(200);
    await rig.clock.advance(0);
    expect(rig.pool.snapshot().connecting).toBeLessThanOrEqual(3);
  });
});

describe('a dial', () => {
  test('is not awaited by the caller who caused it', async () => {
    const rig = new Rig({ max: 2 });
    const holder = await rig.lease('holder');
    rig.seam.gates.connect.next(slow(1_000));
    const caller = rig.ask('caller');
    await rig.clock.advance(10);
    rig.giveBack(holder);
    await rig.clock.settle();
    expect(caller.connection).toBe(1);
    await rig.clock.advance(1_000);
    expect(rig.pool.snapshot()).toMatchObject({ idle: 1, leased: 1 });
  });

  test('goes on when its caller gives up, and becomes idle', async () => {
    const rig = new Rig({}, (seam) => seam.gates.connect.next(slow(100)));
    const giveUp = new AbortController();
    rig.ask('leaver', { signal: giveUp.signal });
    await rig.clock.advance(50);
    giveUp.abort();
    await rig.clock.advance(60);
    expect(rig.pool.snapshot()).toMatchObject({ idle: 1, size: 1, closed: {} });
  });

  test('goes to the next in the line when its caller gave up', async () => {
    const rig = new Rig({ max: 1 }, (seam) => seam.gates.connect.next(slow(100)));
    rig.ask('late', { deadline: rig.clock.now() + 50 });
    const next = rig.ask('next');
    await rig.clock.advance(100);
    expect(rig.log).toEqual(['late: ERR_LIFEGUARD_DEADLINE', 'next: served by 1']);
    expect(next.state).toBe('served');
    expect(rig.seam.dials).toBe(1);
  });

  test('that gets no answer is given up at its own limit', async () => {
    const rig = new Rig({ connectionTimeoutMillis: 300, acquireTimeoutMillis: 10_000 });
    rig.seam.gates.connect.next(never);
    const caller = rig.ask('caller');
    await rig.clock.advance(299);
    expect(rig.pool.snapshot()).toMatchObject({ connecting: 1, failedDials: 0 });
    await rig.clock.advance(1_000);
    expect(caller.state).toBe('served');
    expect(rig.closed()).toEqual({ 'dial-timed-out': 1 });
  });

  test('that comes after it was given up is closed, and counted until then', async () => {
    const rig = new Rig({ max: 1, connectionTimeoutMillis: 300, acquireTimeoutMillis: 10_000 });
    rig.seam.gates.connect.next(slow(2_000));
    const caller = rig.ask('caller');
    await rig.clock.advance(1_999);
    expect(rig.pool.snapshot()).toMatchObject({ closing: 1, size: 1, failedDials: 1 });
    await rig.clock.advance(1_500);
    expect(caller.connection).toBe(2);
    expect(rig.seam.log).toContain('1: ended');
  });

  test('that fails gives its place to another one', async () => {
    const rig = new Rig({ max: 1 }, (seam) => seam.gates.connect.next(fails));
    const callers = rig.askMany(5);
    for (let turn = 0; turn < 10; turn += 1) {
      await rig.clock.advance(300);
      rig.giveBackAll();
    }
    expect(rig.states(callers)).toEqual(['done', 'done', 'done', 'done', 'done']);
    expect(rig.pool.snapshot()).toMatchObject({ failedDials: 1, opened: 1 });
  });

  test('that no limit is set for may take as long as it likes', async () => {
    const rig = new Rig({ connectionTimeoutMillis: 0, acquireTimeoutMillis: 0 });
    rig.seam.gates.connect.next(slow(60_000));
    const caller = rig.ask('patient');
    await rig.clock.advance(60_000);
    expect(caller.state).toBe('served');
  });
});

describe('the minimum', () => {
  test('is opened at once, without a caller', async () => {
    const rig = new Rig({ max: 20, min: 6 });
    await rig.clock.advance(0);
    expect(rig.pool.snapshot()).toMatchObject({ idle: 6, size: 6 });
  });

  test('is filled a few at a time', async () => {
    const rig = new Rig({ max: 20, min: 10 }, (seam) => seam.gates.connect.always(slow(50)));
    expect(rig.pool.snapshot().connecting).toBe(4);
    await rig.clock.advance(150);
    expect(rig.pool.snapshot()).toMatchObject({ idle: 10, connecting: 0 });
  });

  test('is filled again when connections die', async () => {
    const rig = new Rig({ max: 5, min: 3 });
    await rig.clock.advance(0);
    for (const connection of [...rig.seam.connections]) rig.seam.lose(connection);
    await rig.clock.advance(0);
    expect(rig.pool.snapshot()).toMatchObject({ idle: 3, size: 3, closed: { lost: 3 } });
  });

  test('is filled again when a lease is given away', async () => {
    const rig = new Rig({ max: 5, min: 3 });
    await rig.clock.advance(0);
    const caller = await rig.lease();
    rig.giveBack(caller, { kind: 'discard', reason: 'in-transaction' });
    await rig.clock.advance(0);
    expect(rig.pool.snapshot()).toMatchObject({ idle: 3, closed: { 'in-transaction': 1 } });
  });

  test('serves a caller who came while it was being replaced', async () => {
    const rig = new Rig({ max: 1, min: 1 });
    await rig.clock.advance(0);
    rig.seam.gates.connect.next(slow(200));
    rig.seam.lose(rig.connection(1));
    const caller = rig.ask('caller');
    await rig.clock.advance(200);
    expect(caller.connection).toBe(2);
  });
});

describe('overflow and reserve', () => {
  test('the overflow is opened while there is a line', async () => {
    const rig = new Rig({ max: 2, overflow: 2 });
    const callers = rig.askMany(6);
    await rig.clock.advance(100);
    expect(rig.count('served')).toBe(4);
    expect(rig.pool.snapshot()).toMatchObject({ size: 4, max: 2, waiting: 2 });
    expect(callers.length).toBe(6);
  });

  test('the overflow is closed when it comes back to no line', async () => {
    const rig = new Rig({ max: 2, overflow: 2 });
    await rig.leases(4);
    rig.giveBackAll();
    await rig.clock.settle();
    expect(rig.pool.snapshot()).toMatchObject({ idle: 2, size: 2, closed: { surplus: 2 } });
  });

  test('the reserve is opened only for one who has waited for long', async () => {
    const rig = new Rig({ max: 2, overflow: 1, reserve: 1, reserveAfterMillis: 700 });
    await rig.leases(3);
    const since = rig.clock.now();
    const [first, second] = rig.askMany(2);
    await rig.clock.advance(699 - (rig.clock.now() - since));
    expect(rig.pool.snapshot()).toMatchObject({ size: 3, waiting: 2 });
    await rig.clock.advance(1_000);
    expect(first?.state).toBe('served');
    expect(second?.state).toBe('waiting');
    expect(rig.pool.snapshot().size).toBe(4);
  });

  test('the reserve is opened soon after that time, and not a second later', async () => {
    const rig = new Rig({ max: 1, reserve: 1, reserveAfterMillis: 100 });
    await rig.lease('holder');
    await rig.clock.advance(3);
    const caller = rig.ask('caller', { deadline: rig.clock.now() + 200 });
    await rig.clock.advance(210);
    expect(caller.state).toBe('served');
  });
});

describe('an outage', () => {
  test('is probed by one dial at a time', async () => {
    const rig = new Rig({ max: 20, acquireTimeoutMillis: 60_000 });
    rig.seam.gates.connect.always(failing('ECONNREFUSED'));
    rig.askMany(30);
    await rig.clock.advance(200);
    const dials = rig.seam.dials;
    rig.seam.gates.connect.always(never);
    await rig.clock.advance(4_000);
    expect(rig.seam.dials - dials).toBe(1);
    expect(rig.pool.snapshot().connecting).toBe(1);
  });

  test('costs few dials per second, however many callers there are', async () => {
    const rig = new Rig({ max: 20 }, (seam) => seam.gates.connect.always(fails));
    await askDuring(rig, 3_000);
    const before = rig.seam.dials;
    await askDuring(rig, 20_000);
    expect((rig.seam.dials - before) / 20).toBeLessThanOrEqual(5);
  });

  test('keeps callers waiting for two seconds, and then refuses them with the cause', async () => {
    const rig = new Rig({ max: 5, acquireTimeoutMillis: 30_000 }, (seam) => seam.gates.connect.always(failing('down')));
    const caller = rig.ask('early');
    await rig.clock.advance(1_999);
    expect(caller.state).toBe('waiting');
    expect(rig.pool.snapshot().health).toBe('failing');
    await rig.clock.advance(1_000);
    expect(caller.error).toMatchObject({ code: 'ERR_LIFEGUARD_UNAVAILABLE', retryAfterSeconds: 1 });
    expect(caller.error?.cause).toMatchObject({ message: 'down' });
    expect(rig.pool.snapshot().health).toBe('broken');
  });

  test('refuses newcomers at once while the breaker is open', async () => {
    const rig = new Rig({}, (seam) => seam.gates.connect.always(failing('down')));
    rig.ask('early');
    await rig.clock.advance(3_000);
    const late = rig.ask('late');
    await rig.clock.settle();
    expect(late.error).toMatchObject({ code: 'ERR_LIFEGUARD_UNAVAILABLE', cause: { message: 'down' } });
  });

  test('is over without a caller having to find out', async () => {
    const rig = new Rig({}, (seam) => seam.gates.connect.always(fails));
    rig.ask('early');
    await rig.clock.advance(3_000);
    rig.seam.gates.connect.always(slow(1));
    await rig.clock.advance(1_000);
    expect(rig.pool.snapshot()).toMatchObject({ health: 'recovering', idle: 1 });
    expect((await rig.lease()).state).toBe('served');
  });

  test('leaves those who have connections alone', async () => {
    const rig = new Rig({ max: 3 });
    const holder = await rig.lease('holder');
    rig.seam.gates.connect.always(fails);
    const caller = rig.ask('caller');
    await rig.clock.advance(3_000);
    expect(rig.pool.snapshot()).toMatchObject({ health: 'broken', waiting: 1 });
    rig.giveBack(holder);
    await rig.clock.settle();
    expect(caller.connection).toBe(1);
  });

  test('names the last failure of a dial to those who run out of time', async () => {
    const rig = new Rig({ acquireTimeoutMillis: 500 }, (seam) => seam.gates.connect.always(failing('no route')));
    const caller = rig.ask('caller');
    await rig.clock.advance(510);
    expect(caller.error).toMatchObject({ code: 'ERR_LIFEGUARD_ACQUIRE_TIMEOUT', cause: { message: 'no route' } });
  });

  test('that was noticed long ago is not the same as the one that begins now', async () => {
    const rig = new Rig({ max: 2, acquireTimeoutMillis: 100 });
    const holder = await rig.lease('holder');
    rig.seam.gates.connect.always(fails);
    rig.ask('early');
    await rig.clock.advance(200);
    expect(rig.pool.snapshot().health).toBe('failing');
    await rig.clock.advance(3_600_000);
    rig.giveBack(holder, { kind: 'discard', reason: 'lost' });
    const caller = rig.ask('caller');
    await rig.clock.advance(50);
    expect([rig.pool.snapshot().health, caller.state]).toEqual(['failing', 'waiting']);
  });

  test('is followed by a slow start that doubles', async () => {
    const rig = new Rig({ max: 40, acquireTimeoutMillis: 60_000 }, (seam) => seam.gates.connect.always(fails));
    rig.askMany(40);
    await rig.clock.advance(1_000);
    rig.seam.gates.connect.always(slow(1_000));
    const widths: number[] = [];
    for (let turn = 0; turn < 50 && widths.length < 4; turn += 1) {
      await rig.clock.advance(100);
      const { connecting } = rig.pool.snapshot();
      if (connecting > 0 && connecting !== widths.at(-1)) widths.push(connecting);
    }
    expect(widths).toEqual([1, 2, 4, 8]);
  });

  test('that will not mend itself is told at once and probed seldom', async () => {
    const rig = new Rig({}, (seam) => seam.gates.connect.always(failing('28P01', { permanent: true })));
    const caller = rig.ask('caller');
    await rig.clock.advance(0);
    expect(caller.error).toMatchObject({ code: 'ERR_LIFEGUARD_REJECTED', retryable: false, statusCode: 500 });
    await rig.clock.advance(60_000);
    const dials = rig.seam.dials;
    await rig.clock.advance(60_000);
    expect(rig.seam.dials - dials).toBeLessThan(40);
  });
});

/** Somebody comes every ten milliseconds. */
async function askDuring(rig: Rig, millis: number): Promise<void> {
  for (let passed = 0; passed < millis; passed += 10) {
    rig.ask('visitor');
    await rig.clock.advance(10);
  }
}
