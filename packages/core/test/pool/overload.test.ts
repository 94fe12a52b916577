import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { Overload } from '../../src/pool/overload.ts';
import { Owner } from '../../src/pool/waiters.ts';
import { type Caller, Rig } from './rig.ts';

const overload = { targetWaitMillis: 100, intervalMillis: 500 };

interface Load {
  /** Milliseconds between two arrivals. */
  readonly every: number;
  readonly holdMillis: number;
  readonly forMillis: number;
}

/** Somebody arrives again and again, and whoever is served holds its connection for as long. */
async function run(rig: Rig, { every, holdMillis, forMillis }: Load): Promise<Caller[]> {
  const first = rig.callers.length;
  const since = new Map<Caller, number>();
  const waits: number[] = [];
  for (let at = 0; at < forMillis; at += 5) {
    if (at % every === 0) rig.ask('visitor', { deadline: rig.clock.now() + 5_000 });
    await rig.clock.advance(5);
    for (const caller of rig.callers) {
      if (caller.state !== 'served') continue;
      if (!since.has(caller)) since.set(caller, rig.clock.now());
      waits.push(rig.clock.now() - (caller.slot?.state.since ?? 0));
      if (rig.clock.now() - (since.get(caller) ?? 0) >= holdMillis) rig.giveBack(caller);
    }
  }
  return rig.callers.slice(first);
}

function shed(callers: readonly Caller[]): number {
  return callers.filter(({ error }) => error?.code === 'ERR_LIFEGUARD_OVERLOADED').length;
}

describe('a line under load', () => {
  test('sheds nobody while the load is below capacity', async () => {
    const rig = new Rig({ max: 2, overload });
    const callers = await run(rig, { every: 20, holdMillis: 30, forMillis: 5_000 });
    expect(shed(callers)).toBe(0);
  });

  test('sheds nobody in a burst that is over within the interval', async () => {
    const rig = new Rig({ max: 2, overload });
    await rig.leases(2);
    rig.askMany(20);
    for (let turn = 0; turn < 20; turn += 1) {
      await rig.clock.advance(25);
      rig.giveBackAll();
      await rig.clock.settle();
    }
    expect(rig.pool.snapshot()).toMatchObject({ shed: 0, acquired: 22 });
  });

  test('sheds newcomers when it has stood above its target for the interval', async () => {
    const rig = new Rig({ max: 2, overload });
    const callers = await run(rig, { every: 5, holdMillis: 30, forMillis: 6_000 });
    expect(shed(callers)).toBeGreaterThan(300);
    expect(callers.filter(({ state }) => state === 'done').length).toBeGreaterThan(300);
    const refusal = callers.find(({ error }) => error?.code === 'ERR_LIFEGUARD_OVERLOADED')?.error;
    expect(refusal).toMatchObject({ statusCode: 503, retryable: true });
    expect(refusal?.retryAfterSeconds).toBeGreaterThanOrEqual(1);
  });

  test('keeps the wait near its target while it sheds', async () => {
    const rig = new Rig({ max: 2, overload });
    await run(rig, { every: 5, holdMillis: 30, forMillis: 4_000 });
    await run(rig, { every: 5, holdMillis: 30, forMillis: 4_000 });
    expect(rig.pool.snapshot().oldestWaitMillis).toBeLessThanOrEqual(250);
  });

  test('goes on serving nearly at capacity while it sheds', async () => {
    const rig = new Rig({ max: 2, overload });
    await run(rig, { every: 5, holdMillis: 30, forMillis: 2_000 });
    const callers = await run(rig, { every: 5, holdMillis: 30, forMillis: 6_000 });
    const capacity = (2 * 6_000) / 35;
    expect(callers.filter(({ state }) => state === 'done').length).toBeGreaterThan(0.9 * capacity);
  });

  test('takes everybody again when the load has gone', async () => {
    const rig = new Rig({ max: 2, overload });
    await run(rig, { every: 5, holdMillis: 30, forMillis: 3_000 });
    await run(rig, { every: 50, holdMillis: 30, forMillis: 1_500 });
    const callers = await run(rig, { every: 20, holdMillis: 30, forMillis: 3_000 });
    expect(shed(callers)).toBe(0);
  });

  test('never sheds who was admitted before', async () => {
    const rig = new Rig({ max: 1, overload });
    const owner = new Owner();
    rig.giveBack(await rig.lease('first', { owner }));
    const own: Caller[] = [];
    for (let round = 0; round < 40; round += 1) {
      own.push(rig.ask('again', { owner, deadline: rig.clock.now() + 5_000 }));
      await run(rig, { every: 10, holdMillis: 40, forMillis: 100 });
    }
    expect(rig.pool.snapshot().shed).toBeGreaterThan(50);
    expect(shed(own)).toBe(0);
  });

  test('sheds nobody where it is switched off', async () => {
    const rig = new Rig({ max: 1, overload: false });
    const callers = await run(rig, { every: 10, holdMillis: 40, forMillis: 4_000 });
    expect(shed(callers)).toBe(0);
  });

  test('does not take a restart of the server for overload', async () => {
    const rig = new Rig({ max: 2, overload });
    await rig.idle(2);
    for (const connection of [...rig.seam.connections]) rig.seam.lose(connection);
    rig.seam.gates.connect.always({ kind: 'fails', error: new Error('starting up') as never });
    const callers = rig.askMany(20, { deadline: rig.clock.now() + 5_000 });
    await rig.clock.advance(1_500);
    rig.seam.gates.connect.always({ kind: 'ok' });
    for (let turn = 0; turn < 60; turn += 1) {
      await rig.clock.advance(30);
      rig.giveBackAll();
    }
    expect(rig.states(callers)).toEqual(callers.map(() => 'done'));
  });

  test('judges each group by its own line', async () => {
    const rig = new Rig({ max: 4, overload, groups: { reports: { maxConcurrent: 1 } } });
    await rig.lease('report', { group: 'reports' });
    for (let at = 0; at < 200; at += 1) {
      rig.ask('report', { group: 'reports' });
      await rig.clock.advance(10);
    }
    const callers = await run(rig, { every: 50, holdMillis: 30, forMillis: 1_000 });
    expect(rig.pool.snapshot().shed).toBeGreaterThan(0);
    expect(shed(callers)).toBe(0);
  });
});

describe('the mood of a line', () => {
  test('turns to shedding only when the wait stays above the target', () => {
    const line = new Overload(overload);
    for (let now = 0; now < 5_000; now += 100) expect(line.drops(now % 400 === 0 ? 50 : 150, now)).toBe(false);
    expect(line.refuses({ ahead: 0, stood: 150, now: 5_000 })).toBe(false);
    for (let now = 5_000; now < 5_600; now += 100) line.drops(150, now);
    expect(line.refuses({ ahead: 0, stood: 150, now: 5_600 })).toBe(true);
  });

  test('calms down when nobody had to be refused for an interval', () => {
    const line = new Overload(overload);
    for (let now = 0; now <= 600; now += 100) line.drops(300, now);
    expect(line.drops(300, 700)).toBe(true);
    expect(line.drops(50, 1_100)).toBe(false);
    expect(line.drops(50, 1_300)).toBe(false);
    expect(line.drops(300, 1_300)).toBe(false);
  });

  test('tells when a line will have gone by the time between two services', () => {
    const line = new Overload(overload);
    expect(line.drainSeconds(1_000)).toBe(1);
    for (let now = 0; now <= 20_000; now += 100) line.served(now);
    expect(line.drainSeconds(50)).toBeGreaterThanOrEqual(5);
    expect(line.drainSeconds(50)).toBeLessThanOrEqual(6);
    expect(line.drainSeconds(1_000_000)).toBe(30);
  });
});
