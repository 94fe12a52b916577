import type { ReadStream } from 'node:tty';
import type { Deed } from './mischief.ts';

export const KEYS: Readonly<Record<string, Deed>> = {
  s: 'slow',
  l: 'leak',
  k: 'kill',
  r: 'restart',
  o: 'overload',
  p: 'pause',
};

export const KEY_HELP = 's slow   l leak   k kill   r restart   o overload   p pause/resume   q quit';

export interface KeyEnds {
  pressed(deed: Deed): void;
  quit(): void;
  /** In raw mode the terminal makes no signal of it. */
  interrupt(): void;
}

const CTRL_C = '\x03';

/** Hands on each key at once. Returns how to stop; without a terminal there are no keys. */
export function listenToKeys(input: ReadStream, ends: KeyEnds): () => void {
  const onData = (text: string): void => {
    for (const key of text.toLowerCase()) {
      if (key === 'q') ends.quit();
      else if (key === CTRL_C) ends.interrupt();
      else if (Object.hasOwn(KEYS, key)) ends.pressed(KEYS[key] as Deed);
    }
  };
  input.setRawMode(true);
  input.setEncoding('utf8').on('data', onData).resume();
  return () => {
    input.off('data', onData).pause();
    input.setRawMode(false);
  };
}
