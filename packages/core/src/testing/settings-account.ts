import type { QueryResult } from '../pg/statement.ts';
import type { HouseStatement } from '../pg/sync-group.ts';
import { inOrder } from '../scope/savepoint.ts';
import { backStatement, formerSettings, formerStatement, type Setting } from '../scope/settings.ts';

/**
 * What is set in a sandbox, and what it was before. The server's own COMMIT ends SET LOCAL, and the pool's own cleaning
 * ends SET; a RELEASE of a savepoint ends neither, so both are put back by name.
 */
export class SettingsAccount {
  /** Of the session, before anybody in the sandbox set it. */
  readonly #base = new Map<string, string>();
  /** Set until the end of an inner transaction, and by whoever has a session until it gives that back. */
  readonly #local = new Set<string>();
  readonly #session = new Map<string, string>();

  /** Which of them must be asked for before they are set for the first time. */
  unknown(names: readonly string[]): readonly Setting[] {
    return names.filter((name) => !this.#base.has(name)).map((name) => ({ name, value: '' }));
  }

  question(unknown: readonly Setting[]): HouseStatement {
    return formerStatement(unknown);
  }

  learn(unknown: readonly Setting[], { rows }: QueryResult<Record<string, unknown>>): void {
    for (const { name, value } of formerSettings(unknown, rows[0] ?? {})) this.#base.set(name, value);
  }

  set(names: readonly string[]): void {
    for (const name of names) this.#local.add(name);
  }

  /** They are to last as long as the session. */
  setForSession(names: readonly string[], { rows }: QueryResult<Record<string, unknown>>): void {
    const settings = names.map((name) => ({ name, value: '' }));
    for (const { name, value } of formerSettings(settings, rows[0] ?? {})) {
      this.#session.set(name, value);
      this.#local.delete(name);
    }
  }

  /** At the end of an inner transaction. */
  closing(): readonly HouseStatement[] {
    return back(
      [...this.#local].map((name) => ({ name, value: this.#session.get(name) ?? this.#base.get(name) ?? '' })),
    );
  }

  closed(): void {
    this.#local.clear();
  }

  /** When a session is given back. */
  leaving(): readonly HouseStatement[] {
    return back([...this.#session.keys()].map((name) => ({ name, value: this.#base.get(name) ?? '' })));
  }

  left(): void {
    this.#session.clear();
  }
}

function back(settings: readonly Setting[]): readonly HouseStatement[] {
  return settings.length === 0 ? [] : [backStatement(inOrder(settings))];
}
