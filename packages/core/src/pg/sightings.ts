import type { PgConnection } from './pg-connection.ts';

/** Which session of the server answers on a connection: its process, and the start of its server, which tells servers apart. */
export async function sessionBehind(connection: PgConnection): Promise<string> {
  const { rows } = await connection.query<{ session: string }>({ text: WHO_ANSWERS });
  return rows[0]?.session ?? '';
}

/** A number and not a date, which would look different as soon as a session sets its time zone. */
export const SESSION = `pg_backend_pid() || '@' || extract(epoch FROM pg_postmaster_start_time())`;
const WHO_ANSWERS = `SELECT ${SESSION} AS session`;

/**
 * Which session has answered on which connection of ours. In session pooling that never changes while the connection
 * lives, so two connections with one session, or one with two, prove that sessions are shared.
 */
export class Sightings {
  readonly #seen = new Map<PgConnection, string>();

  /**
   * Remembers a sighting and says what it proves. `twin`: another connection of ours was answered by the same session;
   * that one may have ended a moment ago without our having read of it, so it is worth a second look.
   */
  see(connection: PgConnection, session: string): 'moved' | 'twin' | 'nothing' {
    const before = this.#seen.get(connection);
    this.#forgetEnded();
    this.#seen.set(connection, session);
    if (before !== undefined && before !== session) return 'moved';
    return [...this.#seen].some(([other, its]) => other !== connection && its === session) ? 'twin' : 'nothing';
  }

  clear(): void {
    this.#seen.clear();
  }

  #forgetEnded(): void {
    for (const connection of this.#seen.keys()) {
      if (connection.kind === 'leaving' || connection.kind === 'ended') this.#seen.delete(connection);
    }
  }
}
