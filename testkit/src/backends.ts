import { type ConnectionParameters, queryOnce, TESTKIT_APPLICATION } from './query-once.ts';

/** One connection as the server sees it: a row of pg_stat_activity. */
export interface Backend {
  readonly pid: number;
  readonly database: string;
  readonly applicationName: string;
  /** `active`, `idle`, `idle in transaction`, …; null while it starts. */
  readonly state: string | null;
  readonly waitEvent: string | null;
  /** The statement that runs, or the last one that ran. */
  readonly query: string;
  readonly startedAt: Date;
  readonly transactionStartedAt: Date | null;
}

export interface BackendFilter {
  readonly database?: string;
  readonly applicationName?: string;
}

const SELECT = `
  select pid, datname as database, application_name as "applicationName", state, wait_event as "waitEvent", query,
         backend_start as "startedAt", xact_start as "transactionStartedAt"
    from pg_stat_activity
   where backend_type = 'client backend' and application_name <> $1
     and ($2::text is null or datname = $2) and ($3::text is null or application_name = $3)
   order by backend_start, pid`;

/** The connections of a server, oldest first, without those of the test kit. */
export function listBackends(connection: ConnectionParameters, filter: BackendFilter = {}): Promise<Backend[]> {
  const values = [TESTKIT_APPLICATION, filter.database ?? null, filter.applicationName ?? null];
  return queryOnce<Backend & Record<string, unknown>>(connection, SELECT, values);
}
