import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { type Caller, Rig, type RigOptions } from './rig.ts';

const SHARING = { shares: true } as const;

describe('somebody who wants a connection to himself while the lanes are never empty', () => {
  test('has the lane when he has waited for 50 ms', async () => {
    const rig = await busyLane({ max: 2 });
    const alone = rig.ask('alone');
    await readOn(rig, 48);
    expect([alone.state, rig.pool.snapshot()]).toMatchObject(['waiting', { lanes: 1, onLanes: 10 }]);
    await readOn(rig, 15);
    expect([alone.got, rig.pool.snapshot()]).toMatchObject(['lease', { lanes: 0, leased: 2, onLanes: 0 }]);
  });

  test('has it from those who share back when he is done', async () => {
    const rig = await busyLane({ max: 2 });
    const alone = rig.ask('alone');
    await readOn(rig, 65);
    const sharers = rig.callers.filter(({ state }) => state === 'waiting');
    rig.giveBack(alone);
    await rig.clock.settle();
    expect(sharers.map(({ got }) => got)).toEqual(Array(10).fill('place'));
    expect(rig.board()?.got).toBe('place');
  });

  test('is one of many, of whom each has it in turn', async () => {
    const rig = await busyLane({ max: 2 });
    const callers = rig.askMany(3);
    for (let turn = 0; turn < 3; turn += 1) {
      await readOn(rig, 70);
      for (const caller of callers) if (caller.state === 'served') rig.giveBack(caller);
    }
    expect(rig.states(callers)).toEqual(['done', 'done', 'done']);
  });

  test('waits where connections come back, and the lane goes on', async () => {
    const rig = await busyLane({ max: 3 });
    const callers = rig.askMany(8);
    for (let turn = 0; turn < 8; turn += 1) {
      await readOn(rig, 30);
      rig.giveBack(rig.callers.find(({ got, state }) => got === 'lease' && state === 'served') as Caller);
      await rig.clock.settle();
      expect(rig.pool.snapshot()).toMatchObject({ lanes: 1, onLanes: 10 });
    }
    expect(rig.states(callers)).toEqual(['served', 'served', ...Array(6).fill('done')].toSorted());
  });

  test('has one lane, and the readers go on on the other one', async () => {
    const rig = await busyLane({ max: 8 }, 20);
    expect(rig.pool.snapshot()).toMatchObject({ lanes: 2, leased: 6 });
    const alone = rig.ask('alone');
    await readOn(rig, 120);
    expect([alone.got, rig.pool.snapshot()]).toMatchObject(['lease', { lanes: 1, onLanes: 20, waiting: 0 }]);
  });

  test('and who leaves, leaves the lane to those who share', async () => {
    const rig = await busyLane({ max: 2 });
    const caller = new AbortController();
    const alone = rig.ask('alone', { signal: caller.signal });
    await readOn(rig, 55);
    caller.abort();
    await readOn(rig, 20);
    expect([alone.state, rig.pool.snapshot()]).toMatchObject(['refused', { lanes: 1, onLanes: 10, waiting: 0 }]);
  });

  test('has no lane emptied for him where only his group keeps him waiting', async () => {
    const rig = await busyLane({ max: 4, groups: { reports: { maxConcurrent: 1 } } }, 10, 0);
    await rig.lease('report', { group: 'reports' });
    const next = rig.ask('next', { group: 'reports' });
    for (let turn = 0; turn < 200; turn += 1) {
      await readOn(rig, 1);
      expect(rig.pool.snapshot()).toMatchObject({ lanes: 1, onLanes: 10, waiting: 1 });
    }
    expect(next.state).toBe('waiting');
  });
});

/** A lane, or as many as there may be, with so many on it. All other connections are leased, or as many as are said. */
async function busyLane(options: RigOptions, riders = 10, leased: number | 'the others' = 'the others'): Promise<Rig> {
  const rig = new Rig({ lanes: true, overload: false, acquireTimeoutMillis: 0, ...options });
  await rig.idle(options.max as number);
  rig.boardMany(riders);
  if (leased === 'the others') await rig.leases(rig.pool.snapshot().idle);
  return rig;
}

/** Each millisecond one reader is answered and asks again. */
async function readOn(rig: Rig, millis: number): Promise<void> {
  for (let turn = 0; turn < millis; turn += 1) {
    const reader = rig.callers.find(({ got, state }) => got === 'place' && state === 'served');
    if (reader !== undefined) rig.giveBack(reader);
    if (reader !== undefined && rig.board() === undefined) rig.ask('sharer', SHARING);
    await rig.clock.advance(1);
  }
}
