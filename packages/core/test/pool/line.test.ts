import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { Owner, Waiter, Waiters } from '../../src/pool/waiters.ts';
import { Rig } from './rig.ts';

/** All connections are out, and stay so until a test gives them back. */
async function busyPool(options: ConstructorParameters<typeof Rig>[0] = {}) {
  const rig = new Rig({ max: 1, ...options });
  const holders = await rig.leases(rig.pool.size.max);
  rig.log.length = 0;
  return { rig, holders };
}

/** Gives back one connection after the other, until nobody waits. */
async function drain(rig: Rig): Promise<string[]> {
  for (let turn = 0; turn < 100 && (rig.count('waiting') > 0 || rig.count('served') > 0); turn += 1) {
    const caller = rig.callers.find(({ state }) => state === 'served');
    if (caller !== undefined) rig.giveBack(caller);
    await rig.clock.settle();
  }
  return rig.log.map((line) => line.split(':')[0] ?? '');
}

describe('the order of the line', () => {
  test('is that of arrival', async () => {
    const { rig } = await busyPool();
    for (const name of ['a', 'b', 'c', 'd']) rig.ask(name);
    expect(await drain(rig)).toEqual(['a', 'b', 'c', 'd']);
  });

  test('is that of arrival when some leave from the middle', async () => {
    const { rig } = await busyPool();
    const giveUp = new AbortController();
    for (const name of ['a', 'b', 'c', 'd', 'e']) rig.ask(name, 'bd'.includes(name) ? { signal: giveUp.signal } : {});
    giveUp.abort();
    await rig.clock.settle();
    rig.log.length = 0;
    expect(await drain(rig)).toEqual(['a', 'c', 'e']);
  });

  test('puts the more urgent before the less urgent', async () => {
    const { rig } = await busyPool();
    for (const [name, priority] of [
      ['l1', 'low'],
      ['n1', undefined],
      ['h1', 'high'],
      ['l2', 'low'],
      ['n2', 'normal'],
      ['h2', 'high'],
    ] as const) {
      rig.ask(name, { priority });
    }
    expect(await drain(rig)).toEqual(['h1', 'h2', 'n1', 'n2', 'l1', 'l2']);
  });

  test('puts those who were admitted once before newcomers of their priority', async () => {
    const { rig, holders } = await busyPool();
    const owner = new Owner();
    rig.giveBack(holders[0] as never);
    await rig.lease('first of owner', { owner });
    rig.log.length = 0;
    rig.ask('newcomer');
    rig.ask('newcomer with an owner', { owner: new Owner() });
    rig.ask('urgent newcomer', { priority: 'high' });
    rig.ask('second of owner', { owner });
    const order = ['urgent newcomer', 'second of owner', 'newcomer', 'newcomer with an owner'];
    expect(await drain(rig)).toEqual(order);
  });

  test('makes an owner admitted by its first connection', async () => {
    const rig = new Rig();
    const owner = new Owner();
    expect(owner.standing).toBe('newcomer');
    await rig.lease('owner', { owner });
    expect(owner.standing).toBe('admitted');
  });
});

describe('a full line', () => {
  test('refuses one more at once, with the numbers', async () => {
    const { rig } = await busyPool({ maxWaiting: 2 });
    rig.askMany(2);
    const refused = rig.ask('one more');
    await rig.clock.settle();
    expect(refused.error).toMatchObject({ code: 'ERR_LIFEGUARD_LINE_FULL', statusCode: 503, retryAfterSeconds: 1 });
    expect(refused.error?.message).toMatch(/maxWaiting.*1 leased.*2 waiting/s);
    expect(rig.pool.snapshot()).toMatchObject({ waiting: 2, shed: 1 });
  });

  test('takes one more when somebody has left', async () => {
    const { rig } = await busyPool({ maxWaiting: 1 });
    const giveUp = new AbortController();
    rig.ask('leaver', { signal: giveUp.signal });
    giveUp.abort();
    const next = rig.ask('next');
    await rig.clock.settle();
    expect(next.state).toBe('waiting');
  });

  test('has no end when it may be of any length', async () => {
    const { rig } = await busyPool({ maxWaiting: 0 });
    rig.askMany(2_000);
    await rig.clock.settle();
    expect(rig.pool.snapshot().waiting).toBe(2_000);
  });
});

describe('a bulkhead', () => {
  const groups = { reports: { maxConcurrent: 1 }, mails: { maxConcurrent: 2 } };

  test('holds its callers at their limit', async () => {
    const rig = new Rig({ max: 5, groups });
    rig.askMany(4, { group: 'reports' });
    await rig.clock.advance(1_000);
    expect(rig.pool.snapshot()).toMatchObject({ leased: 1, waiting: 3 });
    expect(rig.seam.dials).toBe(1);
  });

  test('lets others pass while its own callers wait', async () => {
    const rig = new Rig({ max: 5, groups });
    rig.askMany(3, { group: 'reports' });
    await rig.clock.settle();
    const [mail, plain] = [rig.ask('mail', { group: 'mails' }), rig.ask('plain')];
    await rig.clock.advance(100);
    expect([mail.state, plain.state]).toEqual(['served', 'served']);
  });

  test('keeps its line from filling that of the others', async () => {
    const rig = new Rig({ max: 3, groups, maxWaiting: 2 });
    await rig.lease('report', { group: 'reports' });
    const reports = rig.askMany(3, { group: 'reports' });
    await rig.clock.settle();
    expect(rig.states(reports)).toEqual(['waiting', 'waiting', 'refused']);
    const plain = rig.ask('plain');
    await rig.clock.advance(100);
    expect(plain.state).toBe('served');
  });

  test('serves its next one when one of its own comes back', async () => {
    const rig = new Rig({ max: 5, groups });
    const [first, second] = rig.askMany(2, { group: 'reports' });
    await rig.clock.settle();
    rig.giveBack(first as never, { kind: 'discard', reason: 'lost' });
    await rig.clock.advance(100);
    expect(second?.state).toBe('served');
  });

  test('serves the earliest among several groups', async () => {
    const { rig } = await busyPool({ groups });
    rig.ask('mail', { group: 'mails' });
    rig.ask('report', { group: 'reports' });
    rig.ask('plain');
    expect(await drain(rig)).toEqual(['mail', 'report', 'plain']);
  });

  test('is one also when its name is empty', () => {
    const line = new Waiters();
    const request = { name: 'caller', queriedMillis: () => 0 };
    const ends = { onDue: () => undefined, onAbort: () => undefined };
    line.enqueue(new Waiter({ ...request, group: '' }, { ticket: 1, since: 0 }, ends));
    expect([line.lengthOf(''), line.lengthOf(undefined)]).toEqual([1, 0]);
    expect([line.servable(() => 0), line.next(() => 0)]).toEqual([0, undefined]);
  });

  test('refuses a name that was not declared, and says which ones were', async () => {
    const rig = new Rig({ groups });
    const caller = rig.ask('caller', { group: 'report' });
    await rig.clock.settle();
    expect(caller.error).toMatchObject({ code: 'ERR_LIFEGUARD_ARGUMENT' });
    expect(caller.error?.message).toContain('"reports", "mails"');
  });
});

describe('a limit that fires late', () => {
  test('lets a connection that comes back in the meantime serve first', async () => {
    const { rig, holders } = await busyPool({ acquireTimeoutMillis: 100 });
    const caller = rig.ask('late');
    await rig.clock.settle();
    rig.clock.block(2_000);
    // What the socket held is read between the timer and its consequence.
    rig.clock.afterInput(() => rig.giveBack(holders[0] as never));
    await rig.clock.advance(0);
    expect(caller.state).toBe('served');
  });

  test('says that the loop was blocked when nothing came back', async () => {
    const { rig } = await busyPool({ acquireTimeoutMillis: 100 });
    const caller = rig.ask('late');
    await rig.clock.settle();
    rig.clock.block(2_000);
    await rig.clock.advance(0);
    expect(caller.error?.message).toMatch(/blocked for about 1900 ms/);
  });

  test('says nothing of the kind when it fires in time', async () => {
    const { rig } = await busyPool({ acquireTimeoutMillis: 100 });
    const caller = rig.ask('late');
    await rig.clock.advance(120);
    expect(caller.error?.message).not.toMatch(/blocked/);
  });
});
