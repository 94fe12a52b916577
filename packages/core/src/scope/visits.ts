import type { Intake } from './intake.ts';

/** Whether others may work inside a level while a library holds it open, and whether they were told that all is well. */
export class Visits {
  readonly #intake: Intake;
  readonly #around: Visits | undefined;
  #state: 'closed' | 'open' | 'served' = 'closed';
  #welcome: 'everybody' | 'who reads' | 'nobody' = 'everybody';
  #served = 0;
  /** How many had been served when the library set the first savepoint of its own. */
  #servedBefore: number | undefined = undefined;

  constructor(intake: Intake, around: Visits | undefined) {
    this.#intake = intake;
    this.#around = around;
  }

  get haveServed(): boolean {
    return this.#state === 'served';
  }

  /** A library holds the level open from now on. */
  open(): void {
    this.#state = 'open';
  }

  /** Somebody was told that all is well, who asked a level around this one, and not to be part of this. */
  serve(asked: Visits): void {
    for (let visits: Visits | undefined = this; visits !== undefined && visits !== asked; visits = visits.#around) {
      visits.#state = 'served';
      visits.#served += 1;
    }
  }

  /** The library has made the level other than what is around it: those who come from there must not work in it. */
  close(to: 'who writes' | 'everybody'): void {
    if (to === 'everybody') this.#welcome = 'nobody';
    else if (this.#welcome === 'everybody') this.#welcome = 'who reads';
  }

  welcomes(who: 'reads' | 'writes'): boolean {
    return this.#welcome === 'everybody' || (this.#welcome === 'who reads' && who === 'reads');
  }

  savepointSet(): void {
    this.#servedBefore ??= this.#served;
  }

  /** Whether a return to a savepoint of the library's own may undo what guests were told. */
  get isReturnDeceitful(): boolean {
    return this.#servedBefore !== undefined && this.#served > this.#servedBefore;
  }

  get isOpen(): boolean {
    return this.#state !== 'closed';
  }

  /** Does what is not quiet in the eyes of those who wait outside. */
  noisily<T>(job: () => Promise<T>): Promise<T> {
    return this.isHeard ? this.#heard(job) : job();
  }

  async #heard<T>(job: () => Promise<T>): Promise<T> {
    const ends: (() => void)[] = [];
    for (let around = this.#around; around !== undefined; around = around.#around) ends.push(around.#intake.began());
    try {
      return await job();
    } finally {
      for (const end of ends) end();
    }
  }

  /** Whether somebody may be waiting outside, and listens. */
  get isHeard(): boolean {
    return this.isOpen || this.#around?.isHeard === true;
  }
}
