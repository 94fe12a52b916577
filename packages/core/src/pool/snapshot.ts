import type { Reading } from './histogram.ts';
import type { CloseReason } from './seam.ts';

/** A frozen reading of the pool. Durations are in milliseconds; waits and holds are those of the last minute or two. */
export interface PoolSnapshot {
  readonly name: string;
  readonly state: 'open' | 'paused' | 'closing' | 'closed';
  /** How the server takes new connections. `broken`: callers without a connection are refused at once. */
  readonly health: 'healthy' | 'failing' | 'broken' | 'recovering';
  readonly max: number;
  readonly min: number;
  /** All places in use, whatever their state: what the server may hold of us, at most. */
  readonly size: number;
  readonly connecting: number;
  readonly idle: number;
  readonly leased: number;
  /** Shared by single statements of many callers, or empty and ready for that. */
  readonly lanes: number;
  /** Statements on lanes now. */
  readonly onLanes: number;
  /** In the house's own hands: being checked, cleaned or interrupted. */
  readonly tending: number;
  readonly closing: number;
  /** Among those closing: past their cap, cut off, and not yet known to be gone at the server's side. */
  readonly overdue: number;
  readonly waiting: number;
  readonly oldestWaitMillis: number;
  /** For a lease, or for a place on a lane. */
  readonly wait: Quantiles;
  readonly hold: Quantiles;
  /** Time in which leases were held and nothing ran on them, by the name of their scope. */
  readonly held: Readonly<Record<string, HeldTime>>;
  /** Leases given since the pool was made. So are all counts below. */
  readonly acquired: number;
  /** Places given on lanes. */
  readonly boarded: number;
  /** Callers whose time was up before there was a connection for them: the pool's limit or their own. */
  readonly timeouts: number;
  /** Callers whose signal was aborted before there was a connection for them. */
  readonly aborted: number;
  /** Refused because of overload or a full line. */
  readonly shed: number;
  /** Connections that were ready for use, those of the minimum and the replacements among them. */
  readonly opened: number;
  readonly failedDials: number;
  readonly closed: Readonly<Partial<Record<CloseReason, number>>>;
  readonly retries: number;
  /** Leases that came back while a statement ran, so that it was cancelled. */
  readonly cancels: number;
  readonly commits: { readonly committed: number; readonly notCommitted: number; readonly unknown: number };
  /** Share of `max` that is held, 0 to 1 and above with overflow. A lane is held while a place on it is taken. */
  readonly utilisation: number;
  /** Leases asked for per second. */
  readonly arrivalsPerSecond: number;
  /** By Little's law, arrivals × mean hold: how many connections this load occupies on average. */
  readonly impliedConcurrency: number;
}

/** What the slots and the line can tell; the rest is counted by those who run units of work. */
export type PoolReading = Omit<PoolSnapshot, 'retries' | 'commits'>;

export interface Quantiles {
  readonly p50Millis: number;
  readonly p99Millis: number;
}

export interface HeldTime {
  readonly leases: number;
  readonly heldMillis: number;
  readonly silentMillis: number;
}

export function quantiles({ p50, p99 }: Reading): Quantiles {
  return Object.freeze({ p50Millis: p50, p99Millis: p99 });
}
