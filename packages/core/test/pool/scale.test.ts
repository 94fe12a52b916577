import { describe, expect, test } from '@lifeguard/testkit/vitest';
import { type DeadlineEntry, DeadlineWheel } from '../../src/deadline-wheel.ts';
import { Waiter, Waiters } from '../../src/pool/waiters.ts';
import { FakeClock } from './fake-clock.ts';
import { Rig } from './rig.ts';

const MANY = 100_000;
const LINKS = ['ahead', 'behind', 'before', 'after', 'queue', 'tick', 'due', 'ticket'] as const;

/** Entries that tell when a link of theirs is read or written. */
class Touches {
  readonly #touched = new Set<object>();

  watch<Entry extends DeadlineEntry>(entry: Entry): Entry {
    const touched = this.#touched;
    for (const link of LINKS) {
      let value: unknown = Reflect.get(entry, link);
      Object.defineProperty(entry, link, {
        get: () => {
          touched.add(entry);
          return value;
        },
        set: (next) => {
          touched.add(entry);
          value = next;
        },
      });
    }
    return entry;
  }

  /** How many different entries an operation touches. */
  by(operation: () => void): number {
    this.#touched.clear();
    operation();
    return this.#touched.size;
  }
}

/** A line of many, in groups and priorities, with every entry under watch. */
function longLine() {
  const [clock, touches, waiters] = [new FakeClock(), new Touches(), new Waiters<unknown>()];
  const wheel = new DeadlineWheel(clock);
  let ticket = 0;
  const join = (): Waiter<unknown> => {
    const priority = (['high', 'normal', 'low'] as const)[ticket % 3];
    const group = ticket % 5 === 0 ? 'reports' : undefined;
    const request = { name: '', queriedMillis: () => 0, priority, group };
    const ends = { onDue: () => undefined, onAbort: () => undefined };
    const waiter = touches.watch(new Waiter<unknown>(request, { ticket: ticket++, since: 0 }, ends));
    waiter.promise.catch(() => undefined);
    return waiter;
  };
  const line = Array.from({ length: MANY }, join);
  for (const waiter of line) waiters.enqueue(waiter);
  line.forEach((waiter, index) => void wheel.arm(waiter, clock.now() + 5_000 + index / 10));
  return { clock, touches, waiters, wheel, line, join };
}

describe('a line of 100,000 waiters', () => {
  const { clock, touches, waiters, wheel, line, join } = longLine();
  const anywhere = [0, 1, 50_000, 77_777, MANY - 1].map((index) => line[index] as Waiter<unknown>);

  test('takes one more by touching a few', () => {
    const waiter = join();
    expect(touches.by(() => waiters.enqueue(waiter))).toBeLessThanOrEqual(2);
    expect(touches.by(() => wheel.arm(waiter, clock.now() + 7_000))).toBeLessThanOrEqual(2);
    expect(touches.by(() => waiters.remove(waiter))).toBeLessThanOrEqual(3);
  });

  test('finds the next one by touching the heads', () => {
    expect(touches.by(() => waiters.next(() => 1))).toBeLessThanOrEqual(12);
    expect(touches.by(() => waiters.oldest())).toBeLessThanOrEqual(12);
  });

  test('is counted without touching anybody', () => {
    expect(touches.by(() => waiters.servable(() => 1))).toBe(0);
    expect(touches.by(() => waiters.newcomersAhead(undefined))).toBe(0);
    expect(touches.by(() => waiters.lengthOf('reports'))).toBe(0);
  });

  test.each(anywhere)('lets one go from anywhere by touching its neighbours', (waiter) => {
    expect(touches.by(() => waiters.remove(waiter))).toBeLessThanOrEqual(3);
    expect(touches.by(() => wheel.disarm(waiter))).toBeLessThanOrEqual(3);
  });
});

describe('a pool with 100,000 callers', () => {
  test('times them out, all of them, and then serves the next one', async () => {
    const rig = await crowdedPool({ acquireTimeoutMillis: 1_000 });
    await rig.clock.advance(1_100);
    expect(rig.count('refused')).toBe(MANY);
    expect(rig.pool.snapshot()).toMatchObject({ waiting: 0, timeouts: MANY });
    rig.giveBack(rig.callers[0] as never);
    expect((await rig.lease()).state).toBe('served');
  });

  test('lets them abort, all of them', async () => {
    const leavers = Array.from({ length: MANY }, () => new AbortController());
    const rig = await crowdedPool({}, (index) => leavers[index]?.signal);
    for (const leaver of leavers) leaver.abort();
    await rig.clock.settle();
    expect(rig.pool.snapshot()).toMatchObject({ waiting: 0, aborted: MANY });
  });
});

async function crowdedPool(options: object, signalOf: (index: number) => AbortSignal | undefined = () => undefined) {
  const rig = new Rig({ max: 1, maxWaiting: 0, acquireTimeoutMillis: 60_000, ...options });
  await rig.lease('holder');
  rig.clock.onTurn = () => undefined;
  for (let index = 0; index < MANY; index += 1) rig.ask('one', { signal: signalOf(index) });
  await rig.clock.settle();
  expect(rig.pool.snapshot().waiting).toBe(MANY);
  return rig;
}
