import { parseArgs } from 'node:util';
import type { Deed } from './mischief.ts';

/** What the command line asks for. */
export interface Flags {
  readonly help: boolean;
  /** The provocations asked for; none means all of them, one after the other. */
  readonly deeds: readonly Deed[];
  /** How long it takes, with everything. */
  readonly seconds: number;
  readonly color: boolean;
  /** A live picture; else one line per second. */
  readonly live: boolean;
}

export const HELP = `Lifeguard's demo: a service on a PostgreSQL of its own, a load against it, and what the pool does.

  pnpm demo                 a guided tour: all of the following, one after the other
  pnpm demo --slow          only slow statements that are cancelled at their deadline
            --leak          a handler that forgets its lease
            --kill          one backend is ended
            --restart       PostgreSQL is gone for a second
            --overload      three times the load
            --seconds N     takes N seconds, 5 to 3600 (40 in a terminal, 16 without one)
            --no-color      no colours (so does NO_COLOR=1)
            --help          this

In a terminal: s slow, l leak, k kill, r restart, o overload, p pause or resume, q quit.
`;

export function readFlags(args: readonly string[]): Flags {
  const { values } = parseArgs({ args: withoutDashes(args), options: OPTIONS });
  const live = process.stdout.isTTY === true && process.env['TERM'] !== 'dumb';
  return {
    help: values.help === true,
    deeds: DEEDS.filter((deed) => values[deed] === true),
    seconds: readSeconds(values.seconds, live),
    color: process.stdout.isTTY === true && values['no-color'] !== true && !process.env['NO_COLOR'],
    live,
  };
}

const DEEDS = ['slow', 'leak', 'kill', 'restart', 'overload'] as const;

const OPTIONS = {
  slow: { type: 'boolean' },
  leak: { type: 'boolean' },
  kill: { type: 'boolean' },
  restart: { type: 'boolean' },
  overload: { type: 'boolean' },
  seconds: { type: 'string' },
  'no-color': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
} as const;

/** `npm run demo -- --slow` hands over the dashes with some package managers, and without them with others. */
function withoutDashes(args: readonly string[]): string[] {
  return args[0] === '--' ? args.slice(1) : [...args];
}

function readSeconds(given: string | undefined, live: boolean): number {
  if (given === undefined) return live ? 40 : 16;
  const seconds = Number(given);
  if (seconds >= 5 && seconds <= 3_600) return seconds;
  throw new Error(`--seconds takes a number from 5 to 3600, not "${given}".`);
}
