import { setTimeout as sleep } from 'node:timers/promises';
import type { Deed } from './mischief.ts';

/** One stop of the tour. */
export interface Step {
  /** What is done; nothing where there is only something to look at. */
  readonly deed: Deed | undefined;
  /** How often: once, or often enough to be seen. */
  readonly times: number;
  /** One sentence on what happens and what to look at. */
  readonly caption: string;
  /** Its share of the time. */
  readonly share: number;
}

export const STEADY: Step = {
  deed: undefined,
  times: 0,
  caption:
    'Steady load: 200 requests a second share 8 slots. Look at the slots: leased ones come and go; the line is empty, nobody waits.',
  share: 4,
};

const PROVOCATIONS: readonly Step[] = [
  {
    deed: 'slow',
    times: 5,
    caption:
      'Five statements of 30 s that may take 1.5 s. Look at the slots: five stay leased, the line grows. Then each is cancelled (504), its connection kept.',
    share: 6,
  },
  {
    deed: 'leak',
    times: 1,
    caption:
      'A handler forgets its lease, twice. Look at the events: both are reported, the second with its place; after 4 s they are taken back (reclaimed).',
    share: 9,
  },
  {
    deed: 'kill',
    times: 1,
    caption:
      'One backend is ended. Look at the events: its caller is told what is known, that one connection is lost, and a new one opened.',
    share: 4,
  },
  {
    deed: 'restart',
    times: 1,
    caption:
      'PostgreSQL is gone for a second. Look at the line: callers wait, one prober dials. What was running is a 500; the rush afterwards may be shed.',
    share: 7,
  },
  {
    deed: 'overload',
    times: 1,
    caption:
      'Three times the load. Look at the answers: what cannot be served in time is a 503 at once, and as many as the pool can bear are served well.',
    share: 8,
  },
];

export const FAREWELL =
  'The load stops, leases end, connections are closed. Look at the slots: each counts until the server has closed its side.';

export const FREE = 'You have the wheel. Press a key and look at what it does.';

/** All steps, or the ones asked for, after some time of steady load. */
export function planTour(deeds: readonly Deed[]): Step[] {
  const wanted = deeds.length === 0 ? PROVOCATIONS : PROVOCATIONS.filter(({ deed }) => deeds.includes(deed as Deed));
  return [STEADY, ...wanted];
}

export interface Guide {
  enter(step: Step, number: number): void;
  do(deed: Deed): void;
}

/** Goes from step to step, each for its share of the seconds. Ends early, without an error, when the signal says so. */
export async function takeTour(
  steps: readonly Step[],
  seconds: number,
  ends: Guide & { signal: AbortSignal },
): Promise<void> {
  const shares = steps.reduce((sum, { share }) => sum + share, 0);
  for (const [index, step] of steps.entries()) {
    if (ends.signal.aborted) return;
    ends.enter(step, index + 1);
    for (let times = 0; step.deed !== undefined && times < step.times; times += 1) {
      ends.do(step.deed);
      await pause(DEED_GAP_MILLIS, ends.signal);
    }
    await pause((1_000 * seconds * step.share) / shares - step.times * DEED_GAP_MILLIS, ends.signal);
  }
}

const DEED_GAP_MILLIS = 50;

/** Like sleep, but being called off is no error. */
export async function pause(millis: number, signal: AbortSignal): Promise<void> {
  await sleep(Math.max(0, millis), undefined, { signal }).catch(() => undefined);
}
