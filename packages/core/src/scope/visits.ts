import type { Intake } from './intake.ts';

/** Whether others may work inside a level while a library holds it open, and whether they were told that all is well. */
export class Visits {
  readonly #intake: Intake;
  readonly #around: Visits | undefined;
  #state: 'closed' | 'open' | 'served' = 'closed';

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

  /** Somebody was told that all is well, who did not ask to be part of this. */
  serve(): void {
    this.#state = 'served';
  }

  async receive<T>(visit: Promise<T>): Promise<T> {
    const value = await visit;
    this.serve();
    return value;
  }

  /** The level is part of the one around it now, which may be rolled back in its turn. */
  handOn(): void {
    if (this.#state === 'served' && this.#around?.isOpen) this.#around.serve();
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
