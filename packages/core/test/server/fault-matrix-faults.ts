import { waitUntil } from '@lifeguard/testkit';
import type { MomentName } from './fault-matrix-moments.ts';
import type { Part, Play, Stage } from './fault-matrix-play.ts';
import type { Session } from './fault-matrix-watch.ts';

/** `never`: what is on the wire stays there. */
export type Release = 'at once' | 'when told' | 'never';

/** What befalls transactions. */
export interface Fault {
  /** How one ends that has not come to its COMMIT: what its caller is told, or that it is tried again. */
  readonly ending: 'as planned' | 'ERR_LIFEGUARD_ABORTED' | 'ERR_LIFEGUARD_DEADLINE' | 'tried again';
  /** Which answers to a COMMIT are heard: also of one that is still on its way, of one that has been given, of none. */
  readonly answer: 'heard' | 'heard if given' | 'lost';
  /** Whether the server can tell afterwards what became of a transaction by its number alone. */
  readonly server: 'remembers' | 'starts anew';
  /** Where nothing else would ever end the wait. */
  readonly deadline: 'none' | 'short';
  /** Befalls all of them at once. */
  readonly strike: (plays: readonly Play[], stage: Stage) => unknown;
  /** When what was held back at that moment goes on: on the wire, in the function, in the line. */
  readonly release: Release;
  /** Where and why it goes on at once all the same. */
  readonly releasedAtOnce?: (part: Part) => string | undefined;
  /** Moments at which it cannot be, and why. */
  readonly impossible?: Readonly<Partial<Record<MomentName, string>>>;
}

const FUNCTION_IS_OVER = 'its function has returned, so nothing is left that could throw';
const NO_BACKEND = 'the server has not got the login yet, so there is no backend';

export const FAULTS = {
  throw: {
    ending: 'as planned',
    answer: 'heard',
    server: 'remembers',
    deadline: 'none',
    release: 'when told',
    strike: each((play) => play.throw()),
    releasedAtOnce: waitsForWhatRuns,
    impossible: {
      'COMMIT on its way': FUNCTION_IS_OVER,
      'COMMIT answered in vain': FUNCTION_IS_OVER,
      after: FUNCTION_IS_OVER,
    },
  },
  abort: {
    ending: 'ERR_LIFEGUARD_ABORTED',
    answer: 'heard',
    server: 'remembers',
    deadline: 'none',
    release: 'when told',
    strike: each((play) => play.caller.abort(new Error('hung up'))),
    releasedAtOnce: ({ moment }) => (moment.startsWith('COMMIT') ? 'nobody interrupts a COMMIT' : undefined),
  },
  deadline: {
    ending: 'ERR_LIFEGUARD_DEADLINE',
    answer: 'lost',
    server: 'remembers',
    deadline: 'short',
    release: 'when told',
    strike: each((play) => waitUntil(() => play.remainingMillis === 0, { what: 'the deadline' })),
  },
  'backend terminated': {
    ending: 'tried again',
    answer: 'heard if given',
    server: 'remembers',
    deadline: 'none',
    release: 'at once',
    strike: async (_, { watch }) => {
      const before = (await watch.sessions()) ?? [];
      const pids = before.map(({ pid }) => pid);
      await watch.query('select pg_terminate_backend(pid) from unnest($1::int[]) as pid', [pids]);
      await waitUntil(async () => areGone(await watch.sessions(), pids), { what: 'the backends to go' });
    },
    impossible: { dialling: NO_BACKEND },
  },
  'backend killed': {
    ending: 'tried again',
    answer: 'heard if given',
    server: 'starts anew',
    deadline: 'none',
    release: 'at once',
    // One that is killed takes all others with it: the server cannot know what it did to their memory.
    strike: async (_, { server, watch }) => {
      const [victim] = (await watch.sessions()) ?? [];
      if (victim === undefined) throw new Error('There is no backend to kill.');
      server.killBackend(victim.pid);
      await waitUntil(async () => areGone(await watch.sessions(), [victim.pid]), { what: 'the server to be back' });
    },
    impossible: { dialling: NO_BACKEND },
  },
  'server restarted': {
    ending: 'tried again',
    answer: 'heard if given',
    server: 'starts anew',
    deadline: 'none',
    release: 'at once',
    strike: (_, { server }) => server.restart('fast'),
  },
  'network dropped': {
    ending: 'tried again',
    answer: 'lost',
    server: 'remembers',
    deadline: 'none',
    release: 'at once',
    strike: each((play) => play.proxy.resetAll()),
  },
  'half open': {
    ending: 'ERR_LIFEGUARD_DEADLINE',
    answer: 'lost',
    server: 'remembers',
    deadline: 'short',
    release: 'never',
    strike: each((play) => play.proxy.halfOpen('client')),
  },
  'both sides silent': {
    ending: 'ERR_LIFEGUARD_DEADLINE',
    answer: 'lost',
    server: 'remembers',
    deadline: 'short',
    release: 'never',
    strike: each((play) => play.proxy.forget()),
  },
} as const satisfies Record<string, Fault>;

export type FaultName = keyof typeof FAULTS;

/** Where a function throws beside a statement that it has not awaited. */
function waitsForWhatRuns({ moment, shape }: Part): string | undefined {
  if (shape === 'nested' && moment.startsWith('SAVEPOINT')) return 'a nested one ends after what runs in it';
  const isBefore = moment === 'waiting' || moment === 'dialling' || moment.startsWith('BEGIN');
  return shape === 'cursor' && isBefore ? 'a cursor can be closed only when it has a connection' : undefined;
}

function each(strike: (play: Play) => unknown): Fault['strike'] {
  return (plays) => Promise.all(plays.map(strike));
}

function areGone(sessions: readonly Session[] | undefined, pids: readonly number[]): boolean {
  return sessions?.every(({ pid }) => !pids.includes(pid)) ?? false;
}
