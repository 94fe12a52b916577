const CODES = {
  bold: '1',
  dim: '2',
  red: '31',
  green: '32',
  yellow: '33',
  cyan: '36',
  onGreen: '30;42',
  onGrey: '37;100',
  onYellow: '30;43',
  onMagenta: '30;45',
  onRed: '97;41',
} as const;

export type Colour = keyof typeof CODES;

/** Colours, where they are wanted, and lines that do not break. */
export class Paint {
  readonly color: boolean;
  /** Whether the terminal shows more than ASCII. */
  readonly #unicode: boolean;

  constructor(color: boolean) {
    this.color = color;
    this.#unicode = showsUnicode();
  }

  in(colour: Colour, text: string): string {
    return this.color && text !== '' ? `\x1b[${CODES[colour]}m${text}\x1b[0m` : text;
  }

  /** A column per number, as high as the number is. */
  bars(numbers: readonly number[], highest: number): string {
    const steps = this.#unicode ? ' ▁▂▃▄▅▆▇█' : ' .:-=+*#@';
    return numbers
      .map((number) => {
        const height = number === 0 ? 0 : Math.max(1, Math.round((number / highest) * (steps.length - 1)));
        return steps[Math.min(height, steps.length - 1)];
      })
      .join('');
  }

  /** As many columns of a line as there are. */
  cut(line: string, columns: number): string {
    let left = columns;
    const pieces = line.split(SGR).map((piece) => {
      if (piece.startsWith('\x1b')) return piece;
      const shown = piece.slice(0, left);
      left -= shown.length;
      return shown;
    });
    return pieces.join('');
  }

  /** Filled up with blanks, whatever colours it has. */
  pad(text: string, columns: number): string {
    return text + ' '.repeat(Math.max(0, columns - text.replaceAll(SGR, '').length));
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: an escape sequence begins with one
const SGR = /(\x1b\[[\d;]*m)/g;

/** https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html#tag_08_02: the first that is set counts. */
function showsUnicode(): boolean {
  if (process.platform === 'win32') return true;
  const { LC_ALL, LC_CTYPE, LANG } = process.env;
  return /utf-?8/i.test(LC_ALL || LC_CTYPE || LANG || '');
}
