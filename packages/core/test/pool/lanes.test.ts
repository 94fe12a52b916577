import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { Owner } from '../../src/pool/waiters.ts';
import { fails, slow } from './gate.ts';
import { Rig, type RigOptions } from './rig.ts';

describe('a place on a lane', () => {
  test('is given at once, beside others on the same connection', async () => {
    const rig = await rigWith(2);
    const riders = rig.boardMany(3);
    expect(riders.map(({ connection }) => connection)).toEqual([2, 2, 2]);
    expect(rig.pool.snapshot()).toMatchObject({ lanes: 1, onLanes: 3, idle: 1, leased: 0, size: 2 });
  });

  test('is free again when it is left', async () => {
    const rig = await rigWith(1);
    const [first] = rig.boardMany(2);
    rig.giveBack(first as never);
    expect(rig.pool.snapshot()).toMatchObject({ lanes: 1, onLanes: 1 });
  });

  test('is not given where lanes are off', async () => {
    const rig = await rigWith(2, { lanes: false });
    expect(rig.board()).toBeUndefined();
    expect(rig.pool.snapshot()).toMatchObject({ lanes: 0, idle: 2 });
  });

  test('is not given to those who have left, or are too late', async () => {
    const rig = await rigWith(1);
    expect(rig.board('gone', { signal: AbortSignal.abort() })).toBeUndefined();
    expect(rig.board('late', { deadline: rig.clock.now() })).toBeUndefined();
    expect(rig.board('early', { deadline: rig.clock.now() + 1 })?.state).toBe('served');
  });

  test('is not given while the pool is paused, and what is on the lanes goes on', async () => {
    const rig = await rigWith(1);
    const [rider] = rig.boardMany(1);
    rig.pool.pause();
    expect(rig.board()).toBeUndefined();
    rig.giveBack(rider as never);
    rig.pool.resume();
    expect(rig.board()?.connection).toBe(1);
  });

  test('admits the owner of the one who gets it', async () => {
    const rig = await rigWith(1);
    const [owner, later] = [new Owner(), new Owner()];
    rig.board('rider', { owner });
    rig.ask('sharer', { owner: later, shares: true });
    expect([owner.standing, later.standing]).toEqual(['admitted', 'admitted']);
  });

  test('is counted as boarded and not as a lease', async () => {
    const rig = await rigWith(1);
    const { acquired } = rig.pool.snapshot();
    rig.boardMany(2);
    rig.ask('sharer', { shares: true });
    expect(rig.pool.snapshot()).toMatchObject({ boarded: 3, acquired });
  });

  test('cannot be left by one who has none', async () => {
    const rig = await rigWith(1);
    const [rider] = rig.boardMany(1);
    rig.giveBack(rider as never);
    expect(() => rig.pool.alight(rider?.slot as never)).toThrow('bug: nobody has a place on slot 1');
  });
});

describe('lanes', () => {
  test.each([
    [1, 0],
    [2, 1],
    [7, 1],
    [8, 2],
    [15, 3],
    [16, 4],
    [40, 4],
  ])('of a pool of %i are %i at most', async (max, most) => {
    const rig = await rigWith(max, { max });
    for (let rider = 0; rider < 5 * 64; rider += 1) rig.board();
    expect(rig.pool.snapshot()).toMatchObject({ lanes: most, idle: max - most, onLanes: 64 * most });
  });

  test('take on more by far before there is another one', async () => {
    const rig = await rigWith(8);
    rig.boardMany(16);
    expect(rig.pool.snapshot()).toMatchObject({ lanes: 1, onLanes: 16 });
    rig.boardMany(1);
    expect(rig.pool.snapshot()).toMatchObject({ lanes: 2, onLanes: 17 });
  });

  test('are loaded as evenly as can be', async () => {
    const rig = await rigWith(16, { max: 16 });
    rig.boardMany(100);
    expect([...rig.pool.lanes()].map(({ places }) => places)).toEqual([25, 25, 25, 25]);
  });

  test('take nobody on behind a statement without an answer for more than 20 ms', async () => {
    const rig = await rigWith(1, { max: 4 });
    const [first] = rig.boardMany(2);
    rig.clock.block(20);
    expect(rig.board()?.connection).toBe(1);
    rig.clock.block(1);
    expect(rig.board()).toBeUndefined();
    rig.giveBack(first as never);
    expect(rig.board()?.connection).toBe(1);
  });

  test('that have stalled are passed over for another one', async () => {
    const rig = await rigWith(8);
    rig.boardMany(1);
    const since = rig.clock.now();
    rig.clock.block(21);
    expect(rig.board()?.connection).toBe(7);
    expect([...rig.pool.lanes()].map(({ stalledSince }) => stalledSince)).toEqual([undefined, since]);
  });

  test('that are crowded ask for one more connection, once', async () => {
    const rig = await rigWith(1, { max: 8 }, slow(10));
    rig.boardMany(40);
    expect(rig.pool.snapshot()).toMatchObject({ connecting: 1, lanes: 1 });
    await rig.clock.advance(100);
    expect(rig.pool.snapshot()).toMatchObject({ idle: 1, lanes: 1, size: 2 });
    rig.boardMany(1);
    expect(rig.pool.snapshot()).toMatchObject({ idle: 0, lanes: 2, size: 2 });
  });

  test('that are crowded do not dial a server that fails faster than others do', async () => {
    const rig = await rigWith(1, { max: 8 }, fails);
    const riders = rig.boardMany(20);
    for (let turn = 0; turn < 100; turn += 1) {
      rig.giveBack(riders.shift() as never);
      riders.push(...rig.boardMany(1));
      await rig.clock.advance(10);
    }
    expect(rig.seam.dials).toBeLessThanOrEqual(8);
  });

  test('that are crowded have an old idle connection checked before they dial', async () => {
    const rig = await rigWith(2, { max: 8, idleTimeoutMillis: 0 });
    rig.clock.block(1_500);
    const sharer = rig.ask('sharer', { shares: true });
    await rig.clock.settle();
    expect(sharer).toMatchObject({ got: 'place' });
    rig.boardMany(15);
    expect(rig.pool.snapshot()).toMatchObject({ lanes: 1, idle: 1 });
    rig.boardMany(1);
    expect(rig.pool.snapshot()).toMatchObject({ tending: 1, size: 2 });
    await rig.clock.settle();
    expect([rig.board()?.connection, rig.seam.dials]).toEqual([1, 2]);
  });

  test('are not made of a connection that was idle for long before it has been checked', async () => {
    const rig = await rigWith(1);
    await rig.clock.advance(1_001);
    expect(rig.board()).toBeUndefined();
    const sharer = rig.ask('sharer', { shares: true });
    await rig.clock.settle();
    expect(rig.seam.log.at(-1)).toBe('1: check');
    expect(sharer).toMatchObject({ state: 'served', got: 'place' });
  });

  test('are not tried after a long sleep before they were checked', async () => {
    const rig = await rigWith(1);
    rig.giveBack(rig.board() as never);
    rig.clock.sleep(60_000);
    rig.clock.block(60);
    expect(rig.board()).toBeUndefined();
    expect(rig.pool.snapshot()).toMatchObject({ tending: 1 });
  });
});

describe('an empty lane', () => {
  test('is lent where nothing else is idle, and one in use is not', async () => {
    const rig = await rigWith(1, { max: 2 });
    const rider = rig.board();
    expect(rig.take()).toBeUndefined();
    rig.giveBack(rider as never);
    expect(rig.take()?.connection).toBe(1);
    expect(rig.pool.snapshot()).toMatchObject({ leased: 1, lanes: 0 });
  });

  test('goes to the one who waits for a connection alone', async () => {
    const rig = await rigWith(1, { max: 2 });
    await rig.lease();
    rig.giveBack(rig.callers.at(-1) as never);
    const [rider, alone] = [rig.board(), rig.askMany(2)];
    await rig.clock.advance(50);
    expect(rig.states(alone)).toEqual(['served', 'waiting']);
    rig.giveBack(rider as never);
    await rig.clock.settle();
    expect(alone[1]).toMatchObject({ got: 'lease', connection: 1 });
  });

  test('is left alone while something else is idle', async () => {
    const rig = await rigWith(2);
    rig.giveBack(rig.board() as never);
    expect(rig.take()?.connection).toBe(1);
    expect(rig.pool.snapshot()).toMatchObject({ leased: 1, lanes: 1 });
  });

  test('is boarded again without becoming idle in between', async () => {
    const rig = await rigWith(1, { maxUses: 100 });
    for (let turn = 0; turn < 10; turn += 1) {
      await rig.clock.advance(300);
      rig.giveBack(rig.board() as never);
    }
    expect(rig.pool.snapshot()).toMatchObject({ lanes: 1, boarded: 10 });
    expect(rig.callers.at(-1)?.slot?.uses).toBe(2);
  });

  test('that is not used for a tick grows old among the idle ones, from its last use on', async () => {
    const rig = await rigWith(1, { idleTimeoutMillis: 10_000, validateAfterIdleMillis: 0 });
    rig.giveBack(rig.board() as never);
    await rig.clock.advance(2_100);
    expect(rig.pool.snapshot()).toMatchObject({ lanes: 0, idle: 1 });
    await rig.clock.advance(7_000);
    expect(rig.pool.snapshot().size).toBe(1);
    await rig.clock.advance(2_000);
    expect(rig.closed()).toEqual({ idle: 1 });
  });

  test('is kept alive as idle connections are', async () => {
    const rig = await rigWith(1, { keepaliveMillis: 4_000, idleTimeoutMillis: 0 });
    rig.giveBack(rig.board() as never);
    await rig.clock.advance(5_000);
    expect(rig.seam.log.filter((line) => line === '1: check')).toHaveLength(1);
  });

  test('does not keep the process alive, and one in use does', async () => {
    const rig = await rigWith(1);
    const [first, second] = rig.boardMany(2);
    expect(rig.connection(1).bearing).toBe('lent');
    rig.giveBack(first as never);
    expect(rig.connection(1).bearing).toBe('lent');
    rig.giveBack(second as never);
    expect(rig.connection(1).bearing).toBe('resting');
  });

  test('lies below those that were used later', async () => {
    const rig = await rigWith(2, { max: 4 });
    rig.giveBack(rig.board() as never);
    await rig.clock.advance(300);
    rig.giveBack(await rig.lease());
    rig.clock.block(800);
    // The lane is too old to be boarded unchecked; the other one is not.
    expect(rig.board()?.connection).toBe(1);
  });
});

describe('the time in which a lane is in use', () => {
  test('counts as held, the rest does not', async () => {
    const rig = await rigWith(1, { max: 2, maxLifetimeSeconds: 0 });
    const before = rig.clock.now();
    const rider = rig.board();
    await rig.clock.advance(30_000);
    expect(rig.pool.snapshot().utilisation).toBeCloseTo(0.5, 1);
    rig.giveBack(rider as never);
    await rig.clock.advance(30_000);
    expect(rig.clock.now() - before).toBe(60_000);
    expect(rig.pool.snapshot().utilisation).toBeCloseTo(0.25, 1);
  });
});

/** A pool of 8, lanes on, with so many connections idle; the gate is that of all later dials. */
async function rigWith(
  idle: number,
  options: RigOptions = {},
  laterDials?: Parameters<Rig['seam']['gates']['connect']['always']>[0],
): Promise<Rig> {
  const rig = new Rig({ max: 8, lanes: true, ...options });
  await rig.idle(idle);
  if (laterDials !== undefined) rig.seam.gates.connect.always(laterDials);
  return rig;
}
