import type { LifeguardError } from '../errors.ts';
import { type CommitOutcome, type Evidence, evidenceStatement, toEvidence, tokenStatement } from './commit-outcome.ts';
import { type Failure, failureOf, mayBeAsked, type Phase } from './failure.ts';
import type { PostgresSeam } from './postgres-seam.ts';
import type { Script } from './scripts.ts';
import { type Part, readScript } from './sql-script.ts';
import { localSettings } from './sql-settings.ts';
import { readSql, type SqlReading } from './sql-words.ts';
import type { Statement } from './statement.ts';

/** What units of work ask of the server they run on. */
export class ServerFacts {
  readonly #seam: PostgresSeam;

  constructor(seam: PostgresSeam) {
    this.#seam = seam;
  }

  get inForce(): ReadonlyMap<string, number> {
    return this.#seam.inForce;
  }

  get wanted(): ReadonlyMap<string, number> {
    return this.#seam.wanted;
  }

  get mayShare(): boolean {
    return this.#seam.mayShare;
  }

  read(text: string): SqlReading {
    return readSql(text);
  }

  scriptOf(text: string): Script {
    return this.#seam.scripts.of(text);
  }

  script(text: string): readonly Part[] {
    return readScript(text);
  }

  localSettings({ text, values }: Statement): readonly string[] {
    const settings = readSql(text).setsSettings ? localSettings(text, values) : 'none';
    return settings === 'none' ? NONE : settings.names;
  }

  declares(text: string): boolean {
    const { statements, words, isPlannable } = readSql(text);
    const [word] = words;
    return (
      statements === 1 &&
      isPlannable &&
      (word === 'SELECT' || word === 'VALUES' || word === 'TABLE' || (word === 'WITH' && !WRITES.test(text)))
    );
  }

  failureOf(error: unknown, phase: Phase): Failure {
    return failureOf(error, { phase });
  }

  mayBeAsked(code: string): boolean {
    return mayBeAsked(code);
  }

  refusalOfTransaction(): LifeguardError | undefined {
    return this.#seam.refusalOfTransaction();
  }

  evidenceStatement(): Statement {
    return evidenceStatement();
  }

  tokenStatement(token: string): Statement {
    return tokenStatement(token);
  }

  toEvidence(row: Readonly<Record<string, unknown>>, token?: string): Evidence {
    return toEvidence(row, token);
  }

  resolve(evidence: Evidence): Promise<CommitOutcome> {
    return this.#seam.resolve(evidence);
  }
}

const NONE: readonly string[] = Object.freeze([]);
/** A cursor is declared for what only reads; in doubt it is not declared. */
const WRITES = /\b(?:insert|update|delete|merge)\b/i;
