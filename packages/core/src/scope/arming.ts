import type { Ground } from './ground.ts';
import type { Limits } from './patience.ts';
import type { Setting } from './settings.ts';
import { SLACK_MILLIS } from './silence.ts';

/** For what the server ends by itself: its own word, which leaves the connection fit, is worth waiting a moment for. */
export function withSlack(limits: Limits): Limits {
  return limits.deadline === undefined ? limits : { ...limits, deadline: limits.deadline + SLACK_MILLIS };
}

/** The `statement_timeout` that a statement under these limits must carry itself; undefined where the server's own is enough. */
export function armedMillis({ server, clock }: Ground, { deadline }: Limits): number | undefined {
  const left =
    deadline === undefined ? Number.POSITIVE_INFINITY : Math.min(LONGEST_MILLIS, Math.ceil(deadline - clock.now()));
  // Never 0: to the server that is no limit at all.
  const wanted = Math.max(1, Math.min(left, limitOf(server.wanted, 'statement_timeout')));
  return wanted < limitOf(server.inForce, 'statement_timeout') ? wanted : undefined;
}

/** Limits that should be in force at login and are not, because a pooler swallowed them: a transaction carries them itself. */
export function missingLimits({ server }: Ground): readonly Setting[] {
  return CARRIED.filter((name) => limitOf(server.wanted, name) < limitOf(server.inForce, name)).map((name) => ({
    name,
    value: String(server.wanted.get(name)),
  }));
}

/** The server's own again. */
export function loginLimit({ server }: Ground): number {
  return server.inForce.get('statement_timeout') ?? 0;
}

/** Worth a statement of its own: the remainder fell by over a tenth of what the server was told, or there is more time. */
export function isOutdated(armed: number, wanted: number): boolean {
  return wanted > armed || armed - wanted > armed / 10;
}

/** The server's own limit of limits. */
export const LONGEST_MILLIS = 2_147_483_647;
const CARRIED = ['lock_timeout', 'idle_in_transaction_session_timeout'] as const;

function limitOf(limits: ReadonlyMap<string, number>, name: string): number {
  const millis = limits.get(name);
  return millis === undefined || millis === 0 ? Number.POSITIVE_INFINITY : millis;
}
