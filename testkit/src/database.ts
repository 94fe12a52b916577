import type pg from 'pg';
import { type Backend, listBackends } from './backends.ts';
import { type ConnectionParameters, queryOnce, urlOf } from './query-once.ts';
import { waitUntil } from './wait-until.ts';

/** A database that belongs to one test file. */
export class Database {
  readonly connection: ConnectionParameters;

  constructor(connection: ConnectionParameters) {
    this.connection = connection;
  }

  get name(): string {
    return this.connection.database;
  }

  get url(): string {
    return urlOf(this.connection);
  }

  /** The rows of one statement, asked by an administrator on a connection of its own. */
  query<Row extends pg.QueryResultRow = Record<string, unknown>>(
    sql: string,
    values?: readonly unknown[],
  ): Promise<Row[]> {
    return queryOnce<Row>(this.connection, sql, values);
  }

  /** The connections to this database as the server sees them, without the test kit's, oldest first. */
  backends(applicationName?: string): Promise<Backend[]> {
    const filter = { database: this.name, ...(applicationName === undefined ? {} : { applicationName }) };
    return listBackends(this.connection, filter);
  }

  /** Waits until the connections are as wanted, and returns them. */
  async waitFor(
    what: string,
    condition: (backends: readonly Backend[]) => boolean,
    timeoutMillis?: number,
  ): Promise<readonly Backend[]> {
    const look = async (): Promise<readonly Backend[] | undefined> => {
      const backends = await this.backends();
      return condition(backends) ? backends : undefined;
    };
    return await waitUntil(look, { what, ...(timeoutMillis === undefined ? {} : { timeoutMillis }) });
  }
}
