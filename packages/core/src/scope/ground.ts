import type { Clock } from '../clock.ts';
import type { DeadlineWheel } from '../deadline-wheel.ts';
import type { LifeguardError } from '../errors.ts';
import type { Warnings } from '../events.ts';
import type { CommitOutcome, Evidence } from '../pg/commit-outcome.ts';
import type { Failure, Phase } from '../pg/failure.ts';
import type { Script } from '../pg/scripts.ts';
import type { Part } from '../pg/sql-script.ts';
import type { SqlReading } from '../pg/sql-words.ts';
import type { Statement } from '../pg/statement.ts';
import type { Ambient } from './ambient.ts';
import type { House } from './house.ts';
import type { OpenTransaction } from './open-transaction.ts';
import type { Awaited, Limits } from './patience.ts';
import type { RetryBudget } from './retry.ts';
import type { Scope } from './scope.ts';

/** What units of work need to know of the server, and cannot ask `pg/` for themselves. */
export interface Server {
  read(text: string): SqlReading;
  /** A text cut where it wants to begin or end a transaction, or to be refused. */
  script(text: string): readonly Part[];
  /** Names of the settings that it may change until the end of the transaction. */
  localSettings(statement: Statement): readonly string[];
  /** Whether a cursor can be declared for it. */
  declares(text: string): boolean;
  failureOf(error: unknown, phase: Phase): Failure;
  /** What is known of a text. */
  scriptOf(text: string): Script;
  /** Whether statements may share a connection at all. */
  readonly mayShare: boolean;
  /** Whether a user may ask for a retry after this SQLSTATE. */
  mayBeAsked(code: string): boolean;
  /** Limits that the server keeps without being told, and those that were meant to be kept, by its own names. */
  readonly inForce: ReadonlyMap<string, number>;
  readonly wanted: ReadonlyMap<string, number>;
  /** Why no transaction can be begun through what stands before the server. */
  refusalOfTransaction(): LifeguardError | undefined;
  evidenceStatement(): Statement;
  tokenStatement(token: string): Statement;
  toEvidence(row: Readonly<Record<string, unknown>>, token?: string): Evidence;
  /** Asks over a side connection what became of a COMMIT. */
  resolve(evidence: Evidence): Promise<CommitOutcome>;
}

/** What all units of work of one pool stand on. */
export interface Ground {
  readonly house: House;
  readonly clock: Clock;
  readonly server: Server;
  readonly ambient: Ambient<Scope | OpenTransaction>;
  readonly warnings: Warnings;
  readonly budget: RetryBudget;
  readonly counts: Counts;
  /** For how long whoever needs a connection waits for one; 0: for ever. */
  readonly acquireTimeoutMillis: number;
  /** Whether statements may share connections. */
  readonly lane: boolean;
  /** Whether libraries have transactions here, by BEGIN and COMMIT. */
  readonly facade: { inUse: boolean };
  readonly selfDeadlock: 'allow' | 'warn' | 'throw';
  /** All deadlines of statements and transactions. */
  readonly wheel: DeadlineWheel;
  patience<T>(awaited: Awaited<T>, limits: Limits): Promise<T>;
  /** A transaction with a token has ended for sure: its row can go. */
  forget(token: string): void;
}

/** What happened so far, in numbers: the part of a snapshot that units of work know. */
export class Counts {
  retries = 0;
  committed = 0;
  notCommitted = 0;
  unknown = 0;
}
