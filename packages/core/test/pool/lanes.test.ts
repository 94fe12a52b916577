import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { Owner } from '../../src/pool/waiters.ts';
import { failing, fails, slow } from './gate.ts';
import { discard, Rig, type RigOptions } from './rig.ts';

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
    const rig = await rigWith(1, { max: 16 }, slow(10));
    rig.boardMany(40);
    expect(rig.pool.snapshot()).toMatchObject({ connecting: 1, lanes: 1 });
    await rig.clock.advance(100);
    expect(rig.pool.snapshot()).toMatchObject({ idle: 1, lanes: 1, size: 2 });
    rig.boardMany(1);
    rig.ask('another', { shares: true });
    await rig.clock.advance(100);
    expect(rig.pool.snapshot()).toMatchObject({ idle: 0, lanes: 2, size: 2 });
  });

  test.each<[when: string, then: (rig: Rig) => unknown]>([
    ['that was not repeated for a tick', (rig) => rig.clock.advance(1_100)],
    ['while the pool is paused', (rig) => rig.pool.pause()],
  ])('do not have a wish fulfilled %s', async (_, then) => {
    const rig = await rigWith(8);
    const riders = rig.boardMany(1);
    const others = await rig.leases(7);
    riders.push(...rig.boardMany(20));
    for (const rider of riders) rig.giveBack(rider);
    await then(rig);
    rig.giveBack(others[0] as never, discard);
    await rig.clock.advance(100);
    expect(rig.pool.snapshot()).toMatchObject({ size: 7, connecting: 0 });
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

test('a lane counts as an open connection', async () => {
  const rig = await rigWith(1, { min: 1, max: 4 }, failing('28P01', { permanent: true }));
  rig.boardMany(1);
  await rig.clock.advance(1_100);
  expect(rig.seam.dials).toBe(1);
  // Nobody is refused for want of a server while there is something to wait for.
  const alone = rig.ask('alone');
  await rig.clock.advance(100);
  expect([alone.state, rig.pool.snapshot().health]).toEqual(['waiting', 'broken']);
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
