import type { Verdict } from '../../src/pool/seam.ts';
import { fails, type Gate, never, ok, slow } from './gate.ts';
import { type Caller, Rig } from './rig.ts';
import { watch } from './watch.ts';

export const GATES: Readonly<Record<string, Gate>> = { ok, fails, slow: slow(130), never };
export const STEPS = ['connect', 'check', 'clean', 'interrupt', 'close'] as const;
/** When one of the callers gives up. */
export const MOMENTS = ['never', 'before the dial', 'during the dial', 'at its deadline', 'with a lease'] as const;

export type Moment = (typeof MOMENTS)[number];
export type Course = Readonly<Record<(typeof STEPS)[number], string>>;

/** Every way in which the five steps may go. */
export function* courses(): Generator<Course> {
  const names = Object.keys(GATES);
  for (let number = 0; number < names.length ** STEPS.length; number += 1) {
    const gateOf = (index: number): string =>
      names[Math.floor(number / names.length ** index) % names.length] as string;
    yield Object.fromEntries(STEPS.map((step, index) => [step, gateOf(index)])) as unknown as Course;
  }
}

const VERDICTS: readonly Verdict[] = [
  { kind: 'clean' },
  { kind: 'keep' },
  { kind: 'interrupt' },
  { kind: 'discard', reason: 'discarded' },
];

const OPTIONS = {
  ...{ max: 2, min: 1, overflow: 1, reserve: 1, reserveAfterMillis: 100 },
  ...{ acquireTimeoutMillis: 400, connectionTimeoutMillis: 100, validateAfterIdleMillis: 40, idleTimeoutMillis: 500 },
  ...{ checkTimeoutMillis: 100, cleanTimeoutMillis: 100, closeTimeoutMillis: 200 },
};

/**
 * One story for all of them: callers come, one gives up, leases come back with every verdict, idle ones are checked;
 * each step goes its scripted way twice, then the server is well again. Whatever went wrong in between, afterwards a
 * caller is served, everybody was answered once, and the pool can be closed.
 */
export async function tell(course: Course, moment: Moment): Promise<void> {
  const rig = new Rig(OPTIONS, (seam) => {
    seam.noticeMillis = 60;
    for (const step of STEPS) seam.gates[step].next(GATES[course[step]] as Gate, GATES[course[step]] as Gate);
  });
  await comeAndGo(rig, moment, 5);
  await rig.clock.advance(60);
  await comeAndGo(rig, 'never', 4);
  await recover(rig);
  await close(rig);
}

async function comeAndGo(rig: Rig, moment: Moment, count: number): Promise<void> {
  const giveUp = new AbortController();
  if (moment === 'before the dial') giveUp.abort();
  const deadline = moment === 'at its deadline' ? rig.clock.now() + 30 : undefined;
  const callers = [rig.ask('leaver', { signal: giveUp.signal, deadline }), ...rig.askMany(count - 1)];
  await rig.clock.advance(25);
  if (moment === 'during the dial') giveUp.abort();
  for (let turn = 0; turn < 8; turn += 1) {
    await rig.clock.advance(60);
    if (moment === 'with a lease' && callers[0]?.state === 'served') giveUp.abort();
    callers.forEach((caller, index) => void giveBackIfServed(rig, caller, index + turn));
  }
}

function giveBackIfServed(rig: Rig, caller: Caller, index: number): void {
  if (caller.state === 'served') rig.giveBack(caller, VERDICTS[index % VERDICTS.length]);
}

async function recover(rig: Rig): Promise<void> {
  for (const step of STEPS) rig.seam.gates[step].always(ok);
  await rig.clock.advance(3_000);
  const caller = rig.ask('after the storm');
  await rig.clock.advance(100);
  if (caller.state !== 'served') throw new Error(`the pool has not recovered: ${JSON.stringify(rig.pool.snapshot())}`);
}

/** The caller after the storm never gives back: the end of the grace takes its connection. */
async function close(rig: Rig): Promise<void> {
  const closing = watch(rig.pool.close(50));
  await rig.clock.advance(260);
  const { size, waiting } = rig.pool.snapshot();
  const end = { state: closing.state, size, waiting, sessions: rig.seam.sessions, unanswered: rig.count('waiting') };
  if (closing.state !== 'kept' || size + waiting + rig.seam.sessions + rig.count('waiting') > 0) {
    throw new Error(`the pool has not ended: ${JSON.stringify(end)}`);
  }
}

/** Tells the story of each, and names the one that went wrong. */
export async function tellAll(all: Iterable<Course>, moment: Moment): Promise<number> {
  let told = 0;
  for (const course of all) {
    told += 1;
    try {
      await tell(course, moment);
    } catch (error) {
      throw new Error(`${JSON.stringify(course)}, one gives up: ${moment}`, { cause: error });
    }
  }
  return told;
}
