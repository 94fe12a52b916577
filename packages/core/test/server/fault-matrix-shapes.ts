import Cursor from 'pg-cursor';
import type { Transaction } from '../../src/index.ts';

/** What a transaction of the matrix is made of. Every statement of it leaves one row, under its step's name. */
export interface Script {
  write(tx: Transaction, step: string): Promise<unknown>;
  /** The same by a cursor, which is read to its end unless it is to stay open. */
  fetch(tx: Transaction, step: string, end: 'read through' | 'left open'): Promise<unknown>;
  mark(tx: Transaction): Promise<unknown>;
  /** The function does something else for a while. */
  pause(): Promise<unknown>;
}

export interface Shape {
  readonly run: (tx: Transaction, script: Script) => Promise<unknown>;
  /** The rows that are there when it has committed. */
  readonly steps: readonly string[];
}

export const SHAPES = {
  plain: {
    steps: ['first', 'later', 'last'],
    async run(tx, script) {
      await script.write(tx, 'first');
      await script.pause();
      await script.write(tx, 'later');
      await script.mark(tx);
      await script.write(tx, 'last');
    },
  },
  nested: {
    steps: ['first', 'inner', 'later'],
    async run(tx, script) {
      await script.write(tx, 'first');
      await tx.transaction(async (inner) => {
        await script.write(inner, 'inner');
        await script.pause();
        await script.write(inner, 'later');
      });
    },
  },
  parallel: {
    steps: ['first', 'inner', 'later', 'other', 'second'],
    async run(tx, script) {
      const branch = async (inner: Transaction): Promise<void> => {
        await script.write(inner, 'inner');
        await script.pause();
        await script.write(inner, 'later');
      };
      await Promise.all([
        script.write(tx, 'first'),
        tx.transaction(branch),
        script.write(tx, 'second'),
        tx.transaction((inner) => script.write(inner, 'other')),
      ]);
    },
  },
  cursor: {
    steps: ['first', 'last', 'later'],
    async run(tx, script) {
      await script.fetch(tx, 'first', 'read through');
      await script.mark(tx);
      await script.write(tx, 'later');
      await script.fetch(tx, 'last', 'left open');
    },
  },
} as const satisfies Record<string, Shape>;

export type ShapeName = keyof typeof SHAPES;

/** What the rows are written with; the wait is in the statement itself, so that it runs on the server meanwhile. */
const WRITE = 'insert into work select $1, $2, $3 from pg_sleep($4)';

export interface Row {
  readonly cell: number;
  readonly attempt: number;
  readonly step: string;
  readonly sleepSeconds: number;
}

export function writeRow(tx: Transaction, row: Row): Promise<unknown> {
  return tx.query(WRITE, valuesOf(row));
}

export function openCursor(tx: Transaction, row: Row): Promise<Cursor> {
  // Two rows are answered, so that one read leaves it open.
  const text = `with written as (${WRITE}) select generate_series(1, 2)`;
  return tx.query(new Cursor(text, valuesOf(row)));
}

function valuesOf({ cell, attempt, step, sleepSeconds }: Row): unknown[] {
  return [cell, attempt, step, sleepSeconds];
}
