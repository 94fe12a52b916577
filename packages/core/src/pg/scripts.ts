import { createHash } from 'node:crypto';
import { readSql, type SqlReading } from './sql-words.ts';

/** A text that this pool was given, and what is known of it: what it says, how often it came, how long it takes. */
export class Script {
  readonly text: string;
  readonly reading: SqlReading;
  /** It may change what names mean on its connection, which the server does not look at again for what is prepared. */
  readonly unsettles: boolean;
  #uses = 0;
  #name: string | undefined;
  #meanMillis = 0;
  /** Executions in a row that must be quick before it counts as quick; 0: it does. */
  #probation = UNKNOWN;
  #sentence = FIRST_PROBATION;

  constructor(text: string) {
    this.text = text;
    this.reading = readSql(text);
    this.unsettles = unsettles(this.reading);
  }

  /** The name to prepare it by, from its fifth use on. */
  used(): string | undefined {
    if (this.#name !== undefined) return this.#name;
    this.#uses += 1;
    if (this.#uses < USES_TO_PREPARE || !this.reading.isPlannable) return undefined;
    // One text has one name, in all processes: behind a pooler their sessions meet. Two texts have two.
    this.#name = `lg_${createHash('sha256').update(this.text).digest('base64url').slice(0, 20)}`;
    return this.#name;
  }

  /** Whether it may make others wait behind it. */
  get isQuick(): boolean {
    return this.#probation === 0;
  }

  /** How long the server took for it. One that turns out slow must prove itself, and for longer each time. */
  took(millis: number): void {
    this.#meanMillis += SMOOTHING * (Math.max(0, millis) - this.#meanMillis);
    if (this.#meanMillis > SLOW_MILLIS) this.#convict();
    else if (!this.isQuick) this.#probation -= 1;
  }

  /** It runs, and has done so for that long. */
  lasts(millis: number): void {
    if (millis > LATE_MILLIS) this.#convict();
  }

  #convict(): void {
    if (this.isQuick) this.#sentence = Math.min(LONGEST_PROBATION, this.#sentence * 2);
    this.#probation = this.#sentence;
  }
}

/**
 * Two generations, as in `sql-words.ts`: what nobody asked for while one of them filled up is forgotten, and begins anew
 * when it comes again. A long text is mostly one of a kind and is not remembered at all.
 */
export class Scripts {
  readonly #mayPrepare: () => boolean;
  #roundTripMillis = 0;
  #young = new Map<string, Script>();
  #old = new Map<string, Script>();

  /** `mayPrepare`: whether what is prepared on a connection is still there at the next statement. */
  constructor(mayPrepare: () => boolean) {
    this.#mayPrepare = mayPrepare;
  }

  of(text: string): Script {
    return this.#young.get(text) ?? this.#keep(this.#old.get(text) ?? new Script(text));
  }

  /** The name under which its next execution is prepared; undefined where it is not. */
  nameOf(script: Script): string | undefined {
    return this.#mayPrepare() ? script.used() : undefined;
  }

  /** What the network alone takes, as far as dials tell. */
  get roundTripMillis(): number {
    return this.#roundTripMillis;
  }

  /** A dial was answered: a lower figure is believed at once, a higher one by and by, because the process may have been busy. */
  dialled(millis: number): void {
    const isFirst = this.#roundTripMillis === 0;
    const share = isFirst || millis < this.#roundTripMillis ? 1 : DISBELIEF;
    this.#roundTripMillis += share * (millis - this.#roundTripMillis);
  }

  #keep(script: Script): Script {
    if (script.text.length > LONGEST_KEPT) return script;
    this.#young.set(script.text, script);
    if (this.#young.size >= GENERATION) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    return script;
  }
}

function unsettles({ dirt, words }: SqlReading): boolean {
  if (dirt === 'sticky' || words.some((word) => /^(CREATE|ALTER|DROP)/.test(word))) return true;
  return dirt !== 'none' && words.some((word) => word === 'SELECT' || word === 'WITH');
}

/** As in pgjdbc, whose users have lived with it for long: https://jdbc.postgresql.org/documentation/server-prepare/ */
const USES_TO_PREPARE = 5;
const LONGEST_KEPT = 16_384;
const GENERATION = 512;
/** One execution of 50 ms is enough to make a text slow, and one late turn of a busy process is not. */
const SMOOTHING = 0.08;
/** Whoever shares a connection with it waits for that long too. */
const SLOW_MILLIS = 3.5;
const LATE_MILLIS = 10;
/** One that nobody knows might make those wait who came with it. */
const UNKNOWN = 2;
const DISBELIEF = 0.2;
const FIRST_PROBATION = 25;
const LONGEST_PROBATION = 5_000;
