import type { LifeguardPool } from '@lifeguard/core';
import type { ConnectionParameters } from '@lifeguard/testkit';
import type pg from 'pg';

/** What a library is opened on. */
export interface Host {
  readonly pool: LifeguardPool;
  /** The pool as the library expects one. */
  readonly pgPool: pg.Pool;
  readonly pg: typeof pg;
  readonly connection: ConnectionParameters;
}

/** A library, or a transaction of it, at work on the table `t(id int primary key, note text)`. */
export interface Handle {
  /** One row, the way its users insert one. */
  insert(id: number): Promise<unknown>;
  /** The ids of all rows, in their order. */
  ids(): Promise<number[]>;
  /** One statement as it stands; resolves with its rows, as the library reads them. */
  run(text: string): Promise<unknown>;
  /** A transaction of the library's own: on a session one of its own, on a transaction a nested one. */
  transaction?<T>(fn: (tx: Handle) => Promise<T>): Promise<T>;
}

/** An opened library. */
export interface Session extends Handle {
  /** The rows of a statement as they come, on a cursor. */
  stream?(text: string): AsyncIterable<unknown>;
  /** Ends what the library made, and leaves the pool alone. */
  close(): Promise<unknown>;
}

/** A library in the hands of the suite. */
export interface Library {
  readonly name: string;
  /** Whether it has transactions of its own, and whether one can hold another. */
  readonly transactions: 'none' | 'flat' | 'nested';
  /** Whether it reads rows as they come. */
  readonly streams: boolean;
  open(host: Host): Promise<Session>;
}
