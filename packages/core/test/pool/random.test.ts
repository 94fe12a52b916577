import { test } from '@lifeguard/testkit/vitest';
import fc from 'fast-check';
import { Owner } from '../../src/pool/waiters.ts';
import { failing, fails, never, ok, ScriptedError, slow } from './gate.ts';
import { type Caller, Rig } from './rig.ts';
import { watch } from './watch.ts';

const long = process.env['LIFEGUARD_LONG'] === '1';

/** One thing that happens to a pool. */
type Step = (world: World) => void | Promise<void>;

interface World {
  readonly rig: Rig;
  readonly owners: readonly Owner[];
  readonly leavers: Map<Caller, AbortController>;
}

const GATES = [ok, fails, slow(15), slow(400), never, failing('28P01', { permanent: true })];
const VERDICTS = [
  { kind: 'keep' },
  { kind: 'keep' },
  { kind: 'clean' },
  { kind: 'interrupt' },
  { kind: 'discard', reason: 'lost' },
] as const;

const asking = fc.record({
  group: fc.constantFrom(undefined, undefined, 'reports', 'mails'),
  priority: fc.constantFrom(undefined, 'high', 'low'),
  owner: fc.option(fc.nat(2), { nil: undefined }),
  patience: fc.option(fc.integer({ min: -5, max: 3_000 }), { nil: undefined }),
  shares: fc.boolean(),
  count: fc.integer({ min: 1, max: 6 }),
});

/** What happens, with a sentence that says so when a counterexample is printed. */
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: named('ask', asking, ({ rig, owners, leavers }, { owner, patience, count, ...rest }) => {
      for (let one = 0; one < count; one += 1) {
        const leaver = new AbortController();
        const deadline = patience === undefined ? undefined : rig.clock.now() + patience;
        const caller = rig.ask('caller', { ...rest, deadline, owner: owners[owner ?? -1], signal: leaver.signal });
        leavers.set(caller, leaver);
      }
    }),
  },
  { weight: 2, arbitrary: named('take', fc.constant(0), ({ rig }) => void rig.take()) },
  {
    weight: 6,
    arbitrary: named('board', fc.integer({ min: 1, max: 40 }), ({ rig }, count) => {
      for (let one = 0; one < count; one += 1) rig.board();
    }),
  },
  {
    weight: 4,
    arbitrary: named('alight', fc.integer({ min: 1, max: 60 }), ({ rig }, count) => {
      const riders = rig.callers.filter(({ state, got }) => state === 'served' && got === 'place');
      for (const rider of riders.slice(0, count)) rig.giveBack(rider);
    }),
  },
  {
    weight: 1,
    arbitrary: named('endLane', fc.nat(), ({ rig }, which) => {
      const lanes = [...rig.pool.lanes()];
      const lane = lanes[which % lanes.length];
      if (lane !== undefined) rig.pool.endLane(lane.slot, 'interrupt-failed');
    }),
  },
  {
    weight: 8,
    arbitrary: named('giveBack', fc.tuple(fc.nat(), fc.constantFrom(...VERDICTS)), ({ rig }, [which, verdict]) => {
      const served = rig.callers.filter(({ state }) => state === 'served');
      const caller = served[which % served.length];
      if (caller !== undefined) rig.giveBack(caller, verdict);
    }),
  },
  {
    weight: 2,
    arbitrary: named('abort', fc.nat(), ({ rig, leavers }, which) => {
      const caller = rig.callers[which % rig.callers.length];
      if (caller !== undefined) leavers.get(caller)?.abort();
    }),
  },
  {
    weight: 10,
    arbitrary: named('pass', fc.oneof(fc.nat(30), fc.nat(1_500)), ({ rig }, millis) => rig.clock.advance(millis)),
  },
  { weight: 1, arbitrary: named('block', fc.nat(8_000), ({ rig }, millis) => rig.clock.block(millis)) },
  {
    weight: 1,
    arbitrary: named('sleep', fc.integer({ min: -9_000, max: 9_000 }), ({ rig }, millis) => rig.clock.sleep(millis)),
  },
  {
    weight: 2,
    arbitrary: named(
      'lose',
      fc.tuple(fc.nat(), fc.constantFrom('none', 'suspect', 'stale')),
      ({ rig }, [which, contagion]) => {
        const open = rig.seam.connections.filter(({ session }) => session === 'open');
        const connection = open[which % open.length];
        if (connection !== undefined) rig.seam.lose(connection, new ScriptedError('lost', { contagion }));
      },
    ),
  },
  {
    weight: 4,
    arbitrary: named(
      'gate',
      fc.tuple(
        fc.constantFrom('connect', 'check', 'clean', 'interrupt', 'close', 'confirm'),
        fc.constantFrom(...GATES),
      ),
      ({ rig }, [at, gate]) => void rig.seam.gates[at].always(gate),
    ),
  },
  { weight: 3, arbitrary: named('mend', fc.constant(0), ({ rig }) => mend(rig)) },
  {
    weight: 1,
    arbitrary: named('resize', fc.tuple(fc.nat(3), fc.integer({ min: 3, max: 9 })), ({ rig }, [min, max]) =>
      rig.pool.resize(min, max),
    ),
  },
  { weight: 1, arbitrary: named('pause', fc.constant(0), ({ rig }) => rig.pool.pause()) },
  { weight: 2, arbitrary: named('resume', fc.constant(0), ({ rig }) => rig.pool.resume()) },
  { weight: 1, arbitrary: named('invalidate', fc.constant(0), ({ rig }) => rig.pool.invalidate('random')) },
  {
    weight: 1,
    arbitrary: named('ready', fc.constant(0), ({ rig }) => void rig.pool.ready(undefined).catch(() => undefined)),
  },
);

function named<Value>(
  name: string,
  values: fc.Arbitrary<Value>,
  run: (world: World, value: Value) => void | Promise<void>,
): fc.Arbitrary<Step> {
  return values.map((value) => {
    const step: Step = (world) => run(world, value);
    return Object.assign(step, { toString: () => `${name}(${JSON.stringify(value)})` });
  });
}

const options = fc.record({
  lanes: fc.boolean(),
  max: fc.integer({ min: 1, max: 8 }),
  min: fc.nat(1),
  overflow: fc.nat(2),
  reserve: fc.nat(1),
  reserveAfterMillis: fc.constantFrom(50, 500),
  maxWaiting: fc.constantFrom(0, 3, 20),
  maxUses: fc.constantFrom(0, 3),
  maxLifetimeSeconds: fc.constantFrom(0, 5),
  idleTimeoutMillis: fc.constantFrom(0, 700),
  keepaliveMillis: fc.constantFrom(0, 300),
  validateAfterIdleMillis: fc.constantFrom(0, 100),
  startup: fc.constantFrom('lazy', 'wait', 'fail'),
  overload: fc.constantFrom(false as const, { targetWaitMillis: 20, intervalMillis: 50 }),
});

test('a pool keeps its promises whatever happens to it, in whatever order', async () => {
  const history = fc.array(step, { maxLength: 80, size: 'max' });
  await fc.assert(
    fc.asyncProperty(options, history, async (given, steps) => {
      const groups = { reports: { maxConcurrent: 1 }, mails: { maxConcurrent: 2 } };
      const rig = new Rig({ ...given, groups, closeTimeoutMillis: 500, connectionTimeoutMillis: 600 });
      const world = { rig, owners: [new Owner(), new Owner(), new Owner()], leavers: new Map() };
      for (const one of steps) {
        await one(world);
        rig.checkSlots();
      }
      await comeToRest(rig);
      await end(rig);
    }),
    { numRuns: long ? 20_000 : 250 },
  );
});

function mend(rig: Rig): void {
  for (const script of Object.values(rig.seam.gates)) script.always(ok);
}

/** All is well again: everybody is answered, and the next one is served. */
async function comeToRest(rig: Rig): Promise<void> {
  mend(rig);
  rig.pool.resume();
  rig.giveBackAll();
  for (let turn = 0; turn < 30; turn += 1) {
    await rig.clock.advance(500);
    rig.giveBackAll();
  }
  if (rig.count('waiting') > 0) throw new Error(`${rig.count('waiting')} callers were forgotten`);
  const caller = rig.ask('the last');
  await rig.clock.advance(100);
  if (caller.state !== 'served') throw new Error(`no recovery: ${caller.error?.message ?? caller.state}`);
}

/** With the last one's lease, and with whoever finds a place now: the end of the grace takes their connections. */
async function end(rig: Rig): Promise<void> {
  for (let one = 0; one < 3; one += 1) rig.board();
  const closing = watch(rig.pool.close(20));
  await rig.clock.advance(600);
  const { size } = rig.pool.snapshot();
  if (closing.state !== 'kept' || size > 0 || rig.seam.sessions > 0 || rig.clock.pending > 0) {
    throw new Error(
      `no end: close is ${closing.state}, ${size} slots, ${rig.seam.sessions} sessions, ${rig.clock.pending} timers`,
    );
  }
  rig.giveBackAll();
}
