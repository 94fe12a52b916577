import type { SqlReading } from '../pg/sql-words.ts';

/** In the extended protocol a text is one statement, and COPY would swallow what follows it in the same packet. */
export function travelsAlone({ statements, words }: SqlReading): boolean {
  return statements > 1 || words[0] === 'COPY';
}
