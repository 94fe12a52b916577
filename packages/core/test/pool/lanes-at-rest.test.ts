import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { Rig, type RigOptions } from './rig.ts';

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
    await rig.clock.advance(4_000);
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
    await rig.clock.advance(900);
    expect(rig.pool.snapshot().utilisation).toBeCloseTo(0.5, 2);
    await rig.clock.advance(29_100);
    expect(rig.pool.snapshot().utilisation).toBeCloseTo(0.5, 1);
    rig.giveBack(rider as never);
    await rig.clock.advance(30_000);
    expect(rig.clock.now() - before).toBe(60_000);
    expect(rig.pool.snapshot().utilisation).toBeCloseTo(0.25, 1);
  });

  test('counts for no more than the time that is looked at, however long it was', async () => {
    const rig = await rigWith(1, { max: 2, maxLifetimeSeconds: 0 });
    const rider = rig.board();
    await rig.clock.advance(600_000);
    rig.giveBack(rider as never);
    expect(rig.pool.snapshot().utilisation).toBeCloseTo(0.5, 1);
  });
});

/** A pool of 8, lanes on, with so many connections idle. */
async function rigWith(idle: number, options: RigOptions = {}): Promise<Rig> {
  const rig = new Rig({ max: 8, lanes: true, ...options });
  await rig.idle(idle);
  return rig;
}
