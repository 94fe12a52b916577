import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { Owner } from '../../src/pool/waiters.ts';
import { slow } from './gate.ts';
import { type Caller, Rig, type RigOptions } from './rig.ts';

const SHARING = { shares: true } as const;
/** Once he was served he is not shed, so that his line may stand for ever. */
const UNIT = { owner: new Owner() } as const;

describe('callers who share', () => {
  test('get a place or a connection, and can tell which', async () => {
    const rig = new Rig({ max: 4, lanes: true });
    const sharers = rig.askMany(3, SHARING);
    await rig.clock.settle();
    expect(sharers.map(({ got }) => got)).toEqual(['place', 'place', 'place']);
    expect(rig.pool.snapshot()).toMatchObject({ lanes: 1, onLanes: 3, size: 1 });
  });

  test.each([
    [50, 2],
    [64, 2],
    [200, 4],
  ])('call for few dials at a cold start: %i of them for %i at most', async (count, most) => {
    const rig = new Rig({ max: 50, lanes: true }, (seam) => seam.gates.connect.always(slow(5)));
    const sharers = rig.askMany(count, SHARING);
    await rig.clock.advance(19);
    expect(rig.states(sharers)).toEqual(sharers.map(() => 'served'));
    expect(rig.seam.dials).toBeLessThanOrEqual(most);
  });

  test('are spread over what is idle', async () => {
    const rig = new Rig({ max: 8, lanes: true });
    await rig.idle(8);
    rig.askMany(40, SHARING);
    await rig.clock.settle();
    expect([...rig.pool.lanes()].map(({ places }) => places)).toEqual([20, 20]);
  });

  test('share from the first connection on, also while others wait for one', async () => {
    const rig = new Rig({ max: 4, lanes: true });
    const [sharer, alone] = [rig.ask('sharer', SHARING), rig.ask('alone')];
    await rig.clock.advance(50);
    expect([sharer.got, alone.got]).toEqual(['place', 'lease']);
  });

  test('call for connections as others do where lanes are off', async () => {
    const rig = new Rig({ max: 3, lanes: false });
    const sharers = rig.askMany(3, SHARING);
    expect(rig.pool.snapshot().connecting).toBe(3);
    await rig.clock.advance(50);
    expect(sharers.map(({ got }) => got)).toEqual(['lease', 'lease', 'lease']);
  });

  test('get a place on the reserve, which is there for the oldest of all and for nobody else', async () => {
    const rig = new Rig({ max: 4, reserve: 1, reserveAfterMillis: 50, lanes: true });
    await rig.leases(4);
    const sharer = rig.ask('sharer', SHARING);
    await rig.clock.advance(40);
    const alone = rig.ask('alone');
    await rig.clock.advance(40);
    expect([sharer.got, alone.state]).toEqual(['place', 'waiting']);
    rig.giveBack(sharer);
    expect([rig.pool.snapshot().size, rig.closed()]).toEqual([5, { surplus: 1 }]);
  });

  test('and name a group get a connection that counts for it', async () => {
    const rig = new Rig({ max: 4, lanes: true, groups: { reports: { maxConcurrent: 1 } } });
    const reports = rig.askMany(2, { ...SHARING, group: 'reports' });
    await rig.clock.advance(50);
    expect(reports.map(({ got }) => got)).toEqual(['lease', undefined]);
  });

  test('get a connection of their own where there may be no further lane', async () => {
    const rig = await stalledLane({ max: 2 }, 2);
    const sharer = await rig.lease('sharer', SHARING);
    expect([sharer.got, sharer.connection]).toEqual(['lease', 1]);
  });

  test('get a connection from the pool for a lane that has fallen silent', async () => {
    const rig = await stalledLane({ max: 8 }, 1);
    const sharer = rig.ask('sharer', SHARING);
    await rig.clock.advance(100);
    expect([sharer.got, sharer.connection]).toEqual(['place', 2]);
  });
});

describe('the line of those who share', () => {
  test('moves on as soon as a place is left', async () => {
    const rig = await standingLine({});
    const sharers = rig.askMany(2, SHARING);
    rig.giveBack(rider(rig));
    await rig.clock.settle();
    expect(rig.states(sharers)).toEqual(['served', 'waiting']);
  });

  test('is not overtaken by newcomers', async () => {
    const rig = await standingLine({});
    const sharer = rig.ask('sharer', SHARING);
    rig.pool.pause();
    rig.giveBack(rider(rig));
    expect([rig.board(), sharer.state]).toEqual([undefined, 'waiting']);
    rig.pool.resume();
    expect(rig.board()).toBeUndefined();
  });

  test('moves by priority, then by arrival', async () => {
    const rig = await standingLine({});
    for (const [name, priority] of Object.entries({ low: 'low', first: 'normal', second: 'normal', high: 'high' })) {
      rig.ask(name, { ...SHARING, priority: priority as 'low' });
    }
    rig.log.length = 0;
    for (let place = 0; place < 4; place += 1) rig.giveBack(rider(rig));
    await rig.clock.settle();
    expect(rig.log.map((entry) => entry.split(':')[0])).toEqual(['high', 'first', 'second', 'low']);
  });

  test('does not wait for those who want a connection alone', async () => {
    const rig = await standingLine({});
    const [alone, sharer] = [rig.ask('alone'), rig.ask('sharer', SHARING)];
    rig.giveBack(rider(rig));
    await rig.clock.settle();
    expect(rig.states([alone, sharer])).toEqual(['waiting', 'served']);
  });

  test('leaves an empty lane to the first of all, who may want it alone', async () => {
    const rig = new Rig({ max: 2, lanes: true });
    await rig.leases(2);
    rig.giveBack(rig.callers[0] as never);
    const last = rig.board();
    rig.clock.block(21);
    const [alone, sharer] = [rig.ask('alone'), rig.ask('sharer', SHARING)];
    rig.giveBack(last as never);
    await rig.clock.settle();
    expect([alone.got, sharer.state]).toEqual(['lease', 'waiting']);
  });

  test('has places of its own: neither fills up for the other', async () => {
    const rig = await standingLine({ maxWaiting: 2 });
    const callers = [...rig.askMany(3), ...rig.askMany(3, SHARING)];
    await rig.clock.settle();
    expect(rig.states(callers)).toEqual(['waiting', 'waiting', 'refused', 'waiting', 'waiting', 'refused']);
  });

  test('is not shed because the other one stands', async () => {
    const rig = await standingLine({ overload: { targetWaitMillis: 20, intervalMillis: 50 }, acquireTimeoutMillis: 0 });
    rig.askMany(5);
    await rig.clock.advance(500);
    expect(rig.ask('alone').state).toBe('waiting');
    const sharer = rig.ask('sharer', SHARING);
    await rig.clock.settle();
    expect([rig.callers.at(-2)?.error?.code, sharer.state]).toEqual(['ERR_LIFEGUARD_OVERLOADED', 'waiting']);
  });

  test('is not overloaded by bursts, although the other one never ends', async () => {
    const rig = await standingLine({ overload: { targetWaitMillis: 20, intervalMillis: 50 }, acquireTimeoutMillis: 0 });
    rig.ask('alone', UNIT);
    for (let burst = 0; burst < 2; burst += 1) {
      rig.ask('sharer', SHARING);
      await oneFurther(rig, 30);
      rig.giveBack(rider(rig));
      await oneFurther(rig, 25);
    }
    rig.ask('sharer', SHARING);
    await oneFurther(rig, 22);
    const newcomer = rig.ask('newcomer', SHARING);
    await rig.clock.settle();
    expect([newcomer.state, rig.pool.snapshot().lanes]).toEqual(['waiting', 1]);
  });

  test('is served when the last one lets go of the lane that has stalled', async () => {
    const rig = new Rig({ max: 2, lanes: true });
    await rig.leases(2);
    rig.giveBack(rig.callers[0] as never);
    const last = rig.board();
    rig.clock.block(30);
    const sharers = rig.askMany(3, SHARING);
    rig.giveBack(last as never);
    await rig.clock.settle();
    expect(sharers.map(({ got }) => got)).toEqual(['place', 'place', 'place']);
  });

  test('tells in its errors how many connections are shared', async () => {
    const rig = await standingLine({ acquireTimeoutMillis: 100 });
    const sharer = rig.ask('sharer', SHARING);
    await rig.clock.advance(200);
    expect(sharer.error?.message).toContain('size 2 of 2: 1 leased, 1 shared (lanes), 0 idle');
    expect(sharer.error?.message).toContain('All are leased or shared: look for what holds them');
    expect(sharer.error?.figures).toMatchObject({ leased: 1, lanes: 1 });
  });

  test('is told in the waits of the snapshot', async () => {
    const rig = await standingLine({});
    rig.ask('sharer', SHARING);
    await rig.clock.advance(200);
    rig.giveBack(rider(rig));
    expect(rig.pool.snapshot()).toMatchObject({ waiting: 0, boarded: 65 });
    expect(rig.pool.snapshot().wait.p99Millis).toBeGreaterThanOrEqual(200);
  });
});

/** So many connections, of which one is a lane that does not answer. */
async function stalledLane(options: RigOptions, open: number): Promise<Rig> {
  const rig = new Rig({ lanes: true, ...options });
  await rig.idle(open);
  rig.boardMany(1);
  rig.clock.block(21);
  return rig;
}

/** A pool of two: one is leased, and the other is a lane that is full. */
async function standingLine(options: RigOptions): Promise<Rig> {
  const rig = new Rig({ max: 2, lanes: true, ...options });
  await rig.leases(2);
  rig.giveBack(rig.callers[0] as never);
  rig.boardMany(64);
  return rig;
}

/** The line of those who want a connection alone moves on by one, and does not get shorter. */
async function oneFurther(rig: Rig, millis: number): Promise<void> {
  await rig.clock.advance(millis);
  rig.ask('alone', UNIT);
  rig.giveBack(rig.callers.find(({ got, state }) => got === 'lease' && state === 'served') as Caller);
  await rig.clock.settle();
}

/** One of those who have a place. */
function rider(rig: Rig): Caller {
  return rig.callers.find(({ got, state }) => got === 'place' && state === 'served') as Caller;
}
