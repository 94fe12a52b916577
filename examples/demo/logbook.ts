import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type Events, isLifeguardError, type Leak } from '@lifeguard/core';

/** A `deed` is what the demo does, the others are what follows. */
export type Tone = 'deed' | 'plain' | 'good' | 'bad';

export interface Entry {
  /** Seconds since the load began. */
  readonly at: number;
  readonly text: string;
  readonly tone: Tone;
  /** How many of its kind came shortly after one another. */
  times: number;
}

type Reports = { readonly [Name in keyof Events]?: (event: Events[Name], log: Logbook) => void };

/** What of the pool's events is worth a line, and in which words. */
const REPORTS: Reports = {
  'lifeguard:pool:opened': (_, log) => log.note('opened a connection', 'good'),
  'lifeguard:pool:dial-failed': ({ error }, log) => log.note(`could not connect: ${error}`, 'bad'),
  'lifeguard:pool:closing': ({ reason, error }, log) =>
    log.note(`closes a connection: ${reason}${error === undefined ? '' : ` (${error})`}`, 'plain'),
  'lifeguard:pool:overdue': ({ reason }, log) => log.note(`a closing connection is overdue: ${reason}`, 'bad'),
  'lifeguard:pool:breaker': ({ state }, log) => log.note(`the breaker is ${state}`, state === 'open' ? 'bad' : 'good'),
  'lifeguard:pool:invalidated': ({ reason }, log) => log.note(`all connections are replaced: ${reason}`, 'plain'),
  'lifeguard:pool:late-tick': ({ lateMillis }, log) =>
    log.note(`this process slept for ${Math.round(lateMillis)} ms`, 'bad'),
  'lifeguard:pool:warning': ({ code, message }, log) => {
    if (code !== 'LIFEGUARD_LEASE_LEAKED') log.note(firstLine(message), 'bad');
  },
  'lifeguard:lease:leaked': (leak, log) => {
    log.note(`LEAK: ${leakText(leak)}`, 'bad');
    log.note(placeOf(leak), 'bad');
  },
};

/** The last things that happened, like things within a short time in one line. */
export class Logbook {
  readonly entries: Entry[] = [];
  readonly #now: () => number;
  readonly #listeners = Object.entries(REPORTS).map(([name, report]) => {
    const listener = (event: unknown): void => (report as (event: unknown, log: Logbook) => void)(event, this);
    return [name, listener] as const;
  });

  /** `now` tells the seconds since the load began. */
  constructor(now: () => number) {
    this.#now = now;
    for (const [name, listener] of this.#listeners) subscribe(name, listener);
  }

  note(text: string, tone: Tone, kind: string = text): void {
    const at = this.#now();
    const same = this.#recent(at).find((entry) => entry.text === text || entry.text.startsWith(kind));
    if (same !== undefined) {
      same.times += 1;
      return;
    }
    this.entries.push({ at, text, tone, times: 1 });
    if (this.entries.length > KEPT) this.entries.shift();
  }

  /** A request that did not end well. Its message has figures that differ: the code says which are of a kind. */
  noteError(route: string, error: unknown): void {
    const kind = `${nameOf(error)}: `;
    const message = error instanceof Error ? firstLine(error.message) : String(error);
    this.note(isLifeguardError(error) ? `${kind}${message}` : `${kind}${message} (${route})`, 'bad', kind);
  }

  close(): void {
    for (const [name, listener] of this.#listeners) unsubscribe(name, listener);
  }

  #recent(at: number): Entry[] {
    const deed = this.entries.findLastIndex(({ tone }) => tone === 'deed');
    return this.entries.slice(Math.max(0, deed)).filter((entry) => at - entry.at < ONE_KIND_SECONDS);
  }
}

const KEPT = 100;
const ONE_KIND_SECONDS = 3;

function leakText({ name, heldMillis, silentMillis, lastStatement }: Leak): string {
  const last = lastStatement === undefined ? '' : `; last: ${lastStatement}`;
  return `"${name}" is out for ${Math.round(heldMillis)} ms, ${Math.round(silentMillis)} of them silent${last}`;
}

/** The frame of the user, which is the first one outside the pool. */
function placeOf({ stack }: Leak): string {
  if (stack === undefined) return '  where it was taken: not recorded; the next ones of this name are';
  const frame = stack.split('\n').find((line) => line.includes('at ') && !/packages.core|@lifeguard.core/.test(line));
  return `  taken ${(frame ?? stack).trim().replace(/\(?(file:\/\/)?\S*\/examples\//, '(examples/')}`;
}

function nameOf(error: unknown): string {
  const { code, name } = error as { code?: string; name?: string };
  return code ?? name ?? typeof error;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] as string;
}
