import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { ScriptedError } from './gate.ts';
import { type Caller, Rig, type RigOptions } from './rig.ts';
import { watch } from './watch.ts';

describe('a lane whose time has come', () => {
  test.each<[reason: string, end: (rig: Rig) => unknown]>([
    ['lifetime', (rig) => rig.clock.block(10_000)],
    ['invalidated', (rig) => rig.pool.invalidate('failover')],
    ['lost', (rig) => rig.seam.lose(rig.connection(1))],
    ['pool-closed', (rig) => void rig.pool.close(1_000)],
  ])('takes nobody on, and is closed when its last place is left: %s', async (reason, end) => {
    const rig = await rigWith(1, { maxLifetimeSeconds: 10 });
    const [first, second] = rig.boardMany(2) as [Caller, Caller];
    end(rig);
    expect(rig.board()).toBeUndefined();
    rig.giveBack(first);
    expect(rig.pool.snapshot()).toMatchObject({ lanes: 1, onLanes: 1, closed: {} });
    rig.giveBack(second);
    expect(rig.closed()).toEqual({ [reason]: 1 });
  });

  test.each<[reason: string, end: (rig: Rig) => unknown]>([
    ['lifetime', (rig) => rig.clock.advance(11_000)],
    ['invalidated', (rig) => rig.pool.invalidate('failover')],
    ['lost', (rig) => rig.seam.lose(rig.connection(1))],
    ['pool-closed', (rig) => void rig.pool.close(1_000)],
  ])('is closed at once where it is empty: %s', async (reason, end) => {
    const rig = await rigWith(1, { maxLifetimeSeconds: 10, idleTimeoutMillis: 0 });
    rig.giveBack(rig.board() as Caller);
    await end(rig);
    expect(rig.closed()).toEqual({ [reason]: 1 });
    expect(rig.board()).toBeUndefined();
  });

  test('is found by the tick while nobody boards', async () => {
    const rig = await rigWith(1, { maxLifetimeSeconds: 10, idleTimeoutMillis: 0 });
    const rider = rig.board() as Caller;
    await rig.clock.advance(11_000);
    rig.giveBack(rider);
    expect(rig.closed()).toEqual({ lifetime: 1 });
  });

  test('gives way to another one', async () => {
    const rig = await rigWith(2, { max: 4 });
    rig.boardMany(1);
    rig.seam.lose(rig.connection(2));
    expect(rig.board()?.connection).toBe(1);
  });

  test('is one use of its connection, however many share it', async () => {
    const rig = await rigWith(1, { maxUses: 2 });
    const [first, second] = rig.boardMany(2) as [Caller, Caller];
    rig.giveBack(first);
    rig.boardMany(5);
    expect(rig.pool.snapshot()).toMatchObject({ onLanes: 6, closed: {} });
    rig.giveBack(second);
    rig.giveBackAll();
    expect(rig.closed()).toEqual({ 'max-uses': 1 });
  });
});

describe('a pool that is made smaller', () => {
  test('closes the lanes that are too many when their last place is left', async () => {
    const rig = await twoLanes();
    rig.pool.resize(0, 4);
    for (const rider of rig.callers.filter(({ got }) => got === 'place')) rig.giveBack(rider);
    expect(rig.pool.snapshot()).toMatchObject({ lanes: 0, leased: 6, closed: { surplus: 2 } });
    rig.giveBackAll();
    await rig.clock.settle();
    expect(rig.pool.snapshot()).toMatchObject({ idle: 4, size: 4, closed: { surplus: 4 } });
  });

  test('closes an empty lane at once where nothing else is idle', async () => {
    const rig = await rigWith(8);
    const rider = rig.board() as Caller;
    await rig.leases(7);
    rig.giveBack(rider);
    rig.pool.resize(0, 4);
    expect(rig.pool.snapshot()).toMatchObject({ lanes: 0, leased: 7, closed: { surplus: 1 } });
  });

  test('keeps the connection of a lane too many where it is not one too many', async () => {
    const rig = new Rig({ max: 8, lanes: true });
    await rig.idle(2);
    rig.boardMany(17);
    rig.pool.resize(0, 4);
    rig.giveBackAll();
    expect(rig.pool.snapshot()).toMatchObject({ lanes: 1, idle: 1, closed: {} });
  });

  test('boards nobody on the lane too many', async () => {
    const rig = await twoLanes();
    rig.pool.resize(0, 4);
    const places = (): number[] => [...rig.pool.lanes()].map((lane) => lane.places).sort((a, b) => a - b);
    const [, before] = places();
    for (let rider = 0; rider < 200; rider += 1) rig.board();
    expect(places()).toContain(64);
    expect(rig.pool.snapshot().onLanes).toBeLessThanOrEqual(64 + (before as number));
  });

  test('has no lane where it has one connection', async () => {
    const rig = new Rig({ max: 2, lanes: true });
    await rig.idle(1);
    const rider = rig.board() as Caller;
    rig.pool.resize(0, 1);
    expect(rig.board()).toBeUndefined();
    rig.giveBack(rider);
    expect(rig.pool.snapshot()).toMatchObject({ lanes: 0, idle: 1 });
  });

  test('has more lanes when it is made greater again', async () => {
    const rig = await rigWith(4, { max: 4 });
    rig.boardMany(17);
    expect(rig.pool.snapshot().lanes).toBe(1);
    rig.pool.resize(0, 16);
    rig.boardMany(17);
    expect(rig.pool.snapshot().lanes).toBe(3);
  });
});

describe('what a lane has met', () => {
  test('has idle connections and empty lanes checked where it may be wrong with all', async () => {
    const rig = await rigWith(3, { max: 8 });
    const riders = rig.boardMany(17) as Caller[];
    rig.giveBack(riders.at(-1) as Caller);
    rig.learn(riders[0], new ScriptedError('terminated', { contagion: 'suspect' }));
    expect(rig.pool.snapshot()).toMatchObject({ tending: 2, lanes: 1 });
  });

  test('keeps others off a lane in use until that answers', async () => {
    const rig = await rigWith(1, { max: 4 });
    const riders = rig.boardMany(2) as Caller[];
    rig.learn(riders[0], new ScriptedError('terminated', { contagion: 'suspect' }));
    expect(rig.board()).toBeUndefined();
    rig.giveBack(riders[0] as Caller);
    expect(rig.board()?.connection).toBe(1);
  });

  test('replaces all connections where they are stale', async () => {
    const rig = await rigWith(1, { max: 4, validateAfterIdleMillis: 0 });
    await rig.clock.advance(6_000);
    const rider = rig.board() as Caller;
    rig.learn(rider, new ScriptedError('read only', { contagion: 'stale' }));
    rig.giveBack(rider);
    expect(rig.closed()).toEqual({ invalidated: 1 });
  });

  test('says nothing any more when the lane has been closed', async () => {
    const rig = await rigWith(2, { max: 4 });
    const rider = rig.board() as Caller;
    rig.pool.endLane(rider.slot as never, 'interrupt-failed');
    rig.learn(rider, new ScriptedError('terminated', { contagion: 'suspect' }));
    expect(rig.pool.snapshot()).toMatchObject({ idle: 1, tending: 0 });
  });
});

describe('a lane that is ended', () => {
  test('is closed whatever is on it, and its places may be left all the same', async () => {
    const rig = await rigWith(1);
    const riders = rig.boardMany(2) as Caller[];
    rig.pool.endLane(riders[0]?.slot as never, 'interrupt-failed');
    expect(rig.closed()).toEqual({ 'interrupt-failed': 1 });
    for (const rider of riders) rig.giveBack(rider);
    rig.pool.endLane(riders[0]?.slot as never, 'interrupt-failed');
    await rig.clock.settle();
    expect(rig.pool.snapshot()).toMatchObject({ size: 0, closed: { 'interrupt-failed': 1 } });
  });

  test('makes room for those who wait', async () => {
    const rig = new Rig({ max: 2, lanes: true });
    await rig.leases(2);
    rig.giveBack(rig.callers[0] as Caller);
    const rider = rig.board() as Caller;
    rig.clock.block(21);
    const sharer = rig.ask('sharer', { shares: true });
    rig.pool.endLane(rider.slot as never, 'interrupt-failed');
    await rig.clock.advance(50);
    expect([sharer.got, sharer.connection]).toEqual(['place', 3]);
  });
});

describe('a pool that is closed', () => {
  test('waits for its lanes, and takes nobody on', async () => {
    const rig = await rigWith(1);
    const rider = rig.board() as Caller;
    const closing = watch(rig.pool.close(1_000));
    await rig.clock.advance(500);
    expect([closing.state, rig.board()]).toEqual(['pending', undefined]);
    rig.giveBack(rider);
    await rig.clock.settle();
    expect([closing.state, rig.closed()]).toEqual(['kept', { 'pool-closed': 1 }]);
  });

  test('ends its lanes by force after the grace', async () => {
    const rig = await rigWith(1);
    const rider = rig.board() as Caller;
    const closing = watch(rig.pool.close(1_000));
    await rig.clock.advance(1_100);
    expect([closing.state, rig.closed()]).toEqual(['kept', { 'pool-closed': 1 }]);
    rig.giveBack(rider);
  });
});

/** A pool of 8, lanes on, with so many connections idle. */
async function rigWith(idle: number, options: RigOptions = {}): Promise<Rig> {
  const rig = new Rig({ max: 8, lanes: true, ...options });
  await rig.idle(idle);
  return rig;
}

/** All of 8 connections are in use, two of them as lanes. */
async function twoLanes(): Promise<Rig> {
  const rig = await rigWith(8);
  rig.boardMany(20);
  await rig.leases(6);
  return rig;
}
