import { publish, type Warnings } from '../events.ts';
import type { PgConnection } from './pg-connection.ts';

/** What lies between us and the server: noticed once per pool, and said once. */
export class Pooler {
  readonly #pool: string;
  readonly #warnings: Warnings;
  #inspection: 'not-yet' | 'underway' | 'direct' | 'pooled' = 'not-yet';

  constructor(pool: string, warnings: Warnings) {
    this.#pool = pool;
    this.#warnings = warnings;
  }

  /** Then the key and the process that the login told are the pooler's own and name no process of the server. */
  get isBetween(): boolean {
    return this.#inspection === 'pooled';
  }

  /** A startup parameter was refused, and the dial is tried without it. */
  refused(parameter: string): void {
    publish('lifeguard:pool:pooler', () => ({ pool: this.#pool, parameter, how: 'refused' }));
    const message = `the server or a pooler before it refuses "${parameter}" at login, so that limit is not enforced by the server. Set it with ALTER ROLE … SET ${parameter} instead.`;
    this.#warnings.warn('LIFEGUARD_PARAMETER_REFUSED', message, { parameter });
  }

  /** One round trip on the first connection: did what we sent arrive, and who is it that answers? */
  async inspect(connection: PgConnection, sent: ReadonlyMap<string, number>): Promise<void> {
    if (this.#inspection !== 'not-yet') return;
    this.#inspection = 'underway';
    const rows = await this.#ask(connection);
    this.#inspection = rows.some(({ pid }) => pid !== connection.client.processID) ? 'pooled' : 'direct';
    for (const { name, setting } of rows) {
      const wanted = sent.get(name);
      if (wanted !== undefined && wanted !== Number(setting)) this.#ignored(name, wanted, setting);
    }
  }

  async #ask(connection: PgConnection): Promise<readonly InspectionRow[]> {
    try {
      return (await connection.query<InspectionRow>({ text: INSPECTION })).rows;
    } catch (error) {
      // The next connection asks again.
      this.#inspection = 'not-yet';
      throw error;
    }
  }

  #ignored(parameter: string, wanted: number, setting: string): void {
    publish('lifeguard:pool:pooler', () => ({ pool: this.#pool, parameter, how: 'ignored' }));
    const message = `"${parameter}" was sent at login as ${wanted} ms and is ${setting} ms on the server: a pooler ignores startup parameters, so that limit is not enforced by the server. Set it with ALTER ROLE … SET ${parameter} instead.`;
    this.#warnings.warn('LIFEGUARD_PARAMETER_IGNORED', message, { parameter, wanted, setting });
  }
}

interface InspectionRow {
  readonly pid: number;
  readonly name: string;
  readonly setting: string;
}

/** pg_settings gives plain numbers in the setting's own unit, which is the millisecond for all of these. */
const INSPECTION = `SELECT pg_backend_pid() AS pid, name, setting FROM pg_settings
 WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout')`;
