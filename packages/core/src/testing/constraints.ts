import type { SqlReading } from '../pg/sql-words.ts';

/**
 * Constraints that are checked at COMMIT, which never comes in a sandbox. Where there are any, they are checked at the end
 * of each inner transaction that wrote.
 */
export class Constraints {
  #state: 'none' | 'some';

  constructor(state: 'none' | 'some') {
    this.#state = state;
  }

  get mustBeChecked(): boolean {
    return this.#state === 'some';
  }

  /** It may make one. */
  runs({ words }: SqlReading): void {
    if (words.some((word) => MAKERS.test(word))) this.#state = 'some';
  }
}

const MAKERS = /^(?:CREATE|ALTER|DO$|CALL$|IMPORT)/;

/**
 * Checks what waits for COMMIT, and lets the next transaction find the constraints as a new one does: those that are
 * initially deferred are deferred again. https://www.postgresql.org/docs/current/sql-set-constraints.html
 */
export const DEFERRED_CHECK = `DO $lifeguard$
DECLARE names text;
BEGIN
  SET CONSTRAINTS ALL IMMEDIATE;
  SELECT string_agg(DISTINCT format('%I.%I', n.nspname, c.conname), ', ') INTO names
    FROM pg_catalog.pg_constraint c JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace
    WHERE c.condeferrable AND c.condeferred;
  IF names IS NOT NULL THEN EXECUTE 'SET CONSTRAINTS ' || names || ' DEFERRED'; END IF;
END $lifeguard$`;
