import type { Fault } from './fault-matrix-faults.ts';
import type { Part } from './fault-matrix-play.ts';

export const UNKNOWN = 'ERR_LIFEGUARD_COMMIT_UNKNOWN';

/** What a caller may be told: `ok`, or the code of an error. */
export function tidings(fault: Fault, part: Part): readonly string[] {
  const { moment, shape } = part;
  switch (moment) {
    case 'after':
      return ['ok'];
    case 'COMMIT on its way':
      if (fault.answer === 'heard') return ['ok'];
      return isResolved(fault, part) ? refuted(fault, part) : [UNKNOWN];
    case 'COMMIT answered in vain':
      return fault.answer !== 'lost' || isResolved(fault, part) ? ['ok'] : [UNKNOWN];
    case 'waiting':
      // The connection that it is given may be dead already, and nobody has noticed yet.
      return fault.ending === 'tried again' ? ['ok', ...undone(fault, part)] : [fault.ending];
    case 'dialling':
      return fault.ending === 'tried again' ? ['ok'] : [fault.ending];
    default:
      return shape === 'cursor' && FETCHING.has(moment) ? [...undone(fault, part), ...RAW] : undone(fault, part);
  }
}

/** What has become of one whose end its caller does not know; undefined where both can be. */
export function truthOf(fault: Fault, { moment }: Part): 'committed' | 'not committed' | undefined {
  if (moment === 'COMMIT answered in vain') return 'committed';
  // What the network delivers late is a COMMIT still.
  return fault.release === 'when told' ? undefined : 'not committed';
}

/** The errors of a cursor are its own: with them it answers whoever reads it, in the words of the server or of pg. */
const RAW: readonly string[] = ['57014', '57P01', '57P02', 'ECONNRESET', 'Connection terminated unexpectedly'];
const FETCHING: ReadonlySet<string> = new Set(['BEGIN answered in vain', 'first statement', 'between statements']);

function undone({ ending }: Fault, { options }: Part): readonly string[] {
  if (ending !== 'tried again') return [ending];
  return options.retry === false ? ['ERR_LIFEGUARD_CONNECTION_LOST'] : ['ok'];
}

/** The pool has looked, and it has not committed. */
function refuted({ ending }: Fault, { options }: Part): readonly string[] {
  return ending === 'tried again' && options.retry !== false ? ['ok'] : ['ERR_LIFEGUARD_ROLLED_BACK'];
}

/** A token tells also what was before the server's last start. */
function isResolved({ server }: Fault, { options }: Part): boolean {
  const { commitOutcome = 'report' } = options;
  return commitOutcome === 'token' || (commitOutcome === 'resolve' && server === 'remembers');
}
