import type { Clock } from '../clock.ts';
import type { LifeguardError } from '../errors.ts';
import type { PgConnection } from '../pg/pg-connection.ts';
import type { Group } from '../pg/sync-group.ts';
import type { Pool } from '../pool/pool.ts';
import type { Verdict } from '../pool/seam.ts';
import type { LeakWatch } from './leak-watch.ts';

/** What every hold of a pool shares. */
export interface House {
  readonly name: string;
  readonly clock: Clock;
  readonly pool: Pool<PgConnection>;
  verdictOn(connection: PgConnection): Verdict;
  explain(error: unknown, ran: Ran): unknown;
  readonly leaks: Pick<LeakWatch, 'began' | 'ended'>;
  refusalOf(text: string): LifeguardError | undefined;
  /** Cancels what runs on it. Resolves when nothing runs any more. */
  stop(connection: PgConnection): Promise<void>;
}

export interface Ran {
  readonly millis: number;
  readonly armedMillis: number | undefined;
}

/** Statements that travel together. */
export interface Parcel extends Group {
  readonly armedMillis: number | undefined;
}

export type HoldKind = 'statement' | 'lease' | 'transaction';

/** What a connection is wanted for. `shares`: a place on a lane will do. */
export interface Errand {
  readonly kind: HoldKind;
  readonly deadline: number | undefined;
  readonly shares?: boolean;
}
