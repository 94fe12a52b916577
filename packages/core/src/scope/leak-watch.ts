import { type Leak, publish, type Warnings } from '../events.ts';
import type { CloseReason } from '../pool/seam.ts';
import { Hold } from './hold.ts';

interface LeakSettings {
  readonly pool: string;
  readonly leakAfterMillis: number;
  readonly reclaimAfterMillis: number;
}

/** Finds leases that are out for too long. It has no timers: the pool's upkeep asks it now and then. */
export class LeakWatch {
  readonly #settings: LeakSettings;
  readonly #warnings: Warnings;
  /** Names that leaked before: of them every lease records where it was taken. */
  readonly #suspects = new Set<string>();
  #taken = 0;

  constructor(settings: LeakSettings, warnings: Warnings) {
    this.#settings = settings;
    this.#warnings = warnings;
  }

  /** A stack costs more than the lease, so it is taken of one in many, and of all whose name leaked before. */
  began(hold: Hold): void {
    this.#taken += 1;
    if (this.#settings.leakAfterMillis === 0) return;
    if (this.#taken % SAMPLE !== 1 && !this.#suspects.has(hold.name)) return;
    hold.stack = stackOfCaller(this.began);
  }

  /** Reports what is overdue, and takes back what is far beyond. */
  check(leased: Iterable<{ readonly holder: object; readonly since: number }>, now: number): void {
    const { leakAfterMillis, reclaimAfterMillis } = this.#settings;
    for (const { holder, since } of [...leased]) {
      if (!(holder instanceof Hold) || holder.kind === 'statement') continue;
      const heldMillis = now - since;
      if (leakAfterMillis > 0 && heldMillis >= leakAfterMillis && holder.leakedAt === undefined)
        this.#report(holder, heldMillis, now);
      if (reclaimAfterMillis > 0 && heldMillis >= reclaimAfterMillis) this.#reclaim(holder, heldMillis);
    }
  }

  /** One that was reported has ended, or one was found that nobody could have ended any more. */
  ended(hold: Hold, { slot, heldMillis, discard }: End): void {
    if (discard === 'collected') this.#collected(hold, heldMillis);
    // What the house took back itself did not come back after all.
    else if (discard !== 'reclaimed') this.#returned(hold, slot, heldMillis);
  }

  #collected(hold: Hold, heldMillis: number): void {
    this.#suspect(hold);
    const message = `a lease of "${hold.name}" was never released and was garbage-collected, after ${Math.round(heldMillis)} ms; its connection is closed. ${placeOf(hold.stack)}`;
    this.#warnings.warn('LIFEGUARD_LEASE_COLLECTED', message, { name: hold.name, heldMillis });
  }

  #returned({ name }: Hold, slot: number, heldMillis: number): void {
    publish('lifeguard:lease:returned', () => ({ pool: this.#settings.pool, name, slot, heldMillis }));
    this.#warnings.warn(
      'LIFEGUARD_LEASE_RETURNED',
      `the lease of "${name}" that was reported as leaked came back after all, after ${Math.round(heldMillis)} ms`,
    );
  }

  #report(hold: Hold, heldMillis: number, now: number): void {
    hold.leakedAt = now;
    this.#suspect(hold);
    const leak: Leak = {
      pool: this.#settings.pool,
      name: hold.name,
      slot: hold.slotId,
      heldMillis,
      silentMillis: heldMillis - hold.queriedMillis(now),
      ...(hold.lastText === undefined ? {} : { lastStatement: hold.lastText.slice(0, MAX_TEXT) }),
      ...(hold.stack === undefined ? {} : { stack: hold.stack }),
    };
    publish('lifeguard:lease:leaked', () => leak);
    const last =
      leak.lastStatement === undefined ? 'nothing was run on it' : `its last statement was: ${leak.lastStatement}`;
    const message = `a lease of "${hold.name}" is out for ${Math.round(heldMillis)} ms (${Math.round(leak.silentMillis)} ms of them silent); ${last}. ${placeOf(leak.stack)}`;
    this.#warnings.warn('LIFEGUARD_LEASE_LEAKED', message, { name: hold.name, heldMillis });
  }

  #suspect({ name }: Hold): void {
    if (this.#suspects.size < MAX_SUSPECTS) this.#suspects.add(name);
  }

  #reclaim(hold: Hold, heldMillis: number): void {
    const message = `the lease of "${hold.name}" was taken back after ${Math.round(heldMillis)} ms (reclaimAfterMillis), and its connection closed`;
    this.#warnings.warn('LIFEGUARD_LEASE_RECLAIMED', message, { name: hold.name, heldMillis });
    hold.end('reclaimed');
  }
}

/** Where the code is that is not ours: a transaction comes here through many frames of the house. */
function stackOfCaller(above: (hold: Hold) => void): string | undefined {
  const trace: { stack?: string } = {};
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = DEEP;
  Error.captureStackTrace(trace, above);
  Error.stackTraceLimit = stackTraceLimit;
  const frames = trace.stack?.split('\n').slice(1) ?? [];
  const others = frames.filter((frame) => !frame.includes(HOUSE));
  return (others.length === 0 ? frames : others).slice(0, SHOWN).join('\n');
}

const DEEP = 60;
const SHOWN = 10;
/** The folder of this package's code. */
const HOUSE: string = new URL('..', import.meta.url).pathname;

/** Ends what waits for a server that should have spoken by now: the server's own limit has passed, and nothing has come. */
export function endTheSilent(
  leased: Iterable<{ readonly holder: object }>,
  now: number,
  limitMillis: number | undefined,
): void {
  if (limitMillis === undefined) return;
  for (const { holder } of [...leased]) if (holder instanceof Hold) holder.endIfSilent(now, limitMillis);
}

/** How a lease ended that was not as it should be. */
interface End {
  readonly slot: number;
  readonly heldMillis: number;
  readonly discard: CloseReason | undefined;
}

function placeOf(stack: string | undefined): string {
  return stack === undefined
    ? 'The next ones of this name will record where they were taken.'
    : `It was taken at\n${stack}`;
}

const SAMPLE = 256;
const MAX_SUSPECTS = 100;
const MAX_TEXT = 500;
