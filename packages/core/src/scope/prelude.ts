import { randomUUID } from 'node:crypto';
import type { Evidence } from '../pg/commit-outcome.ts';
import type { QueryResult } from '../pg/statement.ts';
import type { GroupAnswer, HouseStatement } from '../pg/sync-group.ts';
import type { Owner } from '../pool/waiters.ts';
import { armedMillis, isOutdated, loginLimit, missingLimits } from './arming.ts';
import type { Ground } from './ground.ts';
import type { Limits } from './patience.ts';
import { parted, type Setting, settingsStatement, timeStatement } from './settings.ts';
import { evidenceRefused, settingsRefused } from './transaction-errors.ts';
import type { Isolation } from './transaction-options.ts';

/** How a transaction is to be. */
export interface Plan {
  readonly name: string;
  readonly begin: string;
  readonly access: 'writable' | 'read-only';
  readonly isolation: Isolation | undefined;
  readonly settings: readonly Setting[];
  readonly limits: Limits;
  readonly outcome: 'report' | 'resolve' | 'token';
  /** Who has its connections, in the eyes of the line: all attempts, and what runs beside it, are one. */
  readonly owner: Owner;
}

/** A statement of the house's own, that travels with the next one of the user. */
export interface Step {
  readonly kind: 'begin' | 'settings' | 'evidence' | 'savepoint' | 'release' | 'timeout';
  readonly statement: HouseStatement;
  readonly done?: (result: QueryResult<never>) => void;
}

/** From where in the transaction a statement comes. */
export interface Place {
  readonly limits: Limits;
  /** What must be sent before the next statement from here. */
  opening(): readonly Step[];
  /** A text of the user's own has gone back to a savepoint. */
  returned(): void;
}

/** What must be said to the server before the next statement of a transaction, and what it was told so far. */
export class Prelude {
  readonly #ground: Ground;
  readonly #plan: Plan;
  #stage: 'begin' | 'begun' = 'begin';
  /** The `statement_timeout` that the server was told; undefined: the one of the login. */
  #armed: number | 'unsure' | undefined = undefined;
  #owed: readonly Step[] = NONE;
  #evidence: Evidence | undefined = undefined;

  constructor(ground: Ground, plan: Plan) {
    this.#ground = ground;
    this.#plan = plan;
  }

  /** What will be needed if the answer to COMMIT is lost. */
  get evidence(): Evidence | undefined {
    return this.#evidence;
  }

  /** One that only reads leaves nothing that could be in doubt. */
  get needsEvidence(): boolean {
    const { outcome, access } = this.#plan;
    return outcome !== 'report' && access === 'writable' && this.#evidence === undefined;
  }

  before(place: Place): readonly Step[] {
    const wanted = armedMillis(this.#ground, place.limits);
    const opening = place.opening();
    if (this.#stage === 'begin') return [...this.#beginning(wanted), ...opening];
    const timeout = this.#rearmed(wanted);
    if (this.#owed.length === 0 && opening.length === 0 && timeout === undefined) return NONE;
    return [...this.#owed, ...opening, ...(timeout === undefined ? [] : [timeout])];
  }

  /** The RELEASE of a savepoint, and what goes with it: that can wait for the next statement, and is not needed before COMMIT. */
  owe(steps: readonly Step[]): void {
    this.#owed = [...this.#owed, ...steps.map((step) => ({ ...step, done: () => this.#paid() }))];
  }

  /** COMMIT lets savepoints go by itself; but deferred triggers run in it, and must not run under the settings of a nested level. */
  get owedSettings(): readonly Step[] {
    return this.#owed.some(({ kind }) => kind === 'settings') ? this.#owed : NONE;
  }

  /** The server has gone back to a savepoint, and has taken back what it was told since then. */
  returned(): void {
    this.#owed = NONE;
    if (this.#armed !== undefined) this.#armed = 'unsure';
  }

  /** Takes in what the server answered, and says what a failure of one of the steps means. */
  note(steps: readonly Step[], { results, failure }: GroupAnswer): unknown {
    const failedAt = failure?.index ?? steps.length;
    for (const [index, step] of steps.slice(0, failedAt).entries()) step.done?.(results[index] as QueryResult<never>);
    if (failure === undefined) return undefined;
    const kind = steps[failure.index]?.kind;
    if (kind === 'evidence') return evidenceRefused(this.#plan.name, failure.error);
    return kind === 'settings' ? settingsRefused(this.#plan, failure.error) : failure.error;
  }

  #paid(): void {
    this.#owed = NONE;
  }

  #beginning(wanted: number | undefined): readonly Step[] {
    const timeout = wanted === undefined ? [] : [{ name: 'statement_timeout', value: String(wanted) }];
    const [times, others] = parted([...timeout, ...missingLimits(this.#ground), ...this.#plan.settings]);
    const armed = (): void => {
      this.#armed = wanted;
    };
    return [
      {
        kind: 'begin',
        statement: this.#plan.begin,
        done: () => {
          this.#stage = 'begun';
        },
      },
      ...times.map((setting): Step => ({ kind: 'settings', statement: timeStatement(setting), done: armed })),
      // The evidence comes before the role is set, which might not be allowed to gather it.
      ...this.#gathering(),
      ...(others.length === 0 ? [] : [{ kind: 'settings', statement: settingsStatement(others) } as const]),
    ];
  }

  #gathering(): readonly Step[] {
    const { server } = this.#ground;
    if (!this.needsEvidence) return NONE;
    const token = this.#plan.outcome === 'token' ? randomUUID() : undefined;
    const statement = token === undefined ? server.evidenceStatement() : server.tokenStatement(token);
    const done: Step['done'] = ({ rows }) => {
      this.#evidence = server.toEvidence(rows[0] ?? {}, token);
    };
    return [{ kind: 'evidence', statement, done }];
  }

  #rearmed(wanted: number | undefined): Step | undefined {
    const armed = this.#armed;
    if (armed === wanted) return undefined;
    const login = loginLimit(this.#ground);
    const told = armed === undefined ? login : armed;
    if (typeof told === 'number' && told > 0 && wanted !== undefined && !isOutdated(told, wanted)) return undefined;
    const value = String(wanted ?? login);
    const statement = timeStatement({ name: 'statement_timeout', value });
    return {
      kind: 'timeout',
      statement,
      done: () => {
        this.#armed = wanted;
      },
    };
  }
}

const NONE: readonly Step[] = Object.freeze([]);
