import type { Entry } from './logbook.ts';
import type { Paint } from './paint.ts';
import { drawEntry, drawPicture, drawTicker, type View } from './picture.ts';

/** Where views are shown. */
export interface Screen {
  /** Milliseconds between two views. */
  readonly everyMillis: number;
  open(): void;
  announce(chapter: string, caption: string): void;
  show(view: View): void;
  close(): void;
}

// Xterm control sequences: https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
const HOME = '\x1b[H';
const TO_END_OF_LINE = '\x1b[K';
const TO_END_OF_SCREEN = '\x1b[J';

/** A picture that is drawn over the last one, on a screen of its own; the terminal's content comes back afterwards. */
export class LiveScreen implements Screen {
  readonly everyMillis = 200;
  readonly #paint: Paint;
  readonly #leave = (): void => {
    process.stdout.write(LEAVE);
  };

  constructor(paint: Paint) {
    this.#paint = paint;
  }

  open(): void {
    process.once('exit', this.#leave);
    process.stdout.write(ENTER);
  }

  announce(): void {}

  show(view: View): void {
    // A terminal that does not know its size says 0.
    const lines = drawPicture(view, this.#paint, {
      columns: process.stdout.columns || 80,
      rows: process.stdout.rows || 24,
    });
    process.stdout.write(HOME + lines.map((line) => line + TO_END_OF_LINE).join('\r\n') + TO_END_OF_SCREEN);
  }

  close(): void {
    process.off('exit', this.#leave);
    this.#leave();
  }
}

/** A line per second, and what happened in between: for pipes and logs. */
export class PlainScreen implements Screen {
  readonly everyMillis = 1_000;
  readonly #paint: Paint;
  /** How many of its kind each entry was printed with. */
  readonly #shown = new WeakMap<Entry, number>();

  constructor(paint: Paint) {
    this.#paint = paint;
  }

  open(): void {}

  announce(chapter: string, caption: string): void {
    print(`\n== ${chapter}: ${caption}`);
  }

  show(view: View): void {
    for (const entry of view.entries) this.#showNew(entry);
    print(drawTicker(view, this.#paint));
  }

  close(): void {}

  #showNew(entry: Entry): void {
    const before = this.#shown.get(entry) ?? 0;
    if (entry.times === before) return;
    this.#shown.set(entry, entry.times);
    const line = before === 0 ? drawEntry(entry, this.#paint) : `${entry.times - before}x more of: ${entry.text}`;
    print(`        ${entry.at.toFixed(1)} s  ${line}`);
  }
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
