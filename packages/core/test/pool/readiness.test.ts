import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { failing, fails, never, ok, slow } from './gate.ts';
import { Rig } from './rig.ts';
import { watch } from './watch.ts';

describe('a lazy pool', () => {
  test('opens nothing before somebody asks', async () => {
    const rig = new Rig({ startup: 'lazy' });
    await rig.clock.advance(10_000);
    expect(rig.seam.dials).toBe(0);
    expect(rig.clock.pending).toBe(0);
  });

  test('opens a connection when somebody awaits that it is ready', async () => {
    const rig = new Rig({ startup: 'lazy' });
    const ready = watch(rig.pool.ready(undefined));
    await rig.clock.settle();
    expect(ready.state).toBe('kept');
    expect(rig.pool.snapshot()).toMatchObject({ idle: 1, size: 1 });
  });

  test('keeps whoever awaits it waiting for a server that is down', async () => {
    const rig = new Rig({ startup: 'lazy' }, (seam) => seam.gates.connect.next(fails, fails, fails));
    const ready = rig.pool.ready(undefined);
    await rig.clock.advance(10_000);
    await expect(ready).resolves.toBeUndefined();
  });

  test('tells whoever awaits it that the server refuses for good', async () => {
    const refusal = failing('no such user', { permanent: true });
    const rig = new Rig({ startup: 'lazy' }, (seam) => seam.gates.connect.always(refusal));
    const ready = rig.pool.ready(undefined);
    await expect(ready).rejects.toMatchObject({ code: 'ERR_LIFEGUARD_REJECTED', cause: { message: 'no such user' } });
  });
});

describe('a pool that waits for its server', () => {
  test('dials at once, without a caller', async () => {
    const rig = new Rig({ startup: 'wait' });
    await rig.clock.settle();
    expect(rig.pool.snapshot()).toMatchObject({ idle: 1 });
  });

  test('keeps callers waiting however long the server stays away', async () => {
    const rig = new Rig({ startup: 'wait', acquireTimeoutMillis: 60_000 }, (seam) => seam.gates.connect.always(fails));
    const ready = watch(rig.pool.ready(undefined));
    const caller = rig.ask('caller');
    await rig.clock.advance(30_000);
    expect([caller.state, ready.state]).toEqual(['waiting', 'pending']);
    rig.seam.gates.connect.always(ok);
    await rig.clock.advance(1_000);
    expect([caller.state, ready.state]).toEqual(['served', 'kept']);
  });

  test('refuses callers of an outage after it has been up', async () => {
    const rig = new Rig({ startup: 'wait', acquireTimeoutMillis: 60_000 });
    await rig.clock.settle();
    rig.seam.gates.connect.always(fails);
    rig.seam.lose(rig.connection(1));
    const caller = rig.ask('caller');
    await rig.clock.advance(4_000);
    expect(caller.error?.code).toBe('ERR_LIFEGUARD_UNAVAILABLE');
  });

  test('does not wait for what will not mend itself', async () => {
    const rig = new Rig({ startup: 'wait' }, (seam) =>
      seam.gates.connect.always(failing('28P01', { permanent: true })),
    );
    const caller = rig.ask('caller');
    await rig.clock.advance(0);
    expect(caller.error?.code).toBe('ERR_LIFEGUARD_REJECTED');
  });
});

describe('a pool that fails without its server', () => {
  test('refuses its callers at the first failure', async () => {
    const rig = new Rig({ startup: 'fail' }, (seam) => seam.gates.connect.always(failing('down')));
    const ready = watch(rig.pool.ready(undefined));
    const caller = rig.ask('caller');
    await rig.clock.settle();
    expect(caller.error).toMatchObject({ code: 'ERR_LIFEGUARD_UNAVAILABLE', cause: { message: 'down' } });
    expect(ready.error).toMatchObject({ code: 'ERR_LIFEGUARD_UNAVAILABLE' });
  });

  test('serves them when the server comes after all', async () => {
    const rig = new Rig({ startup: 'fail' }, (seam) => seam.gates.connect.next(fails));
    await rig.clock.advance(1_000);
    expect(rig.pool.snapshot()).toMatchObject({ idle: 1 });
    expect((await rig.lease()).state).toBe('served');
  });

  test('is as patient as others once it has been up', async () => {
    const rig = new Rig({ startup: 'fail' });
    await rig.clock.settle();
    rig.seam.gates.connect.next(fails);
    rig.seam.lose(rig.connection(1));
    const caller = rig.ask('caller');
    await rig.clock.advance(500);
    expect(caller.state).toBe('served');
  });
});

describe('awaiting that a pool is ready', () => {
  test('takes until the minimum is open', async () => {
    const rig = new Rig({ max: 5, min: 3 }, (seam) => seam.gates.connect.next(slow(10), slow(20), slow(30)));
    const ready = watch(rig.pool.ready(undefined));
    await rig.clock.advance(29);
    expect(ready.state).toBe('pending');
    await rig.clock.advance(1);
    expect(ready.state).toBe('kept');
  });

  test('is over at once when it is', async () => {
    const rig = new Rig({ max: 5, min: 3 });
    await rig.clock.advance(0);
    await expect(rig.pool.ready(undefined)).resolves.toBeUndefined();
  });

  test('ends with the reason of its signal', async () => {
    const rig = new Rig({}, (seam) => seam.gates.connect.always(never));
    const giveUp = new AbortController();
    const ready = rig.pool.ready(giveUp.signal);
    giveUp.abort('no patience');
    await expect(ready).rejects.toMatchObject({ code: 'ERR_LIFEGUARD_ABORTED', cause: 'no patience' });
  });

  test('ends at once when its signal was aborted before', async () => {
    const rig = new Rig({}, (seam) => seam.gates.connect.always(never));
    const ready = rig.pool.ready(AbortSignal.abort('too late'));
    await expect(ready).rejects.toMatchObject({ code: 'ERR_LIFEGUARD_ABORTED', cause: 'too late' });
  });
});
