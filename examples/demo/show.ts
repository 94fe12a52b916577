import { KEY_HELP, listenToKeys } from './keys.ts';
import type { Deed } from './mischief.ts';
import type { Screen } from './screen.ts';
import type { Stage } from './stage.ts';
import { FAREWELL, FREE, pause, type Step, takeTour } from './tour.ts';

type Phase =
  | { readonly kind: 'tour'; readonly chapter: string; readonly caption: string }
  | { readonly kind: 'free'; since: number }
  | { readonly kind: 'farewell' };

/** One run of the demo on its stage: the tour, or whoever presses the keys, until somebody ends it. */
export class Show {
  readonly #stage: Stage;
  readonly #screen: Screen;
  readonly #ending: AbortController;
  /** Aborted when the tour is to go no further. */
  readonly #tourEnd = new AbortController();
  readonly #hasKeys = process.stdin.isTTY === true && process.stdout.isTTY === true;
  #phase: Phase = { kind: 'tour', chapter: '', caption: '' };

  constructor(stage: Stage, screen: Screen, ending: AbortController) {
    this.#stage = stage;
    this.#screen = screen;
    this.#ending = ending;
  }

  /** Resolves when all is closed. */
  async run(steps: readonly Step[], seconds: number): Promise<void> {
    const stopKeys = this.#listen();
    this.#screen.open();
    const redraw = setInterval(() => this.#draw(), this.#screen.everyMillis);
    try {
      this.#stage.load.start();
      await this.#takeTour(steps, seconds);
      await this.#beFree();
    } finally {
      this.#enter({ kind: 'farewell' });
      this.#ending.abort();
      await this.#stage.close();
      clearInterval(redraw);
      this.#draw();
      if (this.#hasKeys) await pause(LAST_LOOK_MILLIS, new AbortController().signal);
      this.#screen.close();
      stopKeys();
    }
  }

  async #takeTour(steps: readonly Step[], seconds: number): Promise<void> {
    await takeTour(steps, seconds - FAREWELL_SECONDS, {
      signal: AbortSignal.any([this.#tourEnd.signal, this.#ending.signal]),
      enter: ({ caption }, number) => {
        this.#enter({ kind: 'tour', chapter: `tour, ${number} of ${steps.length + 1}`, caption });
      },
      do: (deed) => this.#stage.mischief.do(deed, this.#ending.signal),
    });
  }

  /** Only where a key has ended the tour: until nobody presses keys any more. */
  async #beFree(): Promise<void> {
    while (this.#phase.kind === 'free' && performance.now() - this.#phase.since < FREE_MILLIS) {
      await pause(500, this.#ending.signal);
      if (this.#ending.signal.aborted) return;
    }
  }

  #listen(): () => void {
    if (!this.#hasKeys) return () => undefined;
    return listenToKeys(process.stdin, {
      pressed: (deed) => this.#pressed(deed),
      quit: () => this.#ending.abort(),
      interrupt: () => process.emit('SIGINT'),
    });
  }

  #pressed(deed: Deed): void {
    if (this.#phase.kind === 'farewell') return;
    if (this.#phase.kind === 'tour') this.#enter({ kind: 'free', since: performance.now() });
    else this.#phase.since = performance.now();
    this.#tourEnd.abort();
    this.#stage.mischief.do(deed, this.#ending.signal);
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#screen.announce(this.#chapter(), this.#caption());
    this.#draw();
  }

  #draw(): void {
    const { pool, load, log, seconds } = this.#stage;
    this.#screen.show({
      pool: pool.snapshot(),
      tally: load.tally,
      entries: log.entries,
      seconds,
      nowMillis: performance.now(),
      rate: load.rate,
      chapter: this.#chapter(),
      caption: this.#caption(),
      help: this.#hasKeys ? KEY_HELP : '',
    });
  }

  #chapter(): string {
    return this.#phase.kind === 'tour' ? this.#phase.chapter : this.#phase.kind === 'free' ? 'yours' : 'the end';
  }

  #caption(): string {
    switch (this.#phase.kind) {
      case 'tour':
        return this.#phase.caption;
      case 'free':
        return FREE;
      case 'farewell':
        return FAREWELL;
      default:
        return this.#phase satisfies never;
    }
  }
}

const FAREWELL_SECONDS = 1.5;
const LAST_LOOK_MILLIS = 1_200;
const FREE_MILLIS = 120_000;
