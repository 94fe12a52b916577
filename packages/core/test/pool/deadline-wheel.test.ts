import { describe, expect, test } from '@lifeguard/testkit/vitest';
import fc from 'fast-check';
import { DeadlineEntry, DeadlineWheel } from '../../src/deadline-wheel.ts';
import { FakeClock } from './fake-clock.ts';

class Alarm extends DeadlineEntry {
  rang: number[] = [];
  readonly onRing: (now: number) => void;

  constructor(onRing: (now: number) => void = () => undefined) {
    super();
    this.onRing = onRing;
  }

  override expire(now: number): void {
    this.rang.push(now);
    this.onRing(now);
  }
}

function wheelAndClock() {
  const clock = new FakeClock();
  return { clock, wheel: new DeadlineWheel(clock), start: clock.now() };
}

describe('an armed entry', () => {
  test('expires once, at its time or a little later', async () => {
    const { clock, wheel, start } = wheelAndClock();
    const alarm = new Alarm();
    wheel.arm(alarm, start + 100);
    await clock.advance(99);
    expect(alarm.rang).toEqual([]);
    await clock.advance(9_000);
    expect(alarm.rang.length).toBe(1);
    expect(alarm.rang[0]).toBeGreaterThanOrEqual(start + 100);
    expect(alarm.rang[0]).toBeLessThanOrEqual(start + 108);
  });

  test('expires in a later turn of the wheel where it belongs there', async () => {
    const { clock, wheel, start } = wheelAndClock();
    const [near, far] = [new Alarm(), new Alarm()];
    wheel.arm(near, start + 50);
    wheel.arm(far, start + 50 + 4_096);
    await clock.advance(4_000);
    expect([near.rang.length, far.rang.length]).toEqual([1, 0]);
    await clock.advance(200);
    expect(far.rang.length).toBe(1);
  });

  test('expires at once when its time has passed', async () => {
    const { clock, wheel, start } = wheelAndClock();
    const alarm = new Alarm();
    wheel.arm(alarm, start - 1_000);
    await clock.advance(8);
    expect(alarm.rang.length).toBe(1);
  });

  test('expires although the loop was blocked for more than a turn', async () => {
    const { clock, wheel, start } = wheelAndClock();
    const alarms = Array.from({ length: 100 }, () => new Alarm());
    alarms.forEach((alarm, index) => void wheel.arm(alarm, start + index * 50));
    clock.block(60_000);
    await clock.advance(0);
    expect(alarms.every(({ rang }) => rang.length === 1)).toBe(true);
    expect(clock.pending).toBe(0);
  });

  test('never expires once it was disarmed', async () => {
    const { clock, wheel, start } = wheelAndClock();
    const alarms = Array.from({ length: 5 }, () => new Alarm());
    for (const alarm of alarms) wheel.arm(alarm, start + 100);
    for (const index of [2, 0, 4]) wheel.disarm(alarms[index] as Alarm);
    wheel.disarm(alarms[2] as Alarm);
    await clock.advance(1_000);
    expect(alarms.map(({ rang }) => rang.length)).toEqual([0, 1, 0, 1, 0]);
  });

  test('may disarm its neighbours when it expires', async () => {
    const { clock, wheel, start } = wheelAndClock();
    const alarms: Alarm[] = Array.from(
      { length: 6 },
      () => new Alarm(() => alarms.forEach((one) => void wheel.disarm(one))),
    );
    for (const alarm of alarms) wheel.arm(alarm, start + 100);
    await clock.advance(1_000);
    expect(alarms.reduce((sum, { rang }) => sum + rang.length, 0)).toBe(1);
    expect(clock.pending).toBe(0);
  });

  test('may move a neighbour to a later time when it expires', async () => {
    const { clock, wheel, start } = wheelAndClock();
    const moved = new Alarm();
    const mover = new Alarm(() => {
      wheel.disarm(moved);
      wheel.arm(moved, start + 500);
    });
    const others = [new Alarm(), new Alarm()];
    for (const alarm of [...others, moved, mover]) wheel.arm(alarm, start + 100);
    await clock.advance(120);
    expect([...others, moved].map(({ rang }) => rang.length)).toEqual([1, 1, 0]);
    await clock.advance(500);
    expect(moved.rang.length).toBe(1);
  });

  test('does not put off others when it is armed while one expires', async () => {
    const { clock, wheel, start } = wheelAndClock();
    const late = new Alarm();
    const first = new Alarm(() => void wheel.arm(late, start + 3_000));
    const second = new Alarm();
    wheel.arm(first, start + 10);
    wheel.arm(second, start + 100);
    await clock.advance(110);
    expect([first.rang.length, second.rang.length]).toEqual([1, 1]);
    await clock.advance(3_000);
    expect(late.rang.length).toBe(1);
  });
});

describe('the timer of a wheel', () => {
  test('is one for all entries, and keeps no process alive for an empty wheel', () => {
    const { clock, wheel, start } = wheelAndClock();
    const alarms = Array.from({ length: 1_000 }, () => new Alarm());
    alarms.forEach((alarm, index) => void wheel.arm(alarm, start + 5_000 - index));
    expect(clock.pending).toBe(1);
    for (const alarm of alarms) wheel.disarm(alarm);
    expect(clock.pending).toBe(0);
  });
});

test('every entry of a random history expires in time, or never if it was disarmed', async () => {
  const step = fc.record({
    kind: fc.constantFrom('arm', 'disarm', 'pass'),
    index: fc.nat(15),
    millis: fc.oneof(fc.nat(200), fc.nat(20_000)),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { clock, wheel } = wheelAndClock();
      const alarms = Array.from({ length: 16 }, () => new Alarm());
      const due = new Map<Alarm, number>();
      for (const { kind, index, millis } of steps) {
        const alarm = alarms[index] as Alarm;
        if (kind === 'pass') await clock.advance(millis);
        else wheel.disarm(alarm);
        if (kind !== 'pass') due.delete(alarm);
        if (kind === 'arm') due.set(alarm, clock.now() + millis);
        if (kind === 'arm') wheel.arm(alarm, clock.now() + millis);
        checkRings(alarms, due, clock.now());
      }
      // A timer that counts is set exactly while something is armed.
      expect(clock.pending).toBe(Math.min(1, due.size));
    }),
    { numRuns: process.env['LIFEGUARD_LONG'] === '1' ? 5_000 : 200 },
  );
});

/** Takes note of what rang, and compares it with what should have. */
function checkRings(alarms: readonly Alarm[], due: Map<Alarm, number>, now: number): void {
  for (const alarm of alarms) {
    const expected = due.get(alarm);
    for (const rang of alarm.rang.splice(0)) {
      expect(expected).toBeDefined();
      expect(rang - (expected ?? 0)).toBeGreaterThanOrEqual(0);
      expect(rang - (expected ?? 0)).toBeLessThanOrEqual(8);
      due.delete(alarm);
    }
    if (due.has(alarm)) expect(now - (expected ?? 0)).toBeLessThanOrEqual(8);
  }
}
