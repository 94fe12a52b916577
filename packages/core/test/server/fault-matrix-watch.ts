import type { ConnectionParameters } from '@lifeguard/testkit';
import pg from 'pg';

/** One session of the matrix, as the server sees it. */
export interface Session {
  readonly pid: number;
  readonly application: string;
  readonly state: string | null;
  readonly wait: string | null;
}

const LOOK = `select pid, application_name as application, state, wait_event as wait from pg_stat_activity
 where backend_type = 'client backend' and application_name like 'cell %'`;

/** Looks at the server for all cells together, over one connection, which it opens again when a fault has ended it. */
export class Watch {
  readonly #target: ConnectionParameters;
  readonly #peaks = new Map<string, number>();
  #client: pg.Client | undefined;
  #underway: Promise<readonly Session[] | undefined> | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(target: ConnectionParameters) {
    this.#target = target;
  }

  /** Undefined while the server cannot be asked. One look serves everybody who asks meanwhile. */
  sessions(): Promise<readonly Session[] | undefined> {
    this.#underway ??= this.#look().finally(() => {
      this.#underway = undefined;
    });
    return this.#underway;
  }

  async of(application: string): Promise<readonly Session[] | undefined> {
    return (await this.sessions())?.filter((session) => session.application === application);
  }

  /** The most sessions that were ever seen of one application. */
  peakOf(application: string): number {
    return this.#peaks.get(application) ?? 0;
  }

  /** One at a time. */
  query<Row extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<Row[]> {
    const answer = this.#last.then(async () => (await (await this.#open()).query<Row>(text, values)).rows);
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  async close(): Promise<void> {
    await this.#client?.end();
  }

  async #look(): Promise<readonly Session[] | undefined> {
    try {
      const sessions = await this.query<Session>(LOOK, []);
      this.#count(sessions);
      return sessions;
    } catch {
      return undefined;
    }
  }

  #count(sessions: readonly Session[]): void {
    const counts = Map.groupBy(sessions, ({ application }) => application);
    for (const [application, { length }] of counts) {
      this.#peaks.set(application, Math.max(length, this.peakOf(application)));
    }
  }

  async #open(): Promise<pg.Client> {
    if (this.#client !== undefined) return this.#client;
    const client = new pg.Client({ ...this.#target, application_name: 'watch' });
    client.on('error', () => undefined);
    client.once('end', () => {
      if (this.#client === client) this.#client = undefined;
    });
    await client.connect();
    this.#client = client;
    return client;
  }
}
